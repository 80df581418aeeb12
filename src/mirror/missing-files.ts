import type { SnapshotRow } from '../archive-rows.ts'
import type { Clock } from '../clock-port.ts'
import { displayName } from '../domain/file-name.ts'
import type { Log } from '../log-port.ts'
import { MirrorError } from './mirror-error.ts'

/** Has a listed file fetched, verified and sealed; false where that cannot be done. */
export type FetchFile = (
  wanted: { readonly snapshot: SnapshotRow; readonly path: string },
  signal: AbortSignal,
) => Promise<boolean>

/** How long a visitor is kept waiting: less than clients wait for a first byte. */
const PATIENCE_MS = 8000
/** Files that are on their way at once; who asks for more is told to come back. */
const MOST_AT_ONCE = 16

/** Fetches what is asked for and not held, each file once, however many wait for it. */
export class MissingFiles {
  readonly #fetch: FetchFile
  readonly #clock: Clock
  readonly #log: Log
  readonly #signal: AbortSignal
  readonly #running = new Map<string, Promise<boolean>>()

  constructor(fetch: FetchFile, { clock, log }: { clock: Clock; log: Log }, signal: AbortSignal) {
    this.#fetch = fetch
    this.#clock = clock
    this.#log = log
    this.#signal = signal
  }

  /**
   * Whether the file is held now.
   * @returns false where it cannot be had
   * @throws MirrorError Unavailable where it is on its way: the visitor may come back for it
   */
  async has(snapshot: SnapshotRow, path: string): Promise<boolean> {
    const late = new AbortController()
    const patience = AbortSignal.any([late.signal, this.#signal])
    try {
      const waited = this.#clock.sleep(PATIENCE_MS, patience).then(
        () => undefined,
        () => undefined,
      )
      const held = await Promise.race([this.#start(snapshot, path), waited])
      if (held !== undefined) return held
    } finally {
      late.abort()
    }
    throw this.#onItsWay(path)
  }

  #start(snapshot: SnapshotRow, path: string): Promise<boolean> {
    const key = `${snapshot.snapshotId} ${path}`
    const running = this.#running.get(key)
    if (running !== undefined) return running
    if (this.#running.size >= MOST_AT_ONCE) throw this.#onItsWay(path)
    const fetching = this.#fetch({ snapshot, path }, this.#signal).catch((error: unknown) => {
      if (!this.#signal.aborted) this.#log.warn({ component: 'mirror', path, err: error }, 'file not fetched')
      return false
    })
    this.#running.set(key, fetching)
    void fetching.finally(() => this.#running.delete(key))
    return fetching
  }

  #onItsWay(path: string): MirrorError {
    const message = `${displayName(path)} is being fetched from the Hub; it is served once it is verified and sealed`
    return new MirrorError(503, 'Unavailable', message, { 'Retry-After': '10' })
  }
}

import type { ByteSink } from '../intake-port.ts'
import type { TokenBucket } from '../lib/token-bucket.ts'

/** Bytes between two reports: a report costs more than a read. */
const REPORT_BYTES = 256 * 1024

/** A sink that keeps to the rate cap and tells what came. */
export class PacedSink implements ByteSink {
  readonly #sink: ByteSink
  readonly #bucket: TokenBucket
  readonly #report: (bytes: number) => void
  readonly #held: (ms: number) => void
  /** Bytes that came and were not yet counted against the cap: nothing more is taken before they are. */
  #unpaid = 0
  #unreported = 0

  /** @param held told how long bytes waited for room in the sink, the cap aside */
  constructor(
    sink: ByteSink,
    bucket: TokenBucket,
    report: (bytes: number) => void,
    held: (ms: number) => void = () => undefined,
  ) {
    this.#sink = sink
    this.#bucket = bucket
    this.#report = report
    this.#held = held
  }

  view(): Uint8Array | undefined {
    return this.#unpaid > 0 ? undefined : this.#sink.view()
  }

  filled(count: number): void {
    this.#sink.filled(count)
    if (this.#bucket.isCapped) this.#unpaid += count
    this.#unreported += count
    if (this.#unreported >= REPORT_BYTES) this.flush()
  }

  async room(signal: AbortSignal): Promise<void> {
    const bytes = this.#unpaid
    if (bytes > 0) {
      await this.#bucket.take(bytes, signal)
      this.#unpaid -= bytes
    }
    const sinceMs = performance.now()
    await this.#sink.room(signal)
    this.#held(performance.now() - sinceMs)
  }

  /** Reports what was not reported yet. */
  flush(): void {
    if (this.#unreported > 0) this.#report(this.#unreported)
    this.#unreported = 0
  }
}

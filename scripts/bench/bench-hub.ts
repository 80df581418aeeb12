import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { HubMessage, HubProcessOptions, HubTally } from './hub-process.ts'

const HUB_PROCESS = fileURLToPath(new URL('hub-process.ts', import.meta.url))
/** Computing the digest of a file of many gigabytes comes before the answer. */
const READY_WITHIN_MS = 120_000
const ANSWER_WITHIN_MS = 10_000

/** Quotas that never bind. */
export const NO_QUOTAS = { api: 1e9, resolvers: 1e9 } as const

/** A simulated Hub that runs as another process. Disposing ends it. */
export class BenchHub implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  static async start(options: HubProcessOptions): Promise<BenchHub> {
    const child = fork(HUB_PROCESS, [JSON.stringify(options)])
    try {
      const message = await nextMessage(child, READY_WITHIN_MS)
      if (message.kind !== 'ready') throw new Error('the simulated Hub did not say where it listens')
      return new BenchHub(child, message.url)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  /** What was asked since the start or the last reset. */
  async tally(): Promise<HubTally> {
    const answer = nextMessage(this.#child, ANSWER_WITHIN_MS)
    this.#child.send('tally')
    const message = await answer
    if (message.kind !== 'tally') throw new Error('the simulated Hub answered something else')
    return message.tally
  }

  reset(): void {
    this.#child.send('reset')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

/** @throws when the process ends, or says nothing in time */
async function nextMessage(child: ChildProcess, withinMs: number): Promise<HubMessage> {
  const over = new AbortController()
  const late = setTimeout(() => over.abort(new Error('the simulated Hub said nothing in time')), withinMs)
  const ended = (): void => over.abort(new Error('the simulated Hub ended'))
  child.once('exit', ended)
  try {
    const [message] = (await once(child, 'message', { signal: over.signal })) as [HubMessage]
    return message
  } catch (error) {
    throw over.signal.aborted ? (over.signal.reason as Error) : error
  } finally {
    clearTimeout(late)
    child.off('exit', ended)
  }
}

import { setTimeout as sleep } from 'node:timers/promises'

interface Waiting<T, R> {
  readonly item: T
  readonly resolve: (result: R) => void
  readonly reject: (error: unknown) => void
}

/** How much is committed together. */
export interface GroupLimits {
  readonly maxItems: number
  /** A second commit begins beside a running one when so many items wait; without it commits follow each other. */
  readonly besideFrom?: number
  /** How long a commit waits for more, unless it is full, in milliseconds: for what costs as much for one as for many. */
  readonly gatherMs?: number
}

/**
 * Joins what arrives while one commit runs into the next one, so that what a commit costs once is shared by many. One that
 * throws fails every item of it.
 */
export class GroupCommit<T, R> {
  readonly #commit: (items: readonly T[]) => Promise<readonly R[]>
  readonly #limits: GroupLimits
  #waiting: Waiting<T, R>[] = []
  #runners = 0
  readonly #running = new Set<Promise<void>>()

  /** @param commit answers with one result for each item, in their order */
  constructor(commit: (items: readonly T[]) => Promise<readonly R[]>, limits: GroupLimits) {
    this.#commit = commit
    this.#limits = limits
  }

  add(item: T): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>()
    this.#waiting.push({ item, resolve, reject })
    if (this.#mayStart()) this.#start()
    return promise
  }

  /** Waits until everything that was added is committed or failed. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #mayStart(): boolean {
    const { besideFrom = Number.POSITIVE_INFINITY } = this.#limits
    return this.#runners === 0 || (this.#runners === 1 && this.#waiting.length >= besideFrom)
  }

  #start(): void {
    this.#runners += 1
    const running = this.#run().finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #run(): Promise<void> {
    // What is added in this turn belongs together.
    await Promise.resolve()
    const { maxItems, besideFrom = maxItems, gatherMs } = this.#limits
    while (this.#waiting.length > 0) {
      if (gatherMs !== undefined && this.#waiting.length < besideFrom) await sleep(gatherMs)
      const group = this.#waiting.splice(0, maxItems)
      // A second runner may have taken all of it meanwhile.
      if (group.length > 0) await this.#commitNext(group)
    }
    // In the turn in which it saw that nothing waits, or what comes next would wait for ever.
    this.#runners -= 1
  }

  async #commitNext(group: readonly Waiting<T, R>[]): Promise<void> {
    try {
      const results = await this.#commit(group.map(({ item }) => item))
      for (const [index, { resolve, reject }] of group.entries()) {
        if (index < results.length) resolve(results[index]!)
        else reject(new Error('a commit gave no result for one of its items'))
      }
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
}

interface Waiting<T, R> {
  readonly item: T
  readonly resolve: (result: R) => void
  readonly reject: (error: unknown) => void
}

/**
 * Joins what arrives while one commit runs into the next one, so that what a commit costs once is shared by many. Commits
 * follow each other; one that throws fails every item of it.
 */
export class GroupCommit<T, R> {
  readonly #commit: (items: readonly T[]) => Promise<readonly R[]>
  readonly #maxItems: number
  #waiting: Waiting<T, R>[] = []
  #running: Promise<void> | undefined

  /** @param commit answers with one result for each item, in their order */
  constructor(commit: (items: readonly T[]) => Promise<readonly R[]>, maxItems: number) {
    this.#commit = commit
    this.#maxItems = maxItems
  }

  add(item: T): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>()
    this.#waiting.push({ item, resolve, reject })
    this.#running ??= this.#run()
    return promise
  }

  /** Waits until everything that was added is committed or failed. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    // What is added in this turn belongs together.
    await Promise.resolve()
    while (this.#waiting.length > 0) await this.#commitNext(this.#waiting.splice(0, this.#maxItems))
    this.#running = undefined
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

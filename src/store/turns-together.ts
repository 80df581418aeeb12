interface Asked<T> {
  readonly items: readonly T[]
  readonly answer: PromiseWithResolvers<void>
}

/** When a turn begins. */
export interface TurnLimits {
  /** So many items are worth a turn at once. */
  readonly enough: number
  /** Fewer wait for others at most so long, in milliseconds, */
  readonly withinMs: number
  /** and only while others are on their way. */
  readonly isMoreComing: () => boolean
}

/** Work that is done in turns, never two at a time: a turn takes everything that waits for one. */
export class TurnsTogether<T> {
  readonly #work: (items: readonly T[]) => Promise<void>
  readonly #limits: TurnLimits
  #asked: Asked<T>[] = []
  #isBusy = false
  #timer: NodeJS.Timeout | undefined
  #isOverdue = false

  constructor(work: (items: readonly T[]) => Promise<void>, limits: TurnLimits) {
    this.#work = work
    this.#limits = limits
  }

  /** Resolves when a turn had these. @throws whatever that turn threw */
  take(items: readonly T[]): Promise<void> {
    const answer = Promise.withResolvers<void>()
    this.#asked.push({ items, answer })
    this.#timer ??= setTimeout(() => {
      this.#isOverdue = true
      this.#beginIfDue()
    }, this.#limits.withinMs)
    this.#beginIfDue()
    return answer.promise
  }

  #beginIfDue(): void {
    if (this.#isBusy || this.#asked.length === 0) return
    const { enough, isMoreComing } = this.#limits
    const waiting = this.#asked.reduce((sum, { items }) => sum + items.length, 0)
    if (!this.#isOverdue && waiting < enough && isMoreComing()) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isOverdue = false
    this.#isBusy = true
    void this.#turn(this.#asked.splice(0))
  }

  async #turn(asked: readonly Asked<T>[]): Promise<void> {
    try {
      await this.#work(asked.flatMap(({ items }) => items))
      for (const { answer } of asked) answer.resolve()
    } catch (error) {
      for (const { answer } of asked) answer.reject(error)
    }
    this.#isBusy = false
    this.#beginIfDue()
  }
}

/** How much is handed on together. */
export interface GatherLimits {
  readonly maxItems: number
  /** How long one waits for others, in milliseconds. */
  readonly withinMs: number
}

/** Collects what comes one by one, for what costs as much for one as for many. */
export class Gather<T> {
  readonly #limits: GatherLimits
  readonly #handOn: (items: readonly T[]) => void
  #items: T[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(limits: GatherLimits, handOn: (items: readonly T[]) => void) {
    this.#limits = limits
    this.#handOn = handOn
  }

  /** How many wait. */
  get size(): number {
    return this.#items.length
  }

  add(item: T): void {
    this.#items.push(item)
    if (this.#items.length >= this.#limits.maxItems) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), this.#limits.withinMs)
  }

  /** Hands on what there is: nothing more is expected. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#items.length > 0) this.#handOn(this.#items.splice(0))
  }
}

/** Tells polls worth a line from the many of a long run that found nothing new. As large as the watch list. */
export class PollNews {
  readonly #seen = new Set<string>()

  /** The first poll of each watch, and every poll that found something. */
  isNews(watch: string, changed: number): boolean {
    const isFirst = !this.#seen.has(watch)
    this.#seen.add(watch)
    return isFirst || changed > 0
  }
}

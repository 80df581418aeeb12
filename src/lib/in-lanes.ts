/**
 * Runs `work` for every item, so many at a time. After the first failure no further item is started; what runs is waited
 * for, then the failure is thrown.
 */
export async function inLanes<T>(
  items: Iterable<T>,
  lanes: number,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]()
  let failure: { error: unknown } | undefined
  const lane = async (): Promise<void> => {
    for (;;) {
      if (failure !== undefined || signal.aborted) return
      const next = left.next()
      if (next.done === true) return
      try {
        await work(next.value)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  signal.throwIfAborted()
  if (failure !== undefined) throw failure.error
}

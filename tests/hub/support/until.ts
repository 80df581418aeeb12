const DEADLINE_MS = 10_000

/** Waits, turn by turn of the event loop, until the condition holds; fails after ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('the condition did not come true in time')
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

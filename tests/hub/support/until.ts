import { HANGS_AFTER_MS } from '../../support/until.ts'

/** Waits, turn by turn of the event loop, until the condition holds. No timer is used: a test may have replaced them. */
export async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + HANGS_AFTER_MS
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('the condition did not come true in time')
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

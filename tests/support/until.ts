import { setTimeout as pause } from 'node:timers/promises'

const LOOK_EVERY_MS = 10

/** Long enough for a machine that is busy with other things: only a test that fails waits for it. */
const LONGEST_MS = 150_000

/**
 * Looks again and again until a condition holds, and returns what it gave.
 * @param what for the message when it never held
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = LONGEST_MS,
): Promise<T> {
  const endMs = performance.now() + deadlineMs
  for (;;) {
    const found = await condition()
    if (found !== undefined && found !== false) return found
    if (performance.now() > endMs) throw new Error(`never happened within ${deadlineMs} ms: ${what}`)
    await pause(LOOK_EVERY_MS)
  }
}

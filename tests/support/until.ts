import { setTimeout as pause } from 'node:timers/promises'

const LOOK_EVERY_MS = 10

/** The bound of whatever a test waits for: only what hangs takes so long, however busy the machine. */
export const HANGS_AFTER_MS = 300_000

/**
 * Looks again and again until a condition holds, and returns what it gave.
 * @param what for the message when it never held
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const endMs = performance.now() + HANGS_AFTER_MS
  for (;;) {
    const found = await condition()
    if (found !== undefined && found !== false) return found
    if (performance.now() > endMs) throw new Error(`never happened within ${HANGS_AFTER_MS} ms: ${what}`)
    await pause(LOOK_EVERY_MS)
  }
}

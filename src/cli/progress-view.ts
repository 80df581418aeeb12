import type { Progress } from '../progress-port.ts'

/** Progress that is shown somewhere. */
export interface ProgressView extends Progress {
  /** Takes a live display off the screen, so that another line can be written there; it comes back by itself. */
  clear(): void
  /** The end: takes a live display off for good. */
  close(): void
}

/** Shows nothing. */
export function silentProgress(): ProgressView {
  const nothing = (): void => {}
  return {
    polled: nothing,
    listed: nothing,
    total: nothing,
    started: nothing,
    moved: nothing,
    ended: nothing,
    finished: nothing,
    failed: nothing,
    refused: nothing,
    sealed: nothing,
    events: nothing,
    verified: nothing,
    waiting: nothing,
    clear: nothing,
    close: nothing,
  }
}

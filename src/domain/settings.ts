import type { WatchEntry } from './watch.ts'

/** Minutes of the local day; `end` before `start` spans midnight. */
export interface DailyWindow {
  readonly startMinute: number
  readonly endMinute: number
}

/** What the pipeline needs to know of the configuration; sizes in bytes, times in milliseconds. */
export interface Settings {
  readonly watches: readonly WatchEntry[]
  /** The archive's blobs never grow past this. */
  readonly budgetBytes: number
  /** Free bytes always left on the disk. */
  readonly reserveBytes: number
  /** Cap of all downloads together; undefined = none. */
  readonly rateBytesPerSecond: number | undefined
  /** Outside it only listings and small files move; undefined = always. */
  readonly window: DailyWindow | undefined
  readonly confirmLoss: { readonly misses: number; readonly overMs: number }
  /** Lower-case licence names that are fine; undefined = no rule. */
  readonly licenseAllow: readonly string[] | undefined
  /** Folders that show the newest sealed commits as a cache of the Hub's clients. */
  readonly views: readonly View[]
}

/** One such folder, and globs on the names of the repositories in it. */
export interface View {
  readonly path: string
  readonly repos: readonly string[]
}

/** Whether large files may move at this minute of the local day. */
export function isInsideWindow(window: DailyWindow | undefined, minuteOfDay: number): boolean {
  if (window === undefined || window.startMinute === window.endMinute) return true
  if (window.startMinute < window.endMinute) {
    return minuteOfDay >= window.startMinute && minuteOfDay < window.endMinute
  }
  return minuteOfDay >= window.startMinute || minuteOfDay < window.endMinute
}

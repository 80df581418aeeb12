import { formatDuration } from '../lib/units.ts'

/** How long ago an ISO time was, for people: `3m ago`, `in 12s` for a time to come, `never` for none. */
export function ago(iso: string | undefined, nowMs: number): string {
  if (iso === undefined) return 'never'
  const ms = nowMs - Date.parse(iso)
  if (Number.isNaN(ms)) return 'unknown'
  if (Math.abs(ms) < 1000) return 'now'
  const [largest = ''] = formatDuration(Math.abs(ms)).split(' ')
  return ms > 0 ? `${largest} ago` : `in ${largest}`
}

/** A count for people: `1,234`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** `1 file`, `1,234 files`. */
export function counted(count: number, word: string, plural = `${word}s`): string {
  return `${formatCount(count)} ${count === 1 ? word : plural}`
}

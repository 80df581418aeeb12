/** Which bytes of a file an answer has. */
export type RangeChoice =
  | { readonly kind: 'all' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' }

/** More digits than any size has; the value is beyond every file. */
const MOST_DIGITS = 15

/**
 * Reads a `Range` header for a file of so many bytes. What is no single byte range (another unit, several ranges, an end
 * before its start) asks for all of it, as RFC 9110 allows; only a range wholly outside is unsatisfiable.
 */
export function chooseRange(header: string | undefined, size: number): RangeChoice {
  if (header === undefined) return { kind: 'all' }
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header)
  if (match === null) return { kind: 'all' }
  const [, first = '', last = ''] = match
  if (first === '') {
    if (last === '') return { kind: 'all' }
    const suffix = numberOf(last)
    if (suffix === 0) return { kind: 'unsatisfiable' }
    return size === 0 ? { kind: 'all' } : { kind: 'part', start: Math.max(0, size - suffix), end: size }
  }
  const start = numberOf(first)
  const end = last === '' ? size : Math.min(numberOf(last) + 1, size)
  if (last !== '' && numberOf(last) < start) return { kind: 'all' }
  return start >= size ? { kind: 'unsatisfiable' } : { kind: 'part', start, end }
}

function numberOf(digits: string): number {
  const significant = digits.replace(/^0+(?=\d)/, '')
  return significant.length > MOST_DIGITS ? Number.MAX_SAFE_INTEGER - 1 : Number(significant)
}

/** Whether an `If-None-Match` (or `If-Match`) header names this tag; both ignore that a tag is weak, or `*`. */
export function namesTag(header: string, tag: string): boolean {
  if (header.trim() === '*') return true
  return header.split(',').some((one) => one.trim().replace(/^W\//, '') === tag)
}

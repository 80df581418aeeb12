import { createTwoFilesPatch } from 'diff'

/** Two texts that differ in more lines than this have nothing in common to show; finding that out grows with its square. */
const MAX_CHANGED_LINES = 2000

/** One side of a comparison: what it is called, and its text. */
export interface NamedText {
  readonly name: string
  readonly text: string
}

/**
 * The differences of two texts as a unified patch with three lines of context; '' when they are equal. Undefined when
 * they differ in too many lines. Line ends count as equal.
 */
export function unifiedDiff(before: NamedText, after: NamedText): string | undefined {
  const [old, now] = [unixLines(before.text), unixLines(after.text)]
  if (old === now) return ''
  const options = { context: 3, maxEditLength: MAX_CHANGED_LINES }
  return createTwoFilesPatch(before.name, after.name, old, now, undefined, undefined, options)
}

function unixLines(text: string): string {
  return text.replaceAll(/\r\n?/g, '\n')
}

import parseExpression from 'spdx-expression-parse'

const MAX_CHARACTERS = 500

/** One licence, or two expressions joined by AND or OR. */
type Tree = parseExpression.Info

/** Reads an SPDX licence expression strictly: unknown ids and wrong letter case are none. Undefined for anything else. */
export function parseSpdx(text: string): Tree | undefined {
  // The parser goes down one call for each bracket.
  if (text.length > MAX_CHARACTERS) return undefined
  try {
    return parseExpression(text)
  } catch {
    return undefined
  }
}

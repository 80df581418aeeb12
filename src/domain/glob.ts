/**
 * Shell-like matching as the Hub's Python clients know it (`fnmatch`): `*` is any text, also across `/`; `?` is one
 * character; everything else is itself. Letter case counts. Time is at most pattern × text, without backtracking
 * explosions, whatever the pattern.
 */
export function matchGlob(pattern: string, text: string): boolean {
  let patternAt = 0
  let textAt = 0
  let starAt = -1
  let starText = 0
  while (textAt < text.length) {
    const wanted = pattern[patternAt]
    if (wanted === '*') {
      starAt = patternAt
      starText = textAt
      patternAt += 1
    } else if (wanted === '?') {
      patternAt += 1
      textAt += widthAt(text, textAt)
    } else if (wanted !== undefined && wanted === text[textAt]) {
      patternAt += 1
      textAt += 1
    } else if (starAt >= 0) {
      starText += widthAt(text, starText)
      textAt = starText
      patternAt = starAt + 1
    } else {
      return false
    }
  }
  while (pattern[patternAt] === '*') patternAt += 1
  return patternAt === pattern.length
}

/** A character is a code point: `?` stands for a whole emoji, not for half of it. */
function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
}

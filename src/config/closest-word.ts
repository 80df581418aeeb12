const MAX_WORD_LENGTH = 64

/** The word that was most likely meant: at most two edits away (one for short words), or only its case differs. */
export function closestWord(typed: string, words: readonly string[]): string | undefined {
  if (typed.length > MAX_WORD_LENGTH) return undefined
  const allowed = typed.length <= 3 ? 1 : 2
  let best: { word: string; distance: number } | undefined
  for (const word of words) {
    const distance = editDistance(typed.toLowerCase(), word.toLowerCase())
    if (distance <= allowed && (best === undefined || distance < best.distance)) best = { word, distance }
  }
  return best?.word
}

/** ` did you mean "every"?` with its semicolon, or nothing. For the end of a sentence. */
export function didYouMean(typed: string, words: readonly string[]): string {
  const word = closestWord(typed, words)
  return word === undefined ? '' : `; did you mean "${word}"?`
}

/** Edits (insert, delete, replace, swap neighbours) between two words: optimal string alignment. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + cost)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) least = Math.min(least, beforePrevious[j - 2]! + 1)
      current.push(least)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[b.length]!
}

import { parse } from 'yaml'

/** Longest front matter that is read, in UTF-16 units. Real ones are below 20,000. */
const MAX_CHARACTERS = 128 * 1024
/** An opening bracket more than this many times is no card; the parser goes down one call for each. */
const MAX_DEPTH = 64
const MAX_ALIASES = 10

/**
 * The front matter of a model card: what stands between the first line `---` and the next one, as plain data. Undefined
 * for a card without one, and for one that is not YAML or not worth the risk: too long, too deep, with alias bombs or
 * tags of other languages. Never throws. `text` is the beginning of the card; the rest need not be read.
 */
export function readFrontMatter(text: string): unknown {
  const block = blockOf(text)
  if (block === undefined || !isShallow(block)) return undefined
  try {
    return parse(block, { schema: 'core', merge: false, maxAliasCount: MAX_ALIASES, logLevel: 'silent' })
  } catch {
    return undefined
  }
}

function blockOf(text: string): string | undefined {
  const start = /^\ufeff?---[ \t]*\r?\n/.exec(text)?.[0].length
  if (start === undefined) return undefined
  const rest = text.slice(start, start + MAX_CHARACTERS)
  const end = /^---[ \t]*\r?$/m.exec(rest)?.index
  return end === undefined ? undefined : rest.slice(0, end)
}

/** Counts what opens a level, wherever it stands: also in a text, where it would mean nothing. */
function isShallow(block: string): boolean {
  let open = 0
  for (const character of block) {
    if (character === '[' || character === '{') open += 1
    else if (character === ']' || character === '}') open = Math.max(0, open - 1)
    if (open > MAX_DEPTH) return false
  }
  // `- - - -` and `? ? ?` open a level each, and so does every step to the right.
  return block.split('\n').every((line) => {
    const lead = /^[ \t]*(?:[-?][ \t]+)*/.exec(line)?.[0] ?? ''
    return lead.length <= MAX_DEPTH * 2
  })
}

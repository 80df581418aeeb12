import { parse } from 'yaml'

/** Longest front matter that is looked at, in UTF-16 units. Real ones are below 20,000. */
const MAX_CHARACTERS = 128 * 1024
/** Longest entry that is parsed. Time and depth of the parser grow with the square of it, so it is short. */
const MAX_ENTRY_CHARACTERS = 2000

/**
 * Some fields of a model card's front matter: what stands between the first line `---` and the next one. Only the entries of
 * these keys are given to the YAML parser, so that nothing else in a card can cost time or make it unreadable. Undefined
 * for a card without front matter, and where one of the entries is there twice, too long or no YAML. Never throws.
 * @param text the beginning of the card; the rest need not be read
 */
export function readFrontMatter(text: string, keys: readonly string[]): Record<string, unknown> | undefined {
  const block = blockOf(text)
  if (block === undefined) return undefined
  const found: Record<string, unknown> = {}
  const seen = new Set<string>()
  for (const { key, entry } of entriesOf(block.split('\n'), keys)) {
    if (seen.has(key) || entry.length > MAX_ENTRY_CHARACTERS) return undefined
    seen.add(key)
    const value = valueOf(key, entry)
    if (value === undefined) return undefined
    found[key] = value
  }
  return found
}

function blockOf(text: string): string | undefined {
  const start = /^\ufeff?---[ \t]*\r?\n/.exec(text)?.[0].length
  if (start === undefined) return undefined
  const rest = text.slice(start, start + MAX_CHARACTERS).replaceAll('\r\n', '\n')
  const end = /^---[ \t]*$/m.exec(rest)?.index
  return end === undefined ? undefined : rest.slice(0, end)
}

/** The lines of each outermost entry with one of the keys: its own, and those after it that belong to it. */
function* entriesOf(lines: readonly string[], keys: readonly string[]): Generator<{ key: string; entry: string }> {
  for (const [at, line] of lines.entries()) {
    const key = keys.find((name) => startsEntry(line, name))
    if (key === undefined) continue
    let entry = line
    for (let next = at + 1; next < lines.length && entry.length <= MAX_ENTRY_CHARACTERS; next += 1) {
      const more = lines[next] ?? ''
      // Deeper lines, and the items of a list, which need not be.
      if (!/^(?:[ \t]|-[ \t]|$)/.test(more)) break
      entry += `\n${more}`
    }
    yield { key, entry }
  }
}

function startsEntry(line: string, key: string): boolean {
  return [key, `"${key}"`, `'${key}'`].some((name) => line.startsWith(name) && /^[ \t]*:/.test(line.slice(name.length)))
}

function valueOf(key: string, entry: string): unknown {
  try {
    const parsed: unknown = parse(entry, { schema: 'core', merge: false, maxAliasCount: 0, logLevel: 'error' })
    return typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, key) : undefined
  } catch {
    return undefined
  }
}

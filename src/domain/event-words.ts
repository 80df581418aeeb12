import { displayName } from './file-name.ts'
import { formatSize } from './size-text.ts'

// The parts of an event, in words. What an event holds comes from upstream in the end, so nothing here trusts its shape.

type Detail = Readonly<Record<string, unknown>>

const MAX_VALUE_CHARACTERS = 120
const MAX_PATHS_SHOWN = 3
const MAX_WORDS_SHOWN = 4

/** What a claim about upstream rests on: `HTTP 404 RepoNotFound at 2026-03-12T10:00:00Z`; empty when nothing is known. */
export function evidenceText(evidence: unknown): string {
  const fields = fieldsOf(evidence)
  const parts = [
    isGiven(fields.get('status')) ? `HTTP ${brief(fields.get('status'))}` : '',
    isGiven(fields.get('errorCode')) ? brief(fields.get('errorCode')) : '',
    isGiven(fields.get('to')) ? `now ${brief(fields.get('to'))}` : '',
    isGiven(fields.get('at')) ? `at ${brief(fields.get('at'))}` : '',
  ]
  return parts.filter((part) => part !== '').join(' ')
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** A value of an event in a few words, whatever it is. */
export function brief(value: unknown): string {
  if (value === null || value === undefined) return 'none'
  if (typeof value === 'string') return cut(/^[0-9a-f]{40,64}$/.test(value) ? value.slice(0, 10) : value)
  if (typeof value !== 'object') return cut(JSON.stringify(value) ?? 'none')
  const fields = fieldsOf(value)
  const license = [fields.get('license'), fields.get('license_name')].filter((word) => typeof word === 'string')
  if (license.length > 0) return cut(license.join(': '))
  if (fields.has('license')) return 'none'
  for (const key of ['commit', 'name', 'repo', 'state', 'hubId']) {
    const found = fields.get(key)
    if (typeof found === 'string') return brief(found)
  }
  return fields.size === 0 ? 'none' : cut(JSON.stringify(value))
}

/** `open`, `auto`, `manual`. */
export function gate(value: unknown): string {
  return value === false ? 'open' : value === true ? 'gated' : brief(value)
}

/** `Qwen has published and updated nothing for 90 days`, with what was usual where that is known. */
export function silence(detail: Detail): string {
  const days = detail['quietDays']
  const longest = detail['longestPauseDays']
  const owner = brief(detail['owner'] ?? detail['watch'] ?? 'an owner')
  const quiet = typeof days === 'number' ? ` for ${days} days` : ' for long'
  const usual = typeof longest === 'number' ? `; its longest pause in the year before was ${longest}` : ''
  return `${owner} has published and updated nothing${quiet}${usual}`
}

/** What a licence text was found to be: `altered Apache-2.0 (1a2b3c4d5e)`. */
export function licenseReads(state: unknown): string {
  const fields = fieldsOf(state)
  const digest = isGiven(fields.get('sha256')) ? ` (${brief(fields.get('sha256'))})` : ''
  return `${brief(fields.get('reads'))}${digest}`
}

/** The branch or tag that an event is about. */
export function reference(detail: Detail): string {
  return brief(detail['ref'] ?? detail['name'] ?? 'a branch or tag')
}

/** Why, as the end of a sentence; empty when the event does not tell. */
export function because(detail: Detail): string {
  const evidence = evidenceText(detail['evidence'])
  if (evidence !== '') return ` (${evidence})`
  for (const key of ['message', 'reason', 'meaning', 'code']) {
    const value = detail[key]
    if (typeof value === 'string' && value !== '') return `: ${cut(value)}`
  }
  return ''
}

/** Names of files that an event is about, under any of the keys that hold some. */
export function changes(detail: Detail): string {
  const paths = ['path', 'paths', 'replaced', 'added', 'removed', 'names'].flatMap((key) => pathsOf(detail[key]))
  if (paths.length === 0) return ''
  const known = [detail['changes'], detail['count']].find((count) => typeof count === 'number')
  const more = (known ?? paths.length) - Math.min(paths.length, MAX_PATHS_SHOWN)
  const shown = paths.slice(0, MAX_PATHS_SHOWN).map(cut).join(', ')
  return `: ${shown}${more > 0 ? ` and ${more} more` : ''}`
}

/** Small files whose name says what they decide, in any folder. */
const PARTS: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\/)chat_template\.(?:jinja|json)$|(?:^|\/)additional_chat_templates\//, 'chat template'],
  [/(?:^|\/)(?:tokenizer|vocab|added_tokens|special_tokens_map)\.json$|(?:^|\/)merges\.txt$|\.tiktoken$/, 'tokenizer'],
  [/(?:^|\/)tokenizer_config\.json$/, 'tokenizer configuration'],
  [/(?:^|\/)generation_config\.json$/, 'generation settings'],
  [/(?:^|\/)(?:preprocessor|video_preprocessor|processor)_config\.json$/, 'input processing'],
  [/(?:^|\/)config\.json$/, 'model configuration'],
  [/\.py$/, 'code'],
]

/** What replaced small files decide, by their names: ` — changes the chat template`; empty when none is known. */
export function changedParts(detail: Detail): string {
  const replaced = pathsOf(detail['replaced'])
  const parts = PARTS.filter(([pattern]) => replaced.some((path) => pattern.test(path)))
  return parts.length === 0 ? '' : ` — changes the ${parts.map(([, part]) => part).join(', ')}`
}

/** What the headers of replaced files tell, after a dash; empty when they were not read. */
export function headerWords(detail: Detail): string {
  const { what } = detail
  if (!Array.isArray(what)) return ''
  const words = what.filter((word): word is string => typeof word === 'string').slice(0, MAX_WORDS_SHOWN)
  return words.length === 0 ? '' : ` — ${words.map(cut).join(', ')}`
}

function pathsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value)) return []
  return value.flatMap((entry: unknown) => {
    if (typeof entry === 'string') return [entry]
    const path = fieldsOf(entry).get('path')
    return typeof path === 'string' ? [path] : []
  })
}

/** How much was sealed. */
export function totals(detail: Detail): string {
  const files = detail['files'] ?? detail['filesHeld']
  const bytes = detail['bytes'] ?? detail['bytesHeld']
  if (typeof files !== 'number' || typeof bytes !== 'number') return ''
  return `, ${files} ${files === 1 ? 'file' : 'files'}, ${formatSize(bytes)}`
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [])
}

function cut(text: string): string {
  return displayName(text.length > MAX_VALUE_CHARACTERS ? `${text.slice(0, MAX_VALUE_CHARACTERS)}…` : text)
}

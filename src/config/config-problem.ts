import { ArchiveError } from '../domain/errors.ts'

/** Steps from the root of the configuration to a value. */
export type KeyPath = readonly (string | number)[]

/** One thing wrong with the configuration. `line` and `column` count from 1; absent for an environment variable. */
export interface ConfigProblem {
  /** File as the user names it, or the environment variable. */
  readonly source: string
  readonly line?: number
  readonly column?: number
  /** As people write it: `watch[0].every`. */
  readonly key?: string
  readonly message: string
}

/** What a bad file may make us print: the rest is counted. */
const MAX_PROBLEMS_SHOWN = 50

/** `watch[0].every`; a key that is not a plain word is quoted, so that it cannot disturb a terminal. */
export function printKeyPath(path: KeyPath): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += `${text === '' ? '' : '.'}${printKey(step)}`
  }
  return text
}

/** `weightvault.yaml:6:11: watch[0].evry: Unknown key; did you mean "every"?` */
function printProblem(problem: ConfigProblem): string {
  const place = problem.line === undefined ? problem.source : `${problem.source}:${problem.line}:${problem.column ?? 1}`
  return [place, problem.key, problem.message].filter((part) => part !== undefined && part !== '').join(': ')
}

/** One error for all problems of a configuration, in the order of the file. */
export function configInvalid(problems: readonly ConfigProblem[], options: { cause?: unknown } = {}): ArchiveError {
  const ordered = problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
  const shown = ordered.slice(0, MAX_PROBLEMS_SHOWN)
  const hidden = ordered.length - shown.length
  const lines = [...shown.map(printProblem), ...(hidden > 0 ? [`… and ${hidden} more`] : [])]
  return new ArchiveError('CONFIG_INVALID', lines.join('\n'), {
    ...options,
    hint: 'nothing was changed; correct the configuration and try again',
    details: { problems: shown },
  })
}

/** A value for an error message: short, on one line and without control characters. */
export function printValue(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a group of keys'
  if (typeof value === 'string') return `the text ${quoteText(value)}`
  return `the ${typeof value} ${JSON.stringify(value)}`
}

/** A text in double quotes, at most 60 characters of it, with every control character escaped. */
export function quoteText(text: string): string {
  return escapeControls(JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text))
}

/** A path as it is, or quoted when it holds control characters. */
export function printPath(path: string): string {
  const quoted = escapeControls(JSON.stringify(path))
  return /[\p{Cc}\p{Cf}\u2028\u2029]/u.test(path) ? quoted : path
}

function printKey(key: string): string {
  return /^[A-Za-z0-9_-]{1,60}$/.test(key) ? key : quoteText(key)
}

// JSON.stringify leaves DEL, C1 and bidirectional controls as they are; they could rewrite what a terminal shows.
function escapeControls(text: string): string {
  return text.replaceAll(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

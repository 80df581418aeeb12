import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { parseRepoArgument, type RepoArgument } from '../domain/repo.ts'
import { UnitError, parseSize } from '../lib/units.ts'

/** Arguments and options of one call, as commander split them. Options are keyed by long name in camel case. */
export interface CommandInput {
  readonly arguments: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
}

/** A text option; undefined when not given. */
export function textOption(input: CommandInput, name: string): string | undefined {
  const value = input.options[name]
  return typeof value === 'string' ? value : undefined
}

/** Whether a flag without value was given. */
export function flagOption(input: CommandInput, name: string): boolean {
  return input.options[name] === true
}

/** A comma-separated option as a list; undefined when not given. */
export function listOption(input: CommandInput, name: string): string[] | undefined {
  const words = textOption(input, name)
    ?.split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
  return words === undefined || words.length === 0 ? undefined : words
}

/** An option that is one of a closed set. @throws ArchiveError USAGE */
export function choiceOption<Choice extends string>(
  input: CommandInput,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const value = textOption(input, name)
  if (value === undefined) return undefined
  const found = choices.find((choice) => choice === value.toLowerCase())
  if (found !== undefined) return found
  throw usage(`--${dashed(name)} is one of ${choices.join(', ')}; ${quote(value)} is none of them`)
}

/** A size option in bytes. @throws ArchiveError USAGE */
export function sizeOption(input: CommandInput, name: string): number | undefined {
  const value = textOption(input, name)
  if (value === undefined) return undefined
  try {
    return parseSize(value)
  } catch (error) {
    if (!(error instanceof UnitError)) throw error
    throw new ArchiveError('USAGE', `--${dashed(name)}: ${displayName(error.message)}`, { cause: error })
  }
}

/** A whole number from `least`. @throws ArchiveError USAGE */
export function countOption(input: CommandInput, name: string, least: number): number | undefined {
  const value = textOption(input, name)
  if (value === undefined) return undefined
  if (/^\d{1,15}$/.test(value) && Number(value) >= least) return Number(value)
  throw usage(`--${dashed(name)} is a whole number from ${least}; ${quote(value)} is not`)
}

/** A repository the person named, with its revision. @throws ArchiveError USAGE */
export function readRepo(text: string): RepoArgument {
  const repo = parseRepoArgument(text)
  if (repo !== undefined) return repo
  throw usage(
    `${quote(text)} is not the name of a repository`,
    'write owner/name, owner/name@commit, hf://owner/name or the URL of the repository on the Hub',
  )
}

/** A wrong call. */
export function usage(message: string, hint?: string): ArchiveError {
  return new ArchiveError('USAGE', message, hint === undefined ? {} : { hint })
}

/** A text a person typed, harmless and short, in double quotes. */
export function quote(text: string): string {
  return `"${displayName(text.length > 80 ? `${text.slice(0, 80)}…` : text)}"`
}

function dashed(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

import { lstat, mkdir } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { ArchiveError } from '../domain/errors.ts'
import { isErrno } from '../lib/fs-durable.ts'
import { checkConfigText } from './check-config.ts'
import { configInvalid, printKeyPath } from './config-problem.ts'
import { type WatchInput, watchSchema } from './config-schema.ts'
import { configTemplate } from './config-template.ts'
import { type WatchList, dataOf, withWatchList } from './edit-watch-list.ts'
import { configJsonSchema } from './json-schema.ts'
import { MAX_CONFIG_BYTES, SmallFileError, readSmallFile } from './read-small-file.ts'
import { replaceFile } from './replace-file.ts'

/** What is watched when the file does not say; must equal the default of the schema. */
const DEFAULT_WATCH: WatchList = [{ org: 'Qwen' }]

/**
 * Adds an entry to the watch list of a configuration file, keeping its comments and layout. A file that does not exist
 * is made from the template. False when the same name with the same `match` is watched already.
 * @throws ArchiveError CONFIG_INVALID when the entry or the file is not valid, or the file may not be written, DISK_FULL;
 *   nothing is changed then
 */
export async function addWatch(path: string, entry: WatchInput, signal: AbortSignal): Promise<boolean> {
  mustBeWatch(entry)
  // Without keys that are there but undefined: YAML has no such thing.
  const added = JSON.parse(JSON.stringify(entry)) as WatchInput
  const add = (list: WatchList): WatchList => (list.some((old) => isSameWatch(old, added)) ? list : [...list, added])
  return await editWatchList(path, add, signal)
}

/**
 * Removes every entry that names this organisation, user or repository (as the file spells it) from the watch list.
 * Gives how many there were. Archived data stays.
 * @throws ArchiveError CONFIG_INVALID when the file is not valid or may not be written, DISK_FULL; nothing is changed then
 */
export async function removeWatch(path: string, name: string, signal: AbortSignal): Promise<number> {
  let removed = 0
  const remove = (list: WatchList): WatchList => {
    const kept = list.filter((entry) => nameOf(entry) !== name)
    removed = list.length - kept.length
    return removed === 0 ? list : kept
  }
  await editWatchList(path, remove, signal)
  return removed
}

/**
 * Writes the commented template, and beside it the schema that editors look for. False when a configuration stands
 * there already; then nothing is written.
 * @param archive absolute path of the archive when it was named; undefined = the default
 */
export async function writeConfigTemplate(
  path: string,
  archive: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  if ((await readConfigText(path, signal)) !== undefined) return false
  await writeConfigFile(path, configTemplate(archive && pathInFile(path, archive)), signal)
  const schema = join(dirname(path), 'weightvault.schema.json')
  if (!(await isThere(schema)))
    await writeConfigFile(schema, `${JSON.stringify(configJsonSchema(), null, 2)}\n`, signal)
  return true
}

/** Below the file's folder relative to it, so that both can move together. */
function pathInFile(file: string, folder: string): string {
  const short = relative(dirname(file), folder)
  return short === '' || short.startsWith('..') ? folder : `./${short}`
}

async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  )
}

async function editWatchList(
  path: string,
  edit: (list: WatchList) => WatchList,
  signal: AbortSignal,
): Promise<boolean> {
  const existing = await readConfigText(path, signal)
  const before = existing ?? configTemplate()
  mustBeValid(before, path)
  const list = (dataOf(before)['watch'] as WatchList | undefined) ?? DEFAULT_WATCH
  const wanted = edit(list)
  if (wanted === list) return false
  const after = withWatchList(before, list, wanted)
  if (after === undefined) {
    throw new ArchiveError('CONFIG_INVALID', `the watch list in ${path} cannot be edited by this command`, {
      hint: 'nothing was changed; edit the file by hand (an anchor "&" in one entry may be used by another)',
    })
  }
  mustBeValid(after, path)
  if ((await readConfigText(path, signal)) !== existing) {
    throw new ArchiveError('CONFIG_INVALID', `${path} was changed by someone else in this moment`, {
      hint: 'nothing was changed by this command; try again',
    })
  }
  await writeConfigFile(path, after, signal)
  return true
}

/** @throws ArchiveError DISK_FULL, CONFIG_INVALID when it may not be written; the old file is as it was then */
async function writeConfigFile(path: string, text: string, signal: AbortSignal): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await replaceFile(path, text, signal)
  } catch (error) {
    if (!isErrno(error)) throw error
    const isFull = isErrno(error, 'ENOSPC', 'EDQUOT')
    throw new ArchiveError(isFull ? 'DISK_FULL' : 'CONFIG_INVALID', `${path} cannot be written (${error.code})`, {
      cause: error,
      hint: `nothing was changed; ${isFull ? 'free some space' : 'check its owner, its permissions and the mount'} and try again`,
    })
  }
}

function mustBeWatch(entry: WatchInput): void {
  const checked = watchSchema.safeParse(entry)
  if (checked.success) return
  throw configInvalid(
    checked.error.issues.map(({ path, message }) => ({
      source: 'watch entry',
      key: printKeyPath(path.map((step) => (typeof step === 'number' ? step : String(step)))),
      message,
    })),
  )
}

function mustBeValid(text: string, path: string): void {
  const checked = checkConfigText(text, basename(path), undefined)
  if ('problems' in checked) throw configInvalid(checked.problems)
}

function nameOf(entry: WatchInput): string | undefined {
  return entry.org ?? entry.user ?? entry.repo
}

function isSameWatch(a: WatchInput, b: WatchInput): boolean {
  return nameOf(a) === nameOf(b) && a.match === b.match
}

async function readConfigText(path: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await readSmallFile(path, MAX_CONFIG_BYTES, signal))?.text
  } catch (error) {
    if (!(error instanceof SmallFileError)) throw error
    throw configInvalid([{ source: basename(path), message: `The configuration ${error.message}` }], { cause: error })
  }
}

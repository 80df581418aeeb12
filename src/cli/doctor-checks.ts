import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import type { LoadedConfig } from '../config/load-config.ts'
import { ERROR_CODES, errorCodeOf } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import { DAMAGE_EVENTS, damageSeen } from '../domain/open-damage.ts'
import { formatDuration, formatSize } from '../lib/units.ts'
import { measureStored } from '../pipeline/disk-room.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import { ago, counted } from './ago.ts'
import { eachFile, eachRepo } from './read-pages.ts'
import { damageText } from './status.ts'

/** One finding. `advice` says what to do. */
export interface Check {
  readonly name: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly message: string
  readonly advice?: string | undefined
  /** Of a failure: the exit code of other commands that meet it; 1 when left out. */
  readonly exitCode?: number
}

const HUB_DEADLINE_MS = 10_000
/** The Hub's own Python client refuses to upload larger single files, so one that is listed is unusual. */
const UNUSUAL_FILE_BYTES = 50_000_000_000
/** Files that are looked at for unusual sizes. */
const MAX_FILES_READ = 20_000
const SLOW_WATCH_FACTOR = 3
/** Findings of damage that are counted. */
const MAX_DAMAGE_READ = 1000

/** The configuration file: which, and whether others can read a secret in it. */
export async function checkConfig(loaded: LoadedConfig): Promise<Check[]> {
  const { file, warnings } = loaded
  const message = file === undefined ? 'none; defaults are used ("weightvault init" writes one)' : file
  const checks: Check[] = [{ name: 'config', status: 'ok', message }]
  for (const warning of warnings) checks.push({ name: 'config', status: 'warn', message: warning, advice: warning })
  const holdsToken = file !== undefined && loaded.tokenSource?.startsWith('config') === true
  const mode = holdsToken ? (await stat(file)).mode : 0
  if ((mode & 0o077) !== 0 && warnings.length === 0) {
    const text = `others may read ${displayName(file!)} (mode ${(mode & 0o777).toString(8)}), and it holds a token`
    checks.push({ name: 'config', status: 'warn', message: text, advice: `chmod 600 ${displayName(file!)}` })
  }
  return checks
}

/** Where the token comes from; never the token. */
export function checkToken({ tokenSource }: LoadedConfig): Check {
  if (tokenSource !== undefined) return { name: 'token', status: 'ok', message: `found (${tokenSource})` }
  const message = 'none; public repositories need none (HF_TOKEN opens gated ones and a higher quota)'
  return { name: 'token', status: 'ok', message }
}

/** The archive: its disk is the right one, it can be written, and who holds it. */
export async function checkArchive(archive: OpenedArchive): Promise<Check> {
  const name = 'archive'
  try {
    await archive.blobs.assertMounted()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const { exitCode } = ERROR_CODES[errorCodeOf(error)]
    return { name, status: 'fail', message, advice: 'mount the disk of the archive', exitCode }
  }
  const isWritable = await access(archive.root, constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!isWritable) {
    const advice = 'mount its disk for writing, or run as the user who owns it'
    const { exitCode } = ERROR_CODES.ARCHIVE_READ_ONLY
    return { name, status: 'fail', message: `${archive.root} cannot be written`, advice, exitCode }
  }
  const service = archive.service === undefined ? 'no service runs' : 'a service runs'
  return { name, status: 'ok', message: `${archive.root}; ${service}` }
}

/** Damage that was found in what is archived; whether it is still there only a new reading tells. */
export async function checkDamage(archive: OpenedArchive, signal: AbortSignal): Promise<Check> {
  signal.throwIfAborted()
  const damage = damageSeen(await archive.catalog.events({ types: DAMAGE_EVENTS, limit: MAX_DAMAGE_READ }))
  const name = 'damage'
  if (damage.found === 0) return { name, status: 'ok', message: 'none was ever found' }
  const message = damageText(damage, archive.clock.now())
  if (damage.open === 0) return { name, status: 'ok', message }
  const advice = '"weightvault verify" says what is damaged now, and how to put it right'
  return { name, status: 'warn', message, advice }
}

/** Free space against reserve and budget. */
export async function checkDisk(archive: OpenedArchive): Promise<Check[]> {
  const { settings } = archive
  const { usedBytes: used, freeBytes: free } = await measureStored(archive, new Map())
  const left = settings.budgetBytes - used
  const room = free - settings.reserveBytes
  const disk = `${formatSize(free)} free, reserve ${formatSize(settings.reserveBytes)}`
  const budget = `${formatSize(used)} of ${formatSize(settings.budgetBytes)} used`
  const checks: Check[] = []
  if (room <= 0) {
    const advice = 'free some space, or lower budget.reserve; downloads wait until then'
    const { exitCode } = ERROR_CODES.DISK_FULL
    checks.push({ name: 'disk', status: 'fail', message: disk, advice, exitCode })
  } else if (room < left) {
    const advice = `the disk ends before the budget does: only ${formatSize(room)} more can be archived; lower budget.total or use a larger disk`
    checks.push({ name: 'disk', status: 'warn', message: disk, advice })
  } else {
    checks.push({ name: 'disk', status: 'ok', message: disk })
  }
  if (left > 0) checks.push({ name: 'budget', status: 'ok', message: budget })
  else checks.push({ name: 'budget', status: 'warn', message: budget, advice: 'raise budget.total to archive more' })
  return checks
}

/** One small question to the Hub, with the token if there is one. */
export async function checkHub(archive: OpenedArchive, signal: AbortSignal): Promise<Check> {
  const { hub, clock } = archive
  const startMs = clock.now()
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(HUB_DEADLINE_MS)])
  try {
    if (!(await askSomething(archive, bounded))) {
      return { name: 'hub', status: 'ok', message: 'not asked: nothing is watched' }
    }
    return { name: 'hub', status: 'ok', message: `${hub.endpoint} answers in ${formatDuration(clock.now() - startMs)}` }
  } catch (error) {
    signal.throwIfAborted()
    const isLate = bounded.aborted
    const code = isLate ? 'HUB_UNREACHABLE' : errorCodeOf(error)
    const said = error instanceof Error ? error.message : String(error)
    const message = isLate ? `${hub.endpoint} did not answer within ${formatDuration(HUB_DEADLINE_MS)}` : said
    const isToken = code === 'CREDENTIALS_INVALID'
    const advice = isToken
      ? 'the Hub refuses the token: make a new one and set HF_TOKEN'
      : 'check the network, hub.endpoint (HF_ENDPOINT) and the proxy variables; what is archived stays usable'
    return {
      name: isToken ? 'token' : 'hub',
      status: 'fail',
      message: `${message} (${code})`,
      advice,
      exitCode: ERROR_CODES[isToken ? code : 'HUB_UNREACHABLE'].exitCode,
    }
  }
}

/**
 * A single repository where one is known: a listing of a whole organisation would spend more of the quota. False when
 * there is nothing to ask for.
 */
async function askSomething(archive: OpenedArchive, signal: AbortSignal): Promise<boolean> {
  const ref = await someRepo(archive)
  if (ref !== undefined) {
    await archive.hub.askRepo(ref, signal)
    return true
  }
  const [first] = archive.settings.watches
  if (first === undefined || first.target.kind === 'repo') return false
  await archive.hub.listOwner(first.target.owner, 'model', signal)
  return true
}

async function someRepo(archive: OpenedArchive): Promise<RepoRef | undefined> {
  const watched = archive.settings.watches.find(({ target }) => target.kind === 'repo')?.target
  if (watched?.kind === 'repo') return watched.ref
  const [known] = await archive.catalog.listRepos({}, { after: undefined, limit: 1, withSnapshots: false })
  return known?.ref
}

/** Watches whose last poll failed or is long overdue, and a clock that runs behind the records. */
export async function checkWatches(archive: OpenedArchive): Promise<Check[]> {
  const nowMs = archive.clock.now()
  const states = new Map((await archive.catalog.watchStates()).map((state) => [state.watch, state]))
  const checks: Check[] = []
  let newestMs = 0
  for (const watch of archive.settings.watches) {
    const state = states.get(watch.key)
    newestMs = Math.max(newestMs, Date.parse(state?.lastPollAt ?? '') || 0)
    if (state?.lastErrorCode !== undefined) {
      const message = `${watch.key}: ${state.lastErrorCode} ${state.lastErrorMessage ?? ''}`.trim()
      checks.push({
        name: 'watch',
        status: 'warn',
        message,
        advice: 'it is tried again by itself; "weightvault sync" tries now',
      })
    } else if (nowMs - Date.parse(state?.lastOkAt ?? '') > watch.everyMs * SLOW_WATCH_FACTOR) {
      const message = `${watch.key}: last polled ${ago(state?.lastOkAt, nowMs)}, every ${formatDuration(watch.everyMs)}`
      checks.push({ name: 'watch', status: 'warn', message, advice: 'nothing polls: is the service running?' })
    }
  }
  if (newestMs > nowMs + 60_000) {
    const message = `this machine's clock is ${formatDuration(newestMs - nowMs)} behind the last poll`
    checks.push({ name: 'clock', status: 'fail', message, advice: 'set the clock; times in the records come from it' })
  }
  if (checks.length > 0) return checks
  return [{ name: 'watches', status: 'ok', message: counted(archive.settings.watches.length, 'entry', 'entries') }]
}

/** Listed files so large that they are unusual on the Hub. */
export async function checkLargeFiles(archive: OpenedArchive, signal: AbortSignal): Promise<Check> {
  const found: string[] = []
  let left = MAX_FILES_READ
  const page = { after: undefined, limit: 500, withSnapshots: false }
  for await (const row of eachRepo(archive.catalog, { largerBytes: UNUSUAL_FILE_BYTES }, page, signal)) {
    if (row.newest === undefined || left <= 0) continue
    for await (const file of eachFile(archive.catalog, row.newest.snapshotId, signal)) {
      left -= 1
      if (file.size > UNUSUAL_FILE_BYTES)
        found.push(`${printRepo(row.ref)} ${displayName(file.path)} ${formatSize(file.size)}`)
      if (left <= 0) break
    }
  }
  const name = 'sizes'
  if (found.length === 0)
    return { name, status: 'ok', message: `no listed file is larger than ${formatSize(UNUSUAL_FILE_BYTES)}` }
  const message = `${counted(found.length, 'file')} larger than ${formatSize(UNUSUAL_FILE_BYTES)}: ${found.slice(0, 3).join(', ')}`
  const advice =
    'check with "weightvault plan" that the budget is meant for them; keep.exclude or keep.max_repo leave them out'
  return { name, status: 'warn', message, advice }
}

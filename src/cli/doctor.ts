import { ArchiveError, ERROR_CODES } from '../domain/errors.ts'
import { checkChannels } from './check-channels.ts'
import { harmless } from './printer.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import {
  checkArchive,
  checkConfig,
  checkDamage,
  checkDisk,
  checkHub,
  checkLargeFiles,
  checkToken,
  checkWatches,
  type Check,
} from './doctor-checks.ts'
import { renderTable, type Column } from './table.ts'

/** Exit code where the Hub is not to be reached. */
const HUB_FAILED = 8

/** `weightvault doctor` */
export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'check configuration, token, disk and Hub, and say what to do',
  description:
    'Checks the configuration and its permissions, the token, the archive, damage found in it, its disk, the Hub (when something is watched), the state of the watches and of the alert channels, and files of unusual size; says what to do about each finding. Changes nothing.',
  examples: ['weightvault doctor', 'weightvault doctor --json'],
  exits: [8, 9],
  run: doctor,
}

async function doctor(context: CommandContext): Promise<Outcome> {
  const checks = await runChecks(context)
  const failed = checks.filter((check) => check.status === 'fail')
  const shown = checks.map(({ name, status, message, advice }) => ({ name, status, message, advice: advice ?? null }))
  return outcome({ ok: failed.length === 0, checks: shown }, (screen) => doctorText(checks, screen), exitCodeOf(failed))
}

/** That of the first finding, because the others may follow from it; what is wrong here comes before what the Hub lacks. */
function exitCodeOf(failed: readonly Check[]): number {
  const codes = failed.map(({ exitCode = 1 }) => exitCode)
  return codes.find((code) => code !== HUB_FAILED) ?? codes[0] ?? 0
}

/** In the order in which they build on each other: without a configuration there is no archive to look at. */
async function runChecks(context: CommandContext): Promise<Check[]> {
  const checks: Check[] = []
  const config = await attempt(checks, 'config', () => context.loadConfig())
  if (config === undefined) return checks
  checks.push(...(await checkConfig(config)), checkToken(config))
  const archive = await attempt(checks, 'archive', () => context.openArchive('read'))
  if (archive === undefined) return checks
  checks.push(await checkArchive(archive))
  checks.push(await checkDamage(archive, context.signal))
  checks.push(...(await checkDisk(archive)))
  checks.push(await checkHub(archive, context.signal))
  checks.push(...(await checkWatches(archive)))
  checks.push(...(await checkChannels(archive)))
  checks.push(await checkLargeFiles(archive, context.signal))
  return checks
}

/** An error of a step is a finding, with its own advice; a bug stays a bug. */
async function attempt<Value>(checks: Check[], name: string, step: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await step()
  } catch (error) {
    if (!(error instanceof ArchiveError) || ERROR_CODES[error.code].exitCode === 130) throw error
    const { exitCode } = ERROR_CODES[error.code]
    checks.push({ name, status: 'fail', message: `${error.message} (${error.code})`, advice: error.hint, exitCode })
    return undefined
  }
}

function doctorText(checks: readonly Check[], screen: Screen): string {
  const { palette } = screen
  const paint = { ok: palette.good, warn: palette.attention, fail: palette.bad }
  const columns: Column<Check>[] = [
    { header: 'CHECK', text: (check) => check.name },
    { header: 'RESULT', text: (check) => check.status, paint: (check) => paint[check.status] },
    { header: 'FINDING', text: (check) => check.message, minWidth: 20 },
  ]
  const table = renderTable(columns, checks, Infinity, palette.faint)
  const advice = checks.flatMap((check) =>
    check.advice === undefined ? [] : [`${paint[check.status](check.name)}: ${harmless(check.advice)}`],
  )
  const failed = checks.filter((check) => check.status === 'fail').length
  const warned = checks.filter((check) => check.status === 'warn').length
  const verdict =
    failed + warned === 0 ? palette.good('Everything is fine.') : `${failed} failed, ${warned} to look at.`
  return [
    table,
    '',
    ...(advice.length > 0 ? ['What to do:', ...advice.map((line) => `  ${line}`), ''] : []),
    verdict,
  ].join('\n')
}

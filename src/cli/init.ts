import { statfs } from 'node:fs/promises'
import { resolve } from 'node:path'
import { writeConfigTemplate } from '../config/config-file.ts'
import { expandHome } from '../config/find-token.ts'
import type { LoadedConfig } from '../config/load-config.ts'
import { displayName } from '../domain/file-name.ts'
import { formatSize } from '../lib/units.ts'
import { counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { findCaches, type FoundCache } from './find-caches.ts'

/** `weightvault init` */
export const initCommand: Command = {
  name: 'init',
  summary: 'write a commented configuration and make the archive',
  description:
    'Writes a commented configuration (never over an existing file), makes the archive folder, and says what it found: a token, free space, and caches of the Hub’s own clients.',
  examples: [
    'weightvault init',
    'weightvault init --archive /srv/weights',
    'weightvault init --config /etc/weightvault.yaml',
  ],
  exits: [9],
  run: init,
}

interface InitResult {
  readonly config: string
  readonly configWritten: boolean
  readonly archive: string
  /** False where the disk lets nothing be written. */
  readonly isReady: boolean
  readonly freeBytes: number
  readonly tokenSource: string | null
  readonly caches: readonly FoundCache[]
  readonly warnings: readonly string[]
}

async function init(context: CommandContext): Promise<Outcome> {
  const { cwd, env, homeDir, archiveFlag, signal } = context
  const file = await configFile(context)
  const named = archiveFlag === undefined ? undefined : resolve(cwd, expandHome(archiveFlag, homeDir))
  const configWritten = await writeConfigTemplate(file, named, signal)
  const loaded = await context.loadConfig()
  await context.initArchive(loaded.config)
  // Opening it for writing makes the catalog, so that every command works from now on.
  const { writable, refusal } = await context.openArchive('auto')
  const result: InitResult = {
    config: file,
    configWritten,
    archive: loaded.config.archive,
    freeBytes: await freeBytesOf(loaded.config.archive),
    tokenSource: loaded.tokenSource ?? null,
    caches: await findCaches(env, homeDir, cwd, signal),
    // While another process writes, the archive is ready all the same.
    isReady: writable || refusal?.code === 'ARCHIVE_LOCKED',
    warnings: [...loaded.warnings, ...otherArchive(loaded, configWritten)],
  }
  return outcome(result, (screen) => initText(result, loaded, screen))
}

/** A file that stays as it is and means another folder than this call does. */
function otherArchive({ file, fileArchive, config }: LoadedConfig, configWritten: boolean): string[] {
  if (configWritten || file === undefined || fileArchive === config.archive) return []
  return [`the configuration still says ${fileArchive}; edit "archive" in it, or pass --archive to every command`]
}

async function configFile(context: CommandContext): Promise<string> {
  if (context.configFlag !== undefined) return resolve(context.cwd, context.configFlag)
  const named = context.env['WEIGHTVAULT_CONFIG']
  if (named !== undefined && named !== '') return resolve(context.cwd, named)
  return (await context.loadConfig()).file ?? resolve(context.cwd, 'weightvault.yaml')
}

async function freeBytesOf(path: string): Promise<number> {
  const facts = await statfs(path)
  return facts.bavail * facts.bsize
}

function initText(result: InitResult, { config }: LoadedConfig, { palette }: Screen): string {
  const { totalBytes, reserveBytes } = config.budget
  const needed = Math.min(totalBytes, result.freeBytes)
  const tight = result.freeBytes < totalBytes + reserveBytes
  const lines: [string, string][] = [
    ['config', `${displayName(result.config)} ${result.configWritten ? palette.good('written') : '(kept as it is)'}`],
    [
      'archive',
      `${displayName(result.archive)} ${result.isReady ? palette.good('ready') : palette.attention('may only be read')}`,
    ],
    [
      'disk',
      `${formatSize(result.freeBytes)} free; budget ${formatSize(totalBytes)}, reserve ${formatSize(reserveBytes)}${tight ? palette.attention(` (the disk ends first: about ${formatSize(Math.max(0, needed - reserveBytes))} can be archived)`) : ''}`,
    ],
    [
      'token',
      result.tokenSource === null
        ? 'none found; public repositories need none'
        : `found (${displayName(result.tokenSource)})`,
    ],
    ...result.caches.map((cache): [string, string] => ['cache', cacheText(cache)]),
    ...result.warnings.map((warning): [string, string] => [palette.attention('warning'), displayName(warning)]),
  ]
  const facts = lines.map(([name, value]) => `${palette.faint(name.padEnd(8))} ${value}`)
  const next = [
    '',
    'Next:',
    '  weightvault plan    what would be fetched, and why',
    '  weightvault run     the service',
  ]
  return [...facts, ...next].join('\n')
}

function cacheText(cache: FoundCache): string {
  const least = cache.isComplete ? '' : 'at least '
  return `${displayName(cache.path)}: ${least}${counted(cache.repos, 'repository', 'repositories')}, ${formatSize(cache.bytes)}${cache.repos === 0 ? '' : ': after a first "weightvault sync --check" take it over with "weightvault adopt"'}`
}

import { homedir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { quantOf } from '../domain/weight-file.ts'
import { isLoopback } from './config-fields.ts'
import { checkConfigText } from './check-config.ts'
import { type ConfigProblem, configInvalid, printKeyPath, printPath } from './config-problem.ts'
import type { ConfigFileValues } from './config-schema.ts'
import { type Config, resolveConfig, secretOf } from './config.ts'
import { readEnvironment } from './environment.ts'
import { expandHome, findToken } from './find-token.ts'
import type { ParsedYaml } from './parse-config-yaml.ts'
import { MAX_CONFIG_BYTES, SmallFileError, readSmallFile } from './read-small-file.ts'

export interface LoadConfigInput {
  /** From the command line; they win over everything. */
  readonly flags: { readonly config?: string | undefined; readonly archive?: string | undefined }
  /** Default: the environment of this process. */
  readonly env?: NodeJS.ProcessEnv
  /** Absolute. Default: the working directory. */
  readonly cwd?: string
  /** Absolute. Default: the home folder of the user. */
  readonly homeDir?: string
}

export interface LoadedConfig {
  readonly config: Config
  /** Absolute path of the file that was read; undefined when there is none and defaults were taken. */
  readonly file: string | undefined
  /** Absolute path of the archive as the file alone says, whatever a flag or variable says. */
  readonly fileArchive: string
  /** `env HF_TOKEN`, `file <path>`, `config <file>`; undefined without a token. */
  readonly tokenSource: string | undefined
  /** Sentences for the log: nothing is wrong enough to stop. */
  readonly warnings: readonly string[]
}

/** Which file to read, and how to name it in messages. */
interface ConfigLocation {
  readonly path: string
  readonly shownAs: string
  /** Set when a flag or variable names it: then it must exist. */
  readonly namedBy: 'flag' | 'WEIGHTVAULT_CONFIG' | undefined
}

/**
 * Reads the configuration: flag > environment > file > default. All problems of the file and of the variables are
 * reported together; nothing of a bad configuration is used.
 * @throws ArchiveError CONFIG_INVALID, CREDENTIALS_INVALID, UNSAFE_PERMISSION
 */
export async function loadConfig(input: LoadConfigInput, signal: AbortSignal): Promise<LoadedConfig> {
  const env = input.env ?? process.env
  const cwd = input.cwd ?? process.cwd()
  const homeDir = input.homeDir ?? homedir()
  const surroundings = readEnvironment(env)
  const file = await readConfigFile(configLocations(input.flags.config, env, cwd, homeDir), signal)
  const checked = checkConfigText(file?.text ?? '', file?.shownAs ?? 'defaults', env)
  const problems = [
    ...surroundings.problems,
    ...archiveProblems(input.flags.archive, env),
    ...('problems' in checked ? checked.problems : []),
  ]
  if (problems.length > 0 || 'problems' in checked) throw configInvalid(problems)
  const { values, yaml } = checked

  const fromConfig = { token: secretOf(values.hub.token), file: file?.shownAs }
  const found = await findToken({ env, cwd, homeDir, fromConfig }, signal)
  const config = resolveConfig(values, {
    ...surroundings.values,
    archive: archivePath(input.flags.archive, env, values.archive, { cwd, homeDir, file: file?.path }),
    viewPaths: values.views.map(({ path }) => archivePath(undefined, {}, path, { cwd, homeDir, file: file?.path })),
    endpoint: surroundings.values.endpoint ?? values.hub.endpoint,
    token: found.token,
  })
  const fileArchive = archivePath(undefined, {}, values.archive, { cwd, homeDir, file: file?.path })
  const warnings = [
    ...found.warnings,
    ...openSecrets(file, values, yaml),
    ...cleartextToken(config),
    ...unknownQuants(values),
  ]
  return { config, file: file?.path, fileArchive, tokenSource: found.source, warnings }
}

/** Where a configuration is looked for: the one that is named, or the usual places, first one first. */
function configLocations(
  flag: string | undefined,
  env: NodeJS.ProcessEnv,
  cwd: string,
  homeDir: string,
): readonly ConfigLocation[] {
  const named = flag ?? (env['WEIGHTVAULT_CONFIG'] || undefined)
  if (named !== undefined) {
    const path = resolve(cwd, expandHome(named, homeDir))
    return [{ path, shownAs: printPath(named), namedBy: flag === undefined ? 'WEIGHTVAULT_CONFIG' : 'flag' }]
  }
  const configHome = env['XDG_CONFIG_HOME'] || join(homeDir, '.config')
  const paths = [join(cwd, 'weightvault.yaml'), resolve(cwd, configHome, 'weightvault', 'config.yaml')]
  return paths.map((path) => ({ path, shownAs: shortest(path, cwd), namedBy: undefined }))
}

type ReadConfig = ConfigLocation & { readonly text: string; readonly mode: number }

async function readConfigFile(
  locations: readonly ConfigLocation[],
  signal: AbortSignal,
): Promise<ReadConfig | undefined> {
  for (const location of locations) {
    const file = await readOne(location, signal)
    if (file !== undefined) return { ...location, ...file }
    if (location.namedBy === undefined) continue
    const by = location.namedBy === 'flag' ? 'the --config flag' : location.namedBy
    throw problem(location, `There is no such file, but ${by} names it`)
  }
  return undefined
}

async function readOne(
  location: ConfigLocation,
  signal: AbortSignal,
): Promise<{ text: string; mode: number } | undefined> {
  try {
    return await readSmallFile(location.path, MAX_CONFIG_BYTES, signal)
  } catch (error) {
    if (!(error instanceof SmallFileError)) throw error
    throw problem(location, `The configuration ${error.message}`, error)
  }
}

function problem(location: ConfigLocation, message: string, cause?: unknown): Error {
  const problems: ConfigProblem[] = [{ source: location.shownAs, message }]
  return configInvalid(problems, cause === undefined ? {} : { cause })
}

/** A path in the file is relative to the file's folder, so that it means the same wherever a command is started. */
function archivePath(
  flag: string | undefined,
  env: NodeJS.ProcessEnv,
  fromFile: string,
  at: { cwd: string; homeDir: string; file: string | undefined },
): string {
  const outer = flag ?? (env['WEIGHTVAULT_ARCHIVE'] || undefined)
  if (outer !== undefined) return resolve(at.cwd, expandHome(outer, at.homeDir))
  return resolve(at.file === undefined ? at.cwd : dirname(at.file), expandHome(fromFile, at.homeDir))
}

function archiveProblems(flag: string | undefined, env: NodeJS.ProcessEnv): ConfigProblem[] {
  const source = flag === undefined ? 'WEIGHTVAULT_ARCHIVE' : '--archive'
  const text = flag ?? (env['WEIGHTVAULT_ARCHIVE'] || undefined)
  if (text === undefined || (text !== '' && printPath(text) === text)) return []
  return [{ source, message: 'Expected the path of a folder, without control characters' }]
}

function openSecrets(file: ReadConfig | undefined, values: ConfigFileValues, yaml: ParsedYaml): string[] {
  if (file === undefined || (file.mode & 0o007) === 0) return []
  const places = [
    ...(values.hub.token ? [['hub', 'token']] : []),
    ...(values.serve.token ? [['serve', 'token']] : []),
    ...(values.hub.webhook_secret ? [['hub', 'webhook_secret']] : []),
    ...(values.smtp.password ? [['smtp', 'password']] : []),
    ...values.notify.flatMap(({ to, secret }, index) => [
      ...(to.channel === 'mailto' ? [] : [['notify', index, 'to']]),
      ...(secret ? [['notify', index, 'secret']] : []),
    ]),
  ].filter((path) => yaml.rawTextAt(path) === undefined)
  return places.map((path) => {
    const key = printKeyPath(path)
    return `other users can read ${key} in ${file.shownAs}; chmod 600 the file, or use an environment variable`
  })
}

function cleartextToken(config: Config): string[] {
  if (config.hub.token === undefined) return []
  const url = new URL(config.hub.endpoint)
  const host = url.hostname.replaceAll(/^\[|\]$/g, '')
  if (url.protocol !== 'http:' || isLoopback({ host, port: 0 })) return []
  return [`the token is sent unencrypted to ${config.hub.endpoint}; use an https: endpoint`]
}

/** Names of quantisations grow with time, so an unknown one is no error; but a misspelt one keeps nothing. */
function unknownQuants(values: ConfigFileValues): string[] {
  return values.watch.flatMap(({ keep }, index) =>
    (keep.quants ?? [])
      .filter((quant) => quantOf(`model-${quant}.gguf`) !== quant.toUpperCase())
      .map((quant) => `watch[${index}].keep.quants: no file name is known to mean ${quant}; it would keep nothing`),
  )
}

function shortest(path: string, cwd: string): string {
  const short = relative(cwd, path)
  return printPath(short.startsWith('..') ? path : short)
}

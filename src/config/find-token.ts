import { isAbsolute, join, relative, resolve } from 'node:path'
import { ArchiveError } from '../domain/errors.ts'
import { isToken } from './config-fields.ts'
import { type SmallFile, SmallFileError, readSmallFile } from './read-small-file.ts'
import { Secret } from './secret.ts'

const MAX_TOKEN_FILE_BYTES = 4096

/** The Hub token in force, and where it came from (for `doctor` and messages). */
interface FoundToken {
  readonly token: Secret | undefined
  /** `env HF_TOKEN`, `file <path>` or `config <file>`. */
  readonly source: string | undefined
  readonly warnings: readonly string[]
}

const NONE: FoundToken = { token: undefined, source: undefined, warnings: [] }

/**
 * The token by the order of the Hub's own clients, with our file between: HF_TOKEN, HF_TOKEN_PATH, the configuration,
 * then what `hf auth login` left in HF_HOME.
 * @throws ArchiveError UNSAFE_PERMISSION for a file named by HF_TOKEN_PATH that others can read
 * @throws ArchiveError CREDENTIALS_INVALID for a token that cannot be sent, or a named file that is missing
 */
export async function findToken(
  input: {
    env: NodeJS.ProcessEnv
    cwd: string
    homeDir: string
    fromConfig: { token: Secret | undefined; file: string | undefined }
  },
  signal: AbortSignal,
): Promise<FoundToken> {
  const { env, cwd, homeDir, fromConfig } = input
  const direct = env['HF_TOKEN']?.trim() ?? ''
  if (direct !== '') return { token: checkedToken(direct, 'HF_TOKEN'), source: 'env HF_TOKEN', warnings: [] }
  const path = env['HF_TOKEN_PATH'] ?? ''
  if (path !== '') return await namedFile(resolve(cwd, expandHome(path, homeDir)), env, signal)
  if (fromConfig.token !== undefined) {
    return { token: fromConfig.token, source: `config ${fromConfig.file ?? ''}`.trim(), warnings: [] }
  }
  return await loginFile(resolve(cwd, loginTokenPath(env, homeDir)), signal)
}

/** Where `hf auth login` keeps its token. */
function loginTokenPath(env: NodeJS.ProcessEnv, homeDir: string): string {
  const cache = env['XDG_CACHE_HOME'] || join(homeDir, '.cache')
  return join(expandHome(env['HF_HOME'] || join(cache, 'huggingface'), homeDir), 'token')
}

/** `~` and `~/…` as a shell would read them. */
export function expandHome(path: string, homeDir: string): string {
  return path === '~' || path.startsWith('~/') ? join(homeDir, path.slice(2)) : path
}

async function namedFile(path: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<FoundToken> {
  const file = await readTokenFile(path, signal)
  if (file === undefined) {
    throw new ArchiveError('CREDENTIALS_INVALID', `HF_TOKEN_PATH: there is no file ${path}`, {
      hint: 'write the token there, or unset HF_TOKEN_PATH',
    })
  }
  if ((file.mode & 0o077) !== 0 && !isServiceCredential(path, env)) {
    throw new ArchiveError('UNSAFE_PERMISSION', `HF_TOKEN_PATH: other users can read ${path}`, {
      hint: `chmod 600 ${path}; if others use this machine, also make a new token`,
    })
  }
  return fromFile(file, path, [])
}

async function loginFile(path: string, signal: AbortSignal): Promise<FoundToken> {
  const file = await readTokenFile(path, signal)
  if (file === undefined) return NONE
  const isOpen = (file.mode & 0o077) !== 0
  return fromFile(file, path, isOpen ? [`other users can read the token in ${path}; chmod 600 it`] : [])
}

function fromFile(file: SmallFile, path: string, warnings: readonly string[]): FoundToken {
  const text = file.text.trim().split(/\r?\n/, 1)[0]!.trim()
  if (text === '') return { ...NONE, warnings: [...warnings, `the token file ${path} is empty`] }
  return { token: checkedToken(text, path), source: `file ${path}`, warnings }
}

async function readTokenFile(path: string, signal: AbortSignal): Promise<SmallFile | undefined> {
  try {
    return await readSmallFile(path, MAX_TOKEN_FILE_BYTES, signal)
  } catch (error) {
    if (!(error instanceof SmallFileError)) throw error
    throw new ArchiveError('CREDENTIALS_INVALID', `the token file ${path} ${error.message}`, { cause: error })
  }
}

function checkedToken(text: string, where: string): Secret {
  if (isToken(text)) return new Secret(text)
  throw new ArchiveError('CREDENTIALS_INVALID', `the token in ${where} is not one word of printable ASCII characters`, {
    hint: 'make a new access token on the Hub and set it again',
  })
}

// systemd gives a service its credentials in a folder of its own and grants access by an ACL, which shows as a group bit.
function isServiceCredential(path: string, env: NodeJS.ProcessEnv): boolean {
  const folder = env['CREDENTIALS_DIRECTORY'] ?? ''
  if (folder === '') return false
  const inside = relative(folder, path)
  return inside !== '' && !inside.startsWith('..') && !isAbsolute(inside)
}

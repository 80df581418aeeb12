import { opendir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

/** A cache of the Hub's own clients on this machine. */
export interface FoundCache {
  readonly path: string
  readonly repos: number
  readonly bytes: number
  /** False when there was more than we look at: the numbers are the least there is. */
  readonly isComplete: boolean
}

/** Folders and files that are looked at, over all caches: a few seconds on a slow disk. */
const MAX_ENTRIES = 50_000

/**
 * Caches where the Hub's clients put them: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, then the home folder. Reads names and
 * sizes only. A folder that cannot be read counts as empty.
 */
export async function findCaches(
  env: Readonly<Record<string, string | undefined>>,
  homeDir: string,
  cwd: string,
  signal: AbortSignal,
): Promise<FoundCache[]> {
  const cacheHome = env['XDG_CACHE_HOME'] || join(homeDir, '.cache')
  const candidates = [
    env['HF_HUB_CACHE'] || undefined,
    env['HF_HOME'] ? join(env['HF_HOME'], 'hub') : undefined,
    join(cacheHome, 'huggingface', 'hub'),
    join(homeDir, '.cache', 'huggingface', 'hub'),
  ]
  const paths = new Set(candidates.filter((path) => path !== undefined).map((path) => resolve(cwd, path)))
  const budget = { entries: MAX_ENTRIES }
  const found: FoundCache[] = []
  for (const path of paths) {
    const cache = await measureCache(path, budget, signal)
    if (cache !== undefined) found.push(cache)
  }
  return found
}

async function measureCache(
  path: string,
  budget: { entries: number },
  signal: AbortSignal,
): Promise<FoundCache | undefined> {
  let repos = 0
  let bytes = 0
  let isThere = false
  for await (const name of namesIn(path, budget, signal)) {
    isThere = true
    if (!/^(?:models|datasets|spaces)--/.test(name)) continue
    repos += 1
    const blobs = join(path, name, 'blobs')
    for await (const blob of namesIn(blobs, budget, signal)) bytes += await sizeOf(join(blobs, blob))
  }
  return isThere ? { path, repos, bytes, isComplete: budget.entries > 0 } : undefined
}

async function* namesIn(path: string, budget: { entries: number }, signal: AbortSignal): AsyncIterable<string> {
  const folder = await opendir(path).catch(() => undefined)
  if (folder === undefined) return
  for await (const entry of folder) {
    signal.throwIfAborted()
    if (budget.entries <= 0) return
    budget.entries -= 1
    yield entry.name
  }
}

async function sizeOf(path: string): Promise<number> {
  const entry = await stat(path).catch(() => undefined)
  return entry?.isFile() === true ? entry.size : 0
}

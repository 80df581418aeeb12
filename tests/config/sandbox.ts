import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type LoadedConfig, type LoadConfigInput, loadConfig } from '../../src/config/load-config.ts'
import { ArchiveError } from '../../src/domain/errors.ts'

/** A folder that is both working directory and home of the test, removed when it ends. */
export async function sandbox(t: TestContext): Promise<{
  folder: string
  write: (name: string, text: string | Uint8Array, mode?: number) => Promise<string>
  load: (input?: Partial<LoadConfigInput>) => Promise<LoadedConfig>
}> {
  const folder = await mkdtemp(join(tmpdir(), 'weightvault-config-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return {
    folder,
    write: async (name, text, mode = 0o600) => {
      const path = join(folder, name)
      await writeFile(path, text, { mode })
      return path
    },
    load: (input = {}) => loadConfig({ flags: {}, env: {}, cwd: folder, homeDir: folder, ...input }, t.signal),
  }
}

/** The error that a promise ends with; fails when it ends well or with anything else than an ArchiveError. */
export async function archiveErrorOf(promise: Promise<unknown>): Promise<ArchiveError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof ArchiveError) return error
    throw error
  }
  throw new Error('expected an ArchiveError, but nothing was thrown')
}

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../src/clock-port.ts'
import { openArchive } from '../../src/compose.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { createLogger } from '../../src/lib/logger.ts'
import { runPass } from '../../src/pipeline/run-pass.ts'
import { RecordedProgress } from '../../tests/support/test-vault.ts'
import { HANGS_AFTER_MS } from './campaign-options.ts'

/** Where a pass works: a folder for its configuration, an archive that may lie elsewhere, and a Hub. */
export interface PassPlace {
  readonly folder: string
  readonly root: string
  readonly hubUrl: string
}

/** Writes the configuration of a pass that keeps everything of Qwen. */
export async function writePassConfig({ folder, root, hubUrl }: PassPlace): Promise<string> {
  const file = join(folder, 'weightvault.yaml')
  await writeFile(
    file,
    `archive: ${JSON.stringify(root)}
serve: { dashboard: off, mirror: off }
hub: { endpoint: "${hubUrl}" }
budget: { total: 1GB, reserve: 0B }
watch: [{ org: Qwen }]
`,
  )
  return file
}

/**
 * Opens an archive and makes one pass, as a process would.
 * @param config a configuration file
 * @returns undefined when every snapshot there is was sealed; else the code of what ended or stopped the pass
 */
export async function onePass(config: string, folder: string, clock?: Clock): Promise<string | undefined> {
  const signal = AbortSignal.timeout(HANGS_AFTER_MS)
  try {
    const loaded = await loadConfig({ flags: { config }, env: {}, cwd: folder, homeDir: folder }, signal)
    const log = createLogger({ level: 'silent' })
    const options = { mode: 'write', log, signal, ...(clock === undefined ? {} : { clock }) } as const
    await using archive = await openArchive(loaded.config, options)
    const result = await runPass(archive, { repos: [], checkOnly: false }, new RecordedProgress(), signal)
    const totals = await archive.catalog.totals()
    if (totals.snapshots > 0 && totals.sealedSnapshots === totals.snapshots) return undefined
    return result.stoppedBy ?? result.failed[0]?.code ?? 'nothing'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

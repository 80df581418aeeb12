/**
 * The download path of the program as a process of its own: resolve, download, verify, publish, without catalog and
 * watching. Options as JSON in the first argument. The archive folder is made when it is missing, and resumed when not.
 */
import { parseCommitId, parseSha256 } from '../../src/domain/digest.ts'
import { parseRepoName } from '../../src/domain/repo.ts'
import { createHubSource } from '../../src/hub/hub-source.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { HashPool } from '../../src/lib/hash-files.ts'
import { TokenBucket } from '../../src/lib/token-bucket.ts'
import type { Log } from '../../src/log-port.ts'
import { downloadBlob } from '../../src/pipeline/download-blob.ts'
import type { PipelineDeps } from '../../src/pipeline/deps.ts'
import { verifyBlob } from '../../src/pipeline/verify-blob.ts'
import type { Progress } from '../../src/progress-port.ts'
import { createBlobStore } from '../../src/store/blob-store.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'
import type { Job } from '../../src/work-rows.ts'

export interface EngineOptions {
  readonly hub: string
  readonly archive: string
  readonly files: readonly { readonly path: string; readonly size: number; readonly sha256: string }[]
  /** Files at the same time. */
  readonly atOnce: number
}

/** What it says on stdout when every file is published. */
export interface EngineReport {
  /** Since the program was loaded. */
  readonly seconds: number
}

const silent = (): void => undefined
const LOG: Log = {
  debug: silent,
  info: silent,
  warn: (fields, message) => console.error(message, fields),
  error: silent,
}
const PROGRESS: Progress = {
  polled: silent,
  listed: silent,
  total: silent,
  started: silent,
  moved: silent,
  ended: silent,
  finished: silent,
  failed: silent,
  refused: silent,
  sealed: silent,
  events: silent,
  verified: silent,
  waiting: silent,
}

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as EngineOptions
  const startMs = performance.now()
  const { signal } = new AbortController()
  await using hashPool = new HashPool()
  const { archiveId } = await openArchiveFolder(options.archive, { create: true })
  const hub = createHubSource({
    endpoint: options.hub,
    token: undefined,
    proxy: undefined,
    userAgent: 'weightvault-bench',
    clock: systemClock,
    log: LOG,
  })
  const deps = {
    hub,
    blobs: createBlobStore({ root: options.archive, archiveId, hashPool, log: LOG }),
    clock: systemClock,
    log: LOG,
    progress: PROGRESS,
    witness: { lookUp: () => [] },
  } as unknown as PipelineDeps
  const bucket = new TokenBucket(systemClock, () => undefined)
  const shared = { bucket, onProgress: () => undefined, mayContinue: () => Promise.resolve(true) }
  const jobs = options.files.map(jobOf)
  const worker = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      const brought = await downloadBlob(deps, job, job.sources[0]!, shared, signal)
      await verifyBlob(deps, job, brought, brought.source, signal)
    }
  }
  await Promise.all(Array.from({ length: options.atOnce }, worker))
  console.log(JSON.stringify({ seconds: (performance.now() - startMs) / 1000 } satisfies EngineReport))
  await hub.close()
}

function jobOf(file: EngineOptions['files'][number], index: number): Job {
  const [name, commit, sha256] = [parseRepoName('Qwen/Bench'), parseCommitId('a'.repeat(40)), parseSha256(file.sha256)]
  if (name === undefined || commit === undefined || sha256 === undefined) throw new Error('the options are not valid')
  return {
    jobId: index,
    key: `sha256-${sha256}`,
    size: file.size,
    isSmall: false,
    attempts: 0,
    lastCode: undefined,
    sources: [
      {
        ref: { type: 'model', name },
        commit,
        path: file.path,
        origin: 'hub',
        repoId: 1,
        faults: 0,
        notBeforeMs: 0,
      },
    ],
  }
}

await main()

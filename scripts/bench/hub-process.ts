/**
 * A simulated Hub in a process of its own, so that its memory and CPU are not counted with the measured program's.
 * Started by `startBenchHub` with its options as JSON in the first argument; answers over the process channel.
 */
import { createHash } from 'node:crypto'
import { generated } from '../../tests/support/content/generated.ts'
import { syntheticRepos } from '../../tests/support/content/synthetic-repos.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import type { FileSpec, Quotas, SeenRequest, SimHub } from '../../tests/support/sim-hub/types.ts'

/** What the Hub of a benchmark holds, all of it under the owner `Qwen`. */
export type LineUp =
  /** Repositories `Synthetic-00001` … of four small files each. */
  | { readonly kind: 'synthetic'; readonly count: number }
  /** One repository `One-File` with a README.md and one generated `model.safetensors` of so many bytes. */
  | { readonly kind: 'one-file'; readonly bytes: number }
  /** One repository `Many-Files` of so many files of so many bytes. */
  | { readonly kind: 'many-files'; readonly count: number; readonly bytes: number }

export interface HubProcessOptions {
  readonly lineUp: LineUp
  readonly quotas: Quotas
}

/** What was asked since the last reset. */
export interface HubTally {
  /** Requests charged to the quota of API calls. */
  readonly api: number
  /** Of these: pages of a listing of repositories. */
  readonly lists: number
  /** Requests charged to the quota of file downloads. */
  readonly resolvers: number
  readonly total: number
  readonly refused429: number
  /** Bytes of files that were sent, of whole and broken-off answers. */
  readonly fileBytes: number
}

export type HubMessage =
  | { readonly kind: 'ready'; readonly url: string }
  | { readonly kind: 'tally'; readonly tally: HubTally }

const FILE_BLOCK_BYTES = 4 * 1024 * 1024

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as HubProcessOptions
  const hub = await startSimHub({ quotas: options.quotas, pieceBytes: 'large', treePageSize: 1000 })
  fill(hub, options.lineUp)
  let bytesBefore = 0
  process.on('message', (message: 'tally' | 'reset') => {
    if (message === 'tally') {
      const tally = tallyOf(hub.requests, hub.bytesServed() - bytesBefore)
      process.send?.({ kind: 'tally', tally } satisfies HubMessage)
    } else {
      hub.clearRequests()
      bytesBefore = hub.bytesServed()
    }
  })
  process.on('disconnect', () => process.exit())
  process.send?.({ kind: 'ready', url: hub.url } satisfies HubMessage)
}

function tallyOf(requests: readonly SeenRequest[], fileBytes: number): HubTally {
  const count = (matches: (request: SeenRequest) => boolean): number => requests.filter(matches).length
  return {
    api: count((request) => request.bucket === 'api'),
    lists: count((request) => request.origin === 'hub' && request.path.startsWith('/api/models?')),
    resolvers: count((request) => request.bucket === 'resolvers'),
    total: requests.length,
    refused429: count((request) => request.status === 429),
    fileBytes,
  }
}

function fill(hub: SimHub, lineUp: LineUp): void {
  switch (lineUp.kind) {
    case 'synthetic':
      for (const repo of syntheticRepos({ count: lineUp.count })) hub.world.addRepo(repo.id, repo)
      return
    case 'one-file':
      hub.world.addRepo('Qwen/One-File', { card: { license: 'apache-2.0' }, files: [oneFile(lineUp.bytes)] })
      return
    case 'many-files':
      hub.world.addRepo('Qwen/Many-Files', {
        card: { license: 'apache-2.0' },
        files: Array.from({ length: lineUp.count }, (_, at) => ({
          path: `data/${String(Math.floor(at / 1000)).padStart(3, '0')}/part-${String(at).padStart(6, '0')}.json`,
          content: generated(`many ${at}`, lineUp.bytes),
          lfs: false,
        })),
      })
  }
}

/** The digest is computed here, before anything is measured. */
function oneFile(bytes: number): FileSpec {
  const content = generated('one large file', bytes)
  const hash = createHash('sha256')
  for (let at = 0; at < bytes; at += FILE_BLOCK_BYTES) {
    hash.update(content.read(at, Math.min(FILE_BLOCK_BYTES, bytes - at)))
  }
  return { path: 'model.safetensors', content, lfs: true, sha256: hash.digest('hex') }
}

await main()

import type { HubFile, HubSource } from '../../../src/hub-port.ts'
import { createHubSource, type HubSourceOptions } from '../../../src/hub/hub-source.ts'
import { type CommitId, parseCommitId } from '../../../src/domain/digest.ts'
import { parseRepoName, type RepoRef, type RepoType } from '../../../src/domain/repo.ts'
import type { Log } from '../../../src/log-port.ts'
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts'

/** A hub source with a virtual clock, whose log is kept. */
export interface HubUnderTest extends AsyncDisposable {
  readonly hub: HubSource
  readonly clock: VirtualClock
  /** Every log line as JSON. */
  readonly logged: readonly string[]
  readonly waits: readonly { reason: string; untilMs: number }[]
}

/** A deadline that a test waits for. Give it only to what must pass it: on a busy machine it passes by itself. */
export const SHORT_MS = 100

export function hubUnderTest(endpoint: string, options: Partial<HubSourceOptions> = {}): HubUnderTest {
  const clock = createVirtualClock()
  const logged: string[] = []
  const waits: { reason: string; untilMs: number }[] = []
  const write = (fields: unknown, message: string) => void logged.push(JSON.stringify([fields, message]))
  const log: Log = { debug: write, info: write, warn: write, error: write }
  const hub = createHubSource({
    endpoint,
    token: undefined,
    proxy: undefined,
    userAgent: 'weightvault-test',
    clock,
    log,
    onWaiting: (reason, untilMs) => void waits.push({ reason, untilMs }),
    ...options,
  })
  return { hub, clock, logged, waits, [Symbol.asyncDispose]: () => hub.close() }
}

export function repoRef(name: string, type: RepoType = 'model'): RepoRef {
  const parsed = parseRepoName(name)
  if (parsed === undefined) throw new Error(`not a repo name: ${name}`)
  return { type, name: parsed }
}

export function commitId(text: string): CommitId {
  const parsed = parseCommitId(text)
  if (parsed === undefined) throw new Error(`not a commit: ${text}`)
  return parsed
}

export function hubFile(name: string, commit: string, path: string): HubFile {
  return { ref: repoRef(name), commit: commitId(commit), path }
}

/** All bytes of a range. */
export async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}

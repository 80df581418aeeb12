import { open, opendir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCommitId, type CommitId } from '../domain/digest.ts'
import { SEVERITIES, type EventType, type LoggedEvent } from '../domain/events.ts'
import { parseRepoName, REPO_TYPES, type RepoName, type RepoType } from '../domain/repo.ts'
import { OPEN_EXISTING } from '../lib/fs-durable.ts'
import type { Layout } from './layout.ts'

/** Names of every stored listing; those kept beside a first one, and whatever else is there, are passed over. */
export async function* listListings(layout: Layout): AsyncGenerator<{ name: RepoName; commit: CommitId }> {
  for await (const owner of foldersIn(layout.listings)) {
    for await (const repo of foldersIn(join(layout.listings, owner))) {
      const name = parseRepoName(`${owner}/${repo}`)
      if (name === undefined) continue
      for (const file of await readdir(join(layout.listings, owner, repo))) {
        const commit = parseCommitId(/^([0-9a-f]{40})\.json$/.exec(file)?.[1])
        if (commit !== undefined) yield { name, commit }
      }
    }
  }
}

async function* foldersIn(path: string): AsyncGenerator<string> {
  for await (const entry of await opendir(path)) if (entry.isDirectory()) yield entry.name
}

/** Every event of the journal files in the order of `seq`. Lines that are no event, torn ones above all, are passed over. */
export async function* readJournal(layout: Layout): AsyncGenerator<LoggedEvent> {
  const names = (await readdir(layout.events)).filter((name) => /^\d{4,6}-\d{2}\.jsonl$/.test(name))
  let last = 0
  // A clock that jumped put later events into an earlier month: then the files have to be read together.
  const inOrder = await hasOrder(layout, names.toSorted())
  const files = inOrder ? names.toSorted().map((name) => [name]) : [names]
  for (const together of files) {
    const events: LoggedEvent[] = []
    for (const name of together) for await (const event of eventsOf(join(layout.events, name))) events.push(event)
    for (const event of events.toSorted((a, b) => a.seq - b.seq)) {
      if (event.seq <= last) continue
      last = event.seq
      yield event
    }
  }
}

async function hasOrder(layout: Layout, names: readonly string[]): Promise<boolean> {
  let last = 0
  for (const name of names) {
    let highest = last
    for await (const { seq } of eventsOf(join(layout.events, name))) {
      if (seq <= last) return false
      highest = Math.max(highest, seq)
    }
    last = highest
  }
  return true
}

async function* eventsOf(path: string): AsyncGenerator<LoggedEvent> {
  await using file = await open(path, OPEN_EXISTING)
  if (!(await file.stat()).isFile()) return
  for await (const line of file.readLines({ autoClose: false })) {
    const event = decodeEvent(line)
    if (event !== undefined) yield event
  }
}

function decodeEvent(line: string): LoggedEvent | undefined {
  const value = parseObject(line)
  if (value === undefined) return undefined
  const { seq, id, type, severity, at, detail, repo, before, after } = value
  const known = SEVERITIES.find((each) => each === severity)
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1 || known === undefined) return undefined
  if (typeof id !== 'string' || typeof type !== 'string' || typeof at !== 'string') return undefined
  if (typeof detail !== 'object' || detail === null) return undefined
  return {
    seq,
    id,
    type: type as EventType,
    severity: known,
    repo: decodeRepo(repo),
    at,
    before: before ?? null,
    after: after ?? null,
    detail: detail as Record<string, unknown>,
  }
}

function decodeRepo(value: unknown): LoggedEvent['repo'] {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, name } = value as { type?: unknown; name?: unknown }
  const [repoType, repoName] = [REPO_TYPES.find((each): each is RepoType => each === type), parseRepoName(name)]
  return repoType === undefined || repoName === undefined ? undefined : { type: repoType, name: repoName }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

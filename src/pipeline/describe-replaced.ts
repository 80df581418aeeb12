import PQueue from 'p-queue'
import type { SnapshotRow } from '../archive-rows.ts'
import type { CommitId, Sha256 } from '../domain/digest.ts'
import { diffListings } from '../domain/diff-listings.ts'
import { errorCodeOf } from '../domain/errors.ts'
import type { ChangeEvent } from '../domain/events.ts'
import { readGgufHeader } from '../domain/gguf-header.ts'
import { diffHeaders, type HeaderDiff } from '../domain/header-diff.ts'
import type { Listing, Sibling } from '../domain/listing.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import { readSafetensorsHeader } from '../domain/safetensors-header.ts'
import { weightFormatOf } from '../domain/weight-file.ts'
import { MAX_HEADER_BYTES, type HeaderRead, type WeightHeader } from '../domain/weight-header.ts'
import type { ResolvedFile } from '../hub-port.ts'
import type { PipelineDeps } from './deps.ts'

/** Files of one commit whose headers are read; each asks the Hub where the bytes are. */
const MAX_FILES = 4
const FIRST_READ_BYTES = 256 * 1024
/** Bytes of headers read for one commit. */
const MAX_BYTES_A_COMMIT = 48 * 1024 * 1024
const DEADLINE_MS = 45_000
/** A header is held whole while it is read, and several heads are planned at once. */
const ONE_AT_A_TIME = new PQueue({ concurrency: 1 })

/** What the headers of one replaced file tell. */
interface DescribedFile extends HeaderDiff {
  readonly path: string
}

type ReadAt = (start: number, end: number) => Promise<Uint8Array>

/**
 * What changed in weights that were replaced under the same name, by their headers alone: a few ranges of a few files.
 * Old bytes come from the archive where it holds them. Empty when nothing was replaced or nothing could be read: it never
 * fails a listing.
 */
export async function describeReplaced(
  deps: PipelineDeps,
  before: Before | undefined,
  listing: Listing,
  stopping: AbortSignal,
): Promise<readonly DescribedFile[]> {
  if (before === undefined || before.listing.commit === listing.commit) return []
  const files = replacedPairs(before.listing, listing)
  if (files.length === 0) return []
  return ONE_AT_A_TIME.add(() => describeFiles(deps, before, { listing, files }, stopping))
}

interface Before {
  readonly listing: Listing
  readonly snapshot: SnapshotRow | undefined
}

async function describeFiles(
  deps: PipelineDeps,
  before: Before,
  { listing, files }: { listing: Listing; files: ReturnType<typeof replacedPairs> },
  stopping: AbortSignal,
): Promise<readonly DescribedFile[]> {
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(DEADLINE_MS)])
  const budget = { bytes: MAX_BYTES_A_COMMIT }
  const described: DescribedFile[] = []
  for (const { old, now, read } of files.slice(0, MAX_FILES)) {
    try {
      const oldAt = await openOld(deps, before, old, signal)
      const oldHeader = await readHeader(oldAt, old.size, read, budget)
      const newHeader = await readHeader(
        openUpstream(deps, listing.repo, listing.commit, now, signal),
        now.size,
        read,
        budget,
      )
      if (oldHeader === undefined || newHeader === undefined) continue
      described.push({ path: now.path, ...diffHeaders(oldHeader, newHeader) })
    } catch (error) {
      stopping.throwIfAborted()
      const fields = { component: 'plan', repo: printRepo(listing.repo), path: now.path, code: errorCodeOf(error) }
      deps.log.warn({ ...fields, err: error }, 'replaced file not described')
      if (signal.aborted) break
    }
  }
  return described
}

/** Puts what the headers tell into the event of the replaced files. */
export function withHeaders(events: readonly ChangeEvent[], headers: readonly DescribedFile[]): readonly ChangeEvent[] {
  if (headers.length === 0) return events
  const what = [...new Set(headers.flatMap((file) => file.what))]
  return events.map((event) =>
    event.type === 'files-replaced' ? { ...event, detail: { ...event.detail, what, headers } } : event,
  )
}

type ReadFormat = (bytes: Uint8Array, fileSize: number) => HeaderRead

function replacedPairs(before: Listing, after: Listing): { old: Sibling; now: Sibling; read: ReadFormat }[] {
  const known = new Map(before.files.map((file) => [file.path, file]))
  const replaced = new Set(diffListings(before.files, after.files).replaced.map(({ path }) => path))
  return after.files.flatMap((now) => {
    const old = known.get(now.path)
    const format = weightFormatOf(now)
    if (!replaced.has(now.path) || old === undefined) return []
    if (format === 'gguf') return [{ old, now, read: readGgufHeader }]
    return format === 'safetensors' ? [{ old, now, read: readSafetensorsHeader }] : []
  })
}

async function readHeader(
  readAt: ReadAt,
  size: number,
  read: ReadFormat,
  budget: { bytes: number },
): Promise<WeightHeader | undefined> {
  let bytes = new Uint8Array()
  let end = Math.min(size, FIRST_READ_BYTES)
  for (;;) {
    const wanted = end - bytes.length
    if (wanted > budget.bytes) return undefined
    budget.bytes -= wanted
    const more = await readAt(bytes.length, end)
    const joined = new Uint8Array(bytes.length + more.length)
    joined.set(bytes)
    joined.set(more, bytes.length)
    bytes = joined
    const found = read(bytes, size)
    if (found.kind === 'header') return found.header
    if (found.kind === 'malformed' || more.length < wanted || bytes.length >= size) return undefined
    // Each round reads at least three times as much as the one before.
    end = Math.min(size, MAX_HEADER_BYTES, Math.max(found.bytes, bytes.length * 4))
    if (end <= bytes.length) return undefined
  }
}

/** The old bytes: ours where a sealed snapshot has them, else those the Hub still has at the old commit. */
async function openOld(
  deps: PipelineDeps,
  { listing, snapshot }: Before,
  file: Sibling,
  signal: AbortSignal,
): Promise<ReadAt> {
  const row = snapshot === undefined ? undefined : await deps.catalog.file(snapshot.snapshotId, file.path)
  const provenAt = snapshot?.sealedAt
  if (row?.sha256 === undefined || provenAt === undefined) {
    return openUpstream(deps, listing.repo, listing.commit, file, signal)
  }
  return openHeld(deps, { sha256: row.sha256, size: file.size, provenAtMs: Date.parse(provenAt) }, signal)
}

function openHeld(
  deps: PipelineDeps,
  { sha256, size, provenAtMs }: { sha256: Sha256; size: number; provenAtMs: number },
  signal: AbortSignal,
): ReadAt {
  return async (start, end) => {
    await using blob = await deps.blobs.open(sha256, size, provenAtMs, signal)
    const bytes = new Uint8Array(end - start)
    let at = 0
    while (at < bytes.length) {
      const read = await blob.read(bytes.subarray(at), start + at)
      if (read === 0) break
      at += read
    }
    return bytes.subarray(0, at)
  }
}

function openUpstream(
  deps: PipelineDeps,
  { type, name }: RepoRef,
  commit: CommitId,
  file: Sibling,
  signal: AbortSignal,
): ReadAt {
  let asked: Promise<ResolvedFile> | undefined
  return async (start, end) => {
    asked ??= deps.hub.resolveFile({ ref: { type, name }, commit, path: file.path }, signal)
    await using body = await deps.hub.openRange(await asked, start, end, signal)
    const bytes = new Uint8Array(end - start)
    let at = body.start
    for await (const chunk of body.chunks()) {
      // A server that ignores ranges sends the file from its start.
      const from = Math.max(0, start - at)
      const part = chunk.subarray(Math.min(from, chunk.length), Math.max(0, Math.min(chunk.length, end - at)))
      bytes.set(part, Math.max(0, at - start))
      at += chunk.length
      if (at >= end) break
    }
    return bytes.subarray(0, Math.max(0, Math.min(at, end) - start))
  }
}

import { ArchiveError, errorCodeOf } from '../domain/errors.ts'
import { licenseTextEvents } from '../domain/license-compare.ts'
import { licenseEntryOf, type LicenseReading } from '../domain/license-entry.ts'
import { licenseFactsOf } from '../domain/license-facts.ts'
import { matchLicense } from '../domain/license-match.ts'
import { MAX_LICENSE_CHARACTERS } from '../domain/license-words.ts'
import { readFrontMatter } from '../lib/front-matter.ts'
import { parseSpdx } from '../lib/parse-spdx.ts'
import type { LicenseRow, UnreadLicense } from '../license-port.ts'
import { announce, nowIso, type PipelineDeps } from './deps.ts'

const BATCH = 200
/** A card's front matter stands at its beginning. */
const CARD_BYTES = 256 * 1024
const CARD_FIELDS = ['license', 'license_name', 'license_link']
const MAX_EVENTS_LOOKED_AT = 200

/**
 * Reads every licence file and card that has arrived since the last call, says what each is, and compares each commit
 * with the one before it. Runs after downloads; killed anywhere, the next call goes on.
 */
export async function readLicenses(deps: PipelineDeps, signal: AbortSignal): Promise<void> {
  if (!(await deps.catalog.licenses.hasWork())) return
  for (;;) {
    signal.throwIfAborted()
    // The last call marks what the one before it read.
    const unread = await deps.catalog.licenses.takeUnread(BATCH)
    let read = 0
    for (const file of unread) if (await readOne(deps, file, signal)) read += 1
    // What could not be read stays for the next call.
    if (read === 0) break
  }
  for (;;) {
    signal.throwIfAborted()
    const rows = await deps.catalog.licenses.comparable(BATCH)
    for (const row of rows) await compare(deps, row)
    if (rows.length < BATCH) return
  }
}

/** Makes entries of snapshots that were listed by a version without a ledger: once, before anything else is done. */
export async function recordOlderLicenses(deps: PipelineDeps, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { rows, upTo } = await deps.catalog.licenses.unrecorded(BATCH)
    for (const { snapshotId, name, commit } of rows) {
      signal.throwIfAborted()
      const listing = await readListing(deps, name, commit)
      if (listing !== undefined) await deps.catalog.licenses.record(snapshotId, licenseEntryOf(listing, parseSpdx))
    }
    await deps.catalog.licenses.recordedUpTo(upTo)
    if (rows.length < BATCH) return
  }
}

async function readListing(deps: PipelineDeps, ...key: Parameters<PipelineDeps['records']['readListing']>) {
  try {
    return (await deps.records.readListing(...key))?.listing
  } catch (error) {
    if (errorCodeOf(error) !== 'RECORD_INVALID') throw error
    deps.log.warn({ component: 'licenses', repo: key[0], commit: key[1], err: error }, 'listing not readable')
    return undefined
  }
}

/** Whether the file was read. A blob that is damaged or gone is verify's to tell; nothing is concluded from it. */
async function readOne(deps: PipelineDeps, file: UnreadLicense, signal: AbortSignal): Promise<boolean> {
  try {
    const reading = file.role === 'card' ? await readCard(deps, file, signal) : await readText(deps, file, signal)
    await deps.catalog.licenses.recordReading(file.sha256, reading)
    return true
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ArchiveError) || !['FILE_UNKNOWN', 'FIXITY_FAILED'].includes(error.code)) throw error
    deps.log.debug({ component: 'licenses', sha256: file.sha256, code: error.code, err: error }, 'licence not readable')
    return false
  }
}

async function readText(deps: PipelineDeps, file: UnreadLicense, signal: AbortSignal): Promise<LicenseReading> {
  const role = file.role === 'notice' ? 'notice' : 'license'
  if (file.size > MAX_LICENSE_CHARACTERS) return { role, match: { kind: 'unread' }, wordsSha256: undefined }
  const text = await readStart(deps, file, file.size, signal)
  return { role, ...matchLicense(text, await deps.licenseBook()) }
}

async function readCard(deps: PipelineDeps, file: UnreadLicense, signal: AbortSignal): Promise<LicenseReading> {
  const card = readFrontMatter(await readStart(deps, file, CARD_BYTES, signal), CARD_FIELDS)
  return { role: 'card', stated: card === undefined ? undefined : licenseFactsOf(card, []) }
}

async function readStart(
  deps: PipelineDeps,
  { sha256, size, provenAtMs }: UnreadLicense,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string> {
  await using blob = await deps.blobs.open(sha256, size, provenAtMs, signal)
  const bytes = new Uint8Array(Math.min(size, maxBytes))
  let at = 0
  while (at < bytes.length) {
    const read = await blob.read(bytes.subarray(at), at)
    if (read === 0) break
    at += read
  }
  return new TextDecoder().decode(bytes.subarray(0, at))
}

/**
 * Compares a head with the head before it. A commit that is no head (an old one that was rescued, or one whose files came
 * after the head had moved on) is passed over: what changed in it is told by the head that follows. Events that the log
 * has already are not raised again.
 */
async function compare(deps: PipelineDeps, row: LicenseRow): Promise<void> {
  const { licenses } = deps.catalog
  const repo = await deps.catalog.repoRowById(row.repoId)
  const isPassedOver = repo?.head !== row.commit
  const previous = isPassedOver ? undefined : await licenses.lastCompared(row.repoId)
  const context = { at: nowIso(deps), allow: deps.settings.licenseAllow }
  const found = isPassedOver ? [] : licenseTextEvents(previous, row, context)
  const events = found.length === 0 || (await isLogged(deps, row, previous)) ? [] : found
  announce(deps, await licenses.recordCompared(row.snapshotId, { isPassedOver, events }))
}

/** After the catalog was made again its log still has what was found then. */
async function isLogged(deps: PipelineDeps, row: LicenseRow, previous: LicenseRow | undefined): Promise<boolean> {
  for (const type of ['license-text-changed', 'license-changed']) {
    const events = await deps.catalog.events({ repo: row.ref.name, type, limit: MAX_EVENTS_LOOKED_AT })
    const isThis = ({ detail }: (typeof events)[number]): boolean =>
      detail['commit'] === row.commit && (previous === undefined || detail['previousCommit'] === previous.commit)
    if (events.some(isThis)) return true
  }
  return false
}

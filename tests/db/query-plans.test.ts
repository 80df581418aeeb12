import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Kysely } from 'kysely'
import type { AlertOutbox } from '../../src/alert-port.ts'
import type { LicenseLedger } from '../../src/license-port.ts'
import type { Sha256 } from '../../src/domain/digest.ts'
import type { ContentKey } from '../../src/domain/listing.ts'
import { SqliteCatalog } from '../../src/db/catalog.ts'
import { migrateCatalog, MIGRATIONS } from '../../src/db/migrate.ts'
import type { Schema } from '../../src/db/schema.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { CatalogDialect } from '../../src/db/sqlite-dialect.ts'
import {
  addListed,
  ANY_JOB,
  AT,
  commitOf,
  decide,
  eventOf,
  fetchAll,
  hubIdOf,
  isSmall,
  largeFile,
  pollOf,
  quietLog,
  refOf,
  smallFile,
  WATCH,
} from './catalog-fixtures.ts'

/** Tables so short that reading all of one costs nothing. */
const SHORT_TABLES = ['channels', 'watches', 'counters', 'meta', 'wanted', 'best']

test('no method of the catalog reads a whole table', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-plans-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'catalog.db')
  const handle = openSqlite(path, 'write')
  await migrateCatalog(handle, { path, mode: 'write', migrations: MIGRATIONS, now: () => 0, log: quietLog })
  const scans: string[] = []
  const plans = new Map<string, string>()
  const explained = new Set<string>()
  const kysely = new Kysely<Schema>({
    dialect: new CatalogDialect(handle.raw),
    log({ query: { sql: text, parameters } }) {
      if (explained.has(text) || /^(begin|commit|rollback)/.test(text)) return
      explained.add(text)
      const steps = handle.raw.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...parameters) as { detail: string }[]
      plans.set(text, steps.map((step) => step.detail).join('; '))
      for (const { detail } of steps) if (isWholeScan(detail, text)) scans.push(`${detail}: ${text}`)
    },
  })
  await using catalog = new SqliteCatalog(
    { raw: handle.raw, kysely },
    { path, archiveId: 'x', mode: 'write', log: quietLog },
  )

  const files = [smallFile('a'), largeFile('b'), largeFile('c'), smallFile('LICENSE')]
  const { repoId, snapshotId } = await addListed(catalog, 'Qwen/A', files, ['c'])
  const job = await catalog.leaseJob({ ...ANY_JOB, repos: [repoId] })
  await catalog.failJob(job?.jobId ?? -1, { code: 'TRANSFER_STALLED', nextTryMs: 5000 }, [eventOf()])
  for (const repos of [undefined, [repoId]] as const) {
    await catalog.nextDueMs(repos)
    await catalog.makeDue(repos)
  }
  await catalog.queue({ limit: 10 })
  await catalog.jobOfFile(snapshotId, 'c')
  await catalog.bump(repoId)
  await fetchAll(catalog)
  await catalog.sealable()
  await catalog.recordSealed(snapshotId, 1, 'selection', AT, [])
  await catalog.redecide(snapshotId, decide(files, ['b']), 'policy-2', isSmall)
  await catalog.releaseAllLeases()
  await catalog.releaseJobs([1])
  for (const repos of [{}, { repos: [repoId] }]) {
    await catalog.leaseJobs({ ...ANY_JOB, ...repos, maxSize: 1e6, maxTotalBytes: 1e9, limit: 1 })
  }
  await catalog.recordPoll(pollOf({ unchanged: [repoId], missing: [{ repoId, misses: 1, firstMissAt: AT }] }))
  await catalog.recordPoll(pollOf({ states: [{ repoId, upstream: 'ok', evidence: null }] }))
  for (const watch of [undefined, WATCH]) await catalog.unlistedHeads(watch)
  await catalog.watchStates()
  await catalog.repoRowById(repoId)
  await catalog.transitions(repoId, 10)
  await catalog.activityOf(WATCH)
  await catalog.recordRefs({ repoId, head: commitOf('Qwen/A'), refs: [], at: AT, events: [eventOf()] })
  await catalog.dueRefs({ watch: WATCH, before: AT, now: AT, again: 5 })
  await catalog.startRescues({ repos: [{ repoId, cause: 'gate-changed', isDueNow: true }], at: AT, upToSeq: 1 })
  await catalog.noteRescue(repoId, { tried: 1, found: 1, doneAt: AT })
  for (const pendingOnly of [true, false]) await catalog.rescues({ pendingOnly, limit: 10 })
  await catalog.rescueCursor()
  await catalog.reposOfWatch(WATCH)
  await catalog.repoByName(refOf('Qwen/A'))
  await catalog.repoByHubId(hubIdOf('Qwen/A'))
  await catalog.cardOf(repoId)
  for (const watch of [undefined, WATCH]) await catalog.undigestedHeads(watch, { before: AT, now: AT })
  await catalog.addDigests(snapshotId, files, AT)
  await catalog.decidedSnapshots()
  await catalog.pendingSnapshots()
  await catalog.smallBytesToFetch(10)
  await catalog.unwantedKeys([`sha256-${'a'.repeat(64)}` as ContentKey])
  await catalog.blockSnapshot(snapshotId, 'LISTING_CONFLICT')
  await catalog.repoRow(refOf('Qwen/A'))
  await catalog.reposNamed(refOf('Qwen/A'))
  const page = { after: refOf('Qwen/0').name, limit: 1, withSnapshots: true }
  await catalog.listRepos({}, page)
  await catalog.listRepos({ format: 'gguf', quant: 'Q8_0', license: 'mit', state: 'sealed', upstream: 'ok' }, page)
  await catalog.listRepos({ text: 'x', largerBytes: 1, smallerBytes: 2 }, page)
  await catalog.snapshot(repoId, commitOf('Qwen/A'))
  await catalog.snapshotsByPrefix(repoId, commitOf('Qwen/A'))
  await catalog.files(snapshotId, { after: 'a', limit: 10 })
  await catalog.file(snapshotId, 'a')
  for (const taken of [true, false]) await catalog.planRows({ after: '0:0:YQ', limit: 1, taken })
  await catalog.planTotals()
  await catalog.totals()
  await catalog.eventsNotExported(10)
  await catalog.events({ type: 'repo-updated', limit: 10 })
  await catalog.events({ repo: refOf('Qwen/A').name, limit: 10 })
  await useOutbox(catalog.outbox)
  await useLicenses(catalog.licenses, repoId, snapshotId)

  assert.ok(explained.size > 80, `only ${explained.size} statements were looked at`)
  assert.deepEqual(scans, [])
  const indexes = handle.raw
    .prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    .pluck()
    .all()
  const unused = indexes.filter((index) => ![...plans.values()].some((plan) => plan.includes(` ${index}`)))
  assert.deepEqual(unused, [])
  const wake = [...plans].filter(([text]) => text.includes('"until_ms" <= ?'))
  assert.equal(wake.length, 1)
  assert.match(wake[0]?.[1] ?? '', /jobs_wake/, 'a lease does not read every job that waits')
  const ofIds = [...explained].filter((text) => text.includes('json_each'))
  assert.equal(ofIds.length, 2, 'what a lease says of many jobs has one text for any number of them')
  const free = [...plans].filter(([text]) => text.includes('AS other'))
  assert.ok(free.length >= 2)
  for (const [text, plan] of free) assert.match(plan, /SEARCH other USING INDEX \w+ \(digest=\?\)/, text)
})

async function useOutbox(outbox: AlertOutbox): Promise<void> {
  const burst = { fromMs: 0, count: 0, lastCutMs: 0 }
  const message = { id: 'x-1', kind: 'alert', seqs: [1] } as const
  const notice = { to: ['b'], id: 'n', text: { title: '', happened: '', means: '', todo: '' } }
  const failure = { code: 'CHANNEL_REFUSED', message: 'no', nextTryMs: 2, nowMs: 1 }
  await outbox.openChannels(['a', 'b'], 0)
  await outbox.openChannels(['a', 'b'], 1e12)
  const from = (await outbox.channelState('a'))?.cutSeq ?? -1
  assert.equal(await outbox.storeCut('a', { from, to: from, messages: [message], burst, nowMs: 1 }), true)
  await outbox.storeDigest('a', { from, to: from, message: undefined, nextAtMs: 1, nowMs: 1 })
  const row = (await outbox.firstMessage('a'))?.row ?? -1
  await outbox.messageFailed('a', row, failure, notice)
  assert.equal(await outbox.giveUp('a', 5, 5), 1)
  await outbox.messageSent('a', row, 1, notice)
  await outbox.channelStates()
}

async function useLicenses(licenses: LicenseLedger, repoId: number, snapshotId: number): Promise<void> {
  await licenses.unrecorded(10)
  await licenses.recordedUpTo(snapshotId)
  await licenses.hasWork()
  await licenses.takeUnread(10)
  const reading = { role: 'license', match: { kind: 'unknown' }, wordsSha256: 'a' } as const
  await licenses.recordReading('a'.repeat(64) as Sha256, reading)
  await licenses.comparable(10)
  await licenses.recordCompared(snapshotId, { isPassedOver: false, events: [] })
  await licenses.lastCompared(repoId)
  await licenses.history(repoId, 10)
  await licenses.entryOf(snapshotId)
  await licenses.formAt(refOf('Qwen/A').name, '')
}

function isWholeScan(detail: string, text: string): boolean {
  const table = /^SCAN (\w+)$/.exec(detail)?.[1]
  if (table === undefined || SHORT_TABLES.includes(table)) return false
  // The log is a table that is its own index by number.
  if (table === 'events' && / order by "seq"/.test(text) && / limit /.test(text)) return false
  // Planned for a blob whose id a file row has already; no such row can exist, and the step is jumped over.
  return !text.startsWith('insert into "blobs"')
}

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import Database from 'better-sqlite3'
import { openCatalog } from '../../src/db/open-catalog.ts'
import type { Catalog } from '../../src/catalog-port.ts'
import { HANGS_AFTER_MS } from '../support/until.ts'
import { ANY_JOB, commitOf, eventOf, listingRecordOf, quietLog, refOf, smallFile } from './catalog-fixtures.ts'

/** Lets a process write a catalog and die in the middle of a transaction; opens what it left. */
async function openAfterKill(t: TestContext, moment: 'listing' | 'poll' | 'migration'): Promise<Catalog> {
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-crash-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'catalog.db')
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-child.ts'), path, moment], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [, signal] = (await once(child, 'exit', { signal: AbortSignal.timeout(HANGS_AFTER_MS) })) as [
    number | null,
    string | null,
  ]
  assert.equal(signal, 'SIGKILL')
  const catalog = await openCatalog({ path, archiveId: '0123456789ab', mode: 'write', log: quietLog })
  const raw = new Database(path, { readonly: true })
  assert.equal(raw.pragma('integrity_check', { simple: true }), 'ok')
  assert.deepEqual(raw.pragma('foreign_key_check'), [])
  raw.close()
  return catalog
}

async function assertNextEvents(catalog: Catalog): Promise<void> {
  await catalog.appendEvents([eventOf()])
  const events = await catalog.events({ since: 0, limit: 100 })
  assert.deepEqual(
    events.map((event) => event.seq),
    [1, 2, 3],
  )
}

test('a process killed inside `recordListing` leaves no half listing and no gap in the event numbers', async (t) => {
  await using catalog = await openAfterKill(t, 'listing')

  const row = await catalog.repoRow(refOf('Qwen/A'))
  assert.equal(row?.snapshots.length, 1)
  assert.equal((await catalog.totals()).filesListed, 1)
  assert.equal((await catalog.totals()).jobsReady, 1)
  assert.deepEqual(
    (await catalog.unlistedHeads(undefined)).map((head) => head.commit),
    [commitOf('next')],
  )
  await assertNextEvents(catalog)
  const again = listingRecordOf(row?.repoId ?? -1, 'Qwen/A', [smallFile('b')], { commit: commitOf('next') })
  await catalog.recordListing(again)
  assert.deepEqual(await catalog.unlistedHeads(undefined), [])
})

test('a process killed inside `recordPoll` leaves no repository and no gap in the event numbers', async (t) => {
  await using catalog = await openAfterKill(t, 'poll')

  assert.equal(await catalog.repoByName(refOf('Qwen/B')), undefined)
  await assertNextEvents(catalog)
})

test('a process killed inside a migration leaves the schema as it was', async (t) => {
  await using catalog = await openAfterKill(t, 'migration')

  assert.ok(await catalog.leaseJob(ANY_JOB))
  await assertNextEvents(catalog)
})

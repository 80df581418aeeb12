import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SnapshotRow } from '../../src/archive-rows.ts'
import type { Sibling } from '../../src/domain/listing.ts'
import type { Catalog } from '../../src/catalog-port.ts'
import {
  addListed,
  addRepos,
  admitAll,
  ANY_JOB,
  AT,
  commitOf,
  decide,
  digestsOf,
  eventOf,
  factsOf,
  fetchAll,
  isSmall,
  largeFile,
  LATER,
  listingRecordOf,
  refOf,
  sha256Of,
  smallFile,
  WATCH,
  completeOne,
} from '../db/catalog-fixtures.ts'
import type { OpenEmptyCatalog } from './catalog.contract.ts'

const EVERY_FILE = { after: undefined, limit: 10_000 }

async function snapshotOf(catalog: Catalog, name: string): Promise<SnapshotRow> {
  const newest = (await catalog.repoRow(refOf(name)))?.newest
  assert.ok(newest)
  return newest
}

/** What the stored sums of a snapshot must be, counted from its files. */
async function assertCounts(catalog: Catalog, snapshot: SnapshotRow): Promise<void> {
  const files = await catalog.files(snapshot.snapshotId, EVERY_FILE)
  const bytes = (some: readonly Sibling[]): number => some.reduce((sum, file) => sum + file.size, 0)
  const wanted = files.filter((file) => file.take)
  const held = files.filter((file) => file.sha256 !== undefined)
  assert.deepEqual(
    [snapshot.filesListed, snapshot.bytesListed, snapshot.filesWanted, snapshot.bytesWanted],
    [files.length, bytes(files), wanted.length, bytes(wanted)],
  )
  assert.deepEqual([snapshot.filesHeld, snapshot.bytesHeld], [held.length, bytes(held)])
}

/** Listings, decisions and seals. */
export function catalogListingsContract(name: string, open: OpenEmptyCatalog): void {
  describe(`${name}: listings`, () => {
    test('`recordListing` that fails half-way leaves nothing of it', async () => {
      await using catalog = await open()
      const [repoId = -1] = await addRepos(catalog, factsOf('Qwen/A'))
      const files = Array.from({ length: 3000 }, (_, at) => smallFile(`f${at}`))
      const broken = listingRecordOf(repoId, 'Qwen/A', files, { events: [eventOf('repo-updated', { after: 1n })] })

      await assert.rejects(catalog.recordListing(broken), TypeError)

      assert.equal((await catalog.repoRow(refOf('Qwen/A')))?.newest, undefined)
      assert.equal((await catalog.unlistedHeads(WATCH)).length, 1)
      const totals = await catalog.totals()
      assert.deepEqual([totals.snapshots, totals.filesListed, totals.jobsReady, totals.lastSeq], [0, 0, 0, 0])
    })

    test('`recordListing` of a commit that is there already changes nothing', async () => {
      await using catalog = await open()
      const { repoId, snapshotId } = await addListed(catalog, 'Qwen/A', [smallFile('a'), largeFile('b')])
      const before = await catalog.totals()
      const other = listingRecordOf(repoId, 'Qwen/A', [smallFile('other')], { events: [eventOf()] })

      const again = await catalog.recordListing(other)

      assert.deepEqual(again, { snapshotId, events: [] })
      assert.deepEqual(await catalog.totals(), before)
      assert.equal((await catalog.files(snapshotId, EVERY_FILE)).length, 2)
    })

    test('`recordListing` keeps names apart that text would turn into one', async () => {
      await using catalog = await open()
      const names = ['\ud800.bin', '\ud801.bin', '\udc00\ud800', 'a\0b', 'a\0c', 'a', '\ufffd.bin', '\u{1f600}.bin', '']
      const files = names.map((path, at) => smallFile(path, 10 + at))

      const { snapshotId } = await addListed(catalog, 'Qwen/A', files)

      const rows = await catalog.files(snapshotId, EVERY_FILE)
      assert.deepEqual(new Set(rows.map((row) => row.path)), new Set(names))
      for (const file of files) assert.equal((await catalog.file(snapshotId, file.path))?.size, file.size)
      assert.equal(await catalog.file(snapshotId, '\ud802.bin'), undefined)
      const paged: string[] = []
      for (let after: string | undefined; ;) {
        const page = await catalog.files(snapshotId, { after, limit: 2 })
        paged.push(...page.map((row) => row.path))
        after = page.at(-1)?.path
        if (page.length === 0) break
      }
      assert.deepEqual(
        paged,
        rows.map((row) => row.path),
      )
      await catalog.redecide(snapshotId, decide(files, ['\ud801.bin', 'a\0c']), 'policy-2', isSmall)
      const skipped = (await catalog.files(snapshotId, EVERY_FILE)).filter((row) => !row.take)
      assert.deepEqual(skipped.map((row) => row.path).toSorted(), ['a\0c', '\ud801.bin'])
      assert.equal(skipped[0]?.detail, 'a\0c is of a format that is not kept')
    })

    test('`recordListing` gives every fact of a file back', async () => {
      await using catalog = await open()
      const odd: Sibling = { ...smallFile('odd'), xetHash: 'no hash at all \ud800', gitOid: undefined }
      const files = [largeFile('a.gguf'), smallFile('b'), odd]

      const { snapshotId } = await addListed(catalog, 'Qwen/A', files)

      for (const file of files) {
        const row = await catalog.file(snapshotId, file.path)
        const { path, size, gitOid, isLfs, lfsOid, xetHash } = row ?? odd
        assert.deepEqual({ path, size, gitOid, isLfs, lfsOid, xetHash }, file)
      }
    })

    test('`recordListing` takes no file whose bytes nothing could prove, and none that was not decided', async () => {
      await using catalog = await open()
      const [repoId = -1] = await addRepos(catalog, factsOf('Qwen/A'))
      const files = [{ ...largeFile('hidden'), lfsOid: undefined }, smallFile('forgotten')]
      const record = listingRecordOf(repoId, 'Qwen/A', files, { decisions: decide(files.slice(0, 1)) })

      const { snapshotId } = await catalog.recordListing(record)

      const hidden = await catalog.file(snapshotId, 'hidden')
      assert.deepEqual([hidden?.take, hidden?.reason], [false, 'digest-unknown'])
      const forgotten = await catalog.file(snapshotId, 'forgotten')
      assert.deepEqual([forgotten?.take, forgotten?.reason], [false, 'not-decided'])
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
    })

    test('`recordListing` holds known content at once, by its digest and its size', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [largeFile('a', 5000, 'weights'), smallFile('b', 10, 'card')])
      await fetchAll(catalog)
      const files = [
        largeFile('same', 5000, 'weights'),
        largeFile('lie', 6000, 'weights'),
        smallFile('card', 10, 'card'),
        smallFile('longer', 11, 'card'),
      ]

      const { snapshotId } = await addListed(catalog, 'Qwen/B', files)

      const held = (await catalog.files(snapshotId, EVERY_FILE)).filter((file) => file.sha256 !== undefined)
      assert.deepEqual(
        held.map((file) => [file.path, file.attestedBy]),
        [
          ['card', ['hub-git-oid']],
          ['same', ['hub-lfs-oid']],
        ],
      )
      assert.equal(held[1]?.sha256, sha256Of('weights'))
      await assertCounts(catalog, await snapshotOf(catalog, 'Qwen/B'))
      assert.equal((await catalog.totals()).jobsReady, 2)
    })

    test('`recordListing` makes a snapshot sealable that wants nothing, and one that has everything', async () => {
      await using catalog = await open()
      const none = await addListed(catalog, 'Qwen/A', [largeFile('a')], ['a'])
      await addListed(catalog, 'Qwen/B', [smallFile('b')])
      assert.deepEqual(
        (await catalog.sealable()).map((row) => [row.snapshotId, row.state, row.coverage]),
        [[none.snapshotId, 'listed', 'selection']],
      )

      await fetchAll(catalog)
      const all = await addListed(catalog, 'Qwen/C', [smallFile('b')])

      assert.ok((await catalog.sealable()).some((row) => row.snapshotId === all.snapshotId && row.coverage === 'all'))
    })

    test('`recordListing` survives sizes whose sum no number holds', async () => {
      await using catalog = await open()
      const files = Array.from({ length: 1100 }, (_, at) => largeFile(`f${at}`, Number.MAX_SAFE_INTEGER))

      for (const repo of ['Qwen/A', 'Qwen/B']) await addListed(catalog, repo, files)

      const snapshot = await snapshotOf(catalog, 'Qwen/A')
      assert.equal(snapshot.bytesListed, Number.MAX_SAFE_INTEGER)
      assert.equal(snapshot.bytesWanted, Number.MAX_SAFE_INTEGER)
      assert.equal((await catalog.totals()).bytesListed, Number.MAX_SAFE_INTEGER)
      assert.ok((await catalog.planTotals()).bytesToFetch >= Number.MAX_SAFE_INTEGER)
    })

    test('`recordSealed` refuses a snapshot that misses a wanted file, and a blocked one', async () => {
      await using catalog = await open()
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [smallFile('a')])
      await assert.rejects(catalog.recordSealed(snapshotId, 1, 'all', AT, []), /misses no wanted file/)

      await catalog.blockSnapshot(snapshotId, 'LISTING_CONFLICT')
      assert.deepEqual(await fetchAll(catalog), [])

      assert.deepEqual(await catalog.sealable(), [])
      await assert.rejects(catalog.recordSealed(snapshotId, 1, 'all', AT, []), /not blocked/)
      const snapshot = await snapshotOf(catalog, 'Qwen/A')
      assert.deepEqual([snapshot.state, snapshot.blockedBy, snapshot.filesHeld], ['blocked', 'LISTING_CONFLICT', 1])
    })

    test('`redecide` reopens a sealed snapshot that wants more, and what is held stays', async () => {
      await using catalog = await open()
      const files = [smallFile('a'), largeFile('b'), largeFile('c')]
      const { snapshotId } = await addListed(catalog, 'Qwen/A', files, ['b', 'c'])
      assert.deepEqual(await fetchAll(catalog), [snapshotId])
      const [event] = await catalog.recordSealed(snapshotId, 1, 'selection', LATER, [eventOf('snapshot-sealed')])
      assert.equal(event?.seq, 1)
      assert.equal((await snapshotOf(catalog, 'Qwen/A')).state, 'sealed')

      await catalog.redecide(snapshotId, decide(files, ['c']), 'policy-2', isSmall)

      const open1 = await snapshotOf(catalog, 'Qwen/A')
      assert.deepEqual([open1.state, open1.sealedAt, open1.manifestRevision], ['fetching', LATER, 1])
      await assertCounts(catalog, open1)
      assert.deepEqual(await catalog.sealable(), [])
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined, 'new large files wait for the schedule')
      await admitAll(catalog)
      assert.deepEqual(await fetchAll(catalog), [snapshotId])
      assert.deepEqual(
        (await catalog.sealable()).map((row) => row.manifestRevision),
        [1],
      )
      await catalog.recordSealed(snapshotId, 2, 'selection', LATER, [])
      assert.deepEqual(await catalog.sealable(), [])
      await assertCounts(catalog, await snapshotOf(catalog, 'Qwen/A'))
    })

    test('`redecide` that wants more lets everything large wait for the schedule, and a blocked snapshot stays so', async () => {
      await using catalog = await open()
      const files = [largeFile('b'), largeFile('c')]
      const { snapshotId } = await addListed(catalog, 'Qwen/A', files, ['c'])
      await catalog.blockSnapshot(snapshotId, 'LISTING_CONFLICT')

      await catalog.redecide(snapshotId, decide(files), 'policy-2', isSmall)

      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      assert.equal((await snapshotOf(catalog, 'Qwen/A')).state, 'blocked')
      await admitAll(catalog)
      assert.deepEqual(await fetchAll(catalog), [])
      assert.equal((await snapshotOf(catalog, 'Qwen/A')).filesHeld, 2)
    })

    test('`redecide` back to what a manifest says makes the snapshot sealed again', async () => {
      await using catalog = await open()
      const files = [smallFile('a'), largeFile('b')]
      const { snapshotId } = await addListed(catalog, 'Qwen/A', files, ['b'])
      await fetchAll(catalog)
      await catalog.recordSealed(snapshotId, 1, 'selection', LATER, [])

      await catalog.redecide(snapshotId, decide(files), 'policy-2', isSmall)
      await catalog.redecide(snapshotId, decide(files, ['b']), 'policy-1', isSmall)

      assert.equal((await snapshotOf(catalog, 'Qwen/A')).state, 'sealed')
      assert.deepEqual(await catalog.sealable(), [])
      assert.equal((await catalog.totals()).bytesQueued, 0)
    })

    test('`redecide` that narrows keeps held files held and drops jobs that nobody else wants', async () => {
      await using catalog = await open()
      const shared = largeFile('shared', 5000, 'shared')
      const files = [smallFile('a'), shared, largeFile('own')]
      const { snapshotId } = await addListed(catalog, 'Qwen/A', files)
      await addListed(catalog, 'Qwen/B', [shared])
      const job = await catalog.leaseJob(ANY_JOB)
      assert.ok(job)
      await completeOne(catalog, job.jobId, digestsOf(job), ['hub-git-oid'], AT)

      await catalog.redecide(snapshotId, decide(files, ['a', 'shared', 'own']), 'policy-2', isSmall)

      const rows = await catalog.files(snapshotId, EVERY_FILE)
      assert.deepEqual(
        rows.map((row) => [row.path, row.take, row.sha256 !== undefined]),
        [
          ['a', false, true],
          ['own', false, false],
          ['shared', false, false],
        ],
      )
      assert.deepEqual(
        (await catalog.queue({ limit: 10 })).map((row) => [row.ref.name, row.path]),
        [['Qwen/B', 'shared']],
      )
      assert.deepEqual(
        (await catalog.sealable()).map((row) => row.snapshotId),
        [snapshotId],
      )
      await assertCounts(catalog, await snapshotOf(catalog, 'Qwen/A'))

      await catalog.redecide(snapshotId, decide(files), 'policy-1', isSmall)
      await admitAll(catalog)
      assert.equal((await fetchAll(catalog)).length, 2)
      await assertCounts(catalog, await snapshotOf(catalog, 'Qwen/A'))
    })

    test('`redecide` to content that is held elsewhere needs no download', async () => {
      await using catalog = await open()
      const files = [largeFile('b', 5000, 'weights')]
      const { snapshotId } = await addListed(catalog, 'Qwen/A', files, ['b'])
      await catalog.recordSealed(snapshotId, 1, 'selection', AT, [])
      await addListed(catalog, 'Qwen/B', files)
      await fetchAll(catalog)

      await catalog.redecide(snapshotId, decide(files), 'policy-2', isSmall)

      const snapshot = await snapshotOf(catalog, 'Qwen/A')
      assert.deepEqual([snapshot.state, snapshot.filesHeld, snapshot.manifestRevision], ['fetching', 1, 1])
      assert.ok((await catalog.sealable()).some((row) => row.snapshotId === snapshotId))
    })

    test('`decidedSnapshots` names what is pending and the newest of each repo, with who decided and who saw it', async () => {
      await using catalog = await open()
      const files = [smallFile('a')]
      const { repoId, snapshotId } = await addListed(catalog, 'Qwen/A', files)
      await addRepos(catalog, factsOf('Qwen/A', { commit: commitOf('next') }))
      const newest = await catalog.recordListing(listingRecordOf(repoId, 'Qwen/A', files, { commit: commitOf('next') }))
      const idsAndKeys = async () =>
        (await catalog.decidedSnapshots())
          .map((row) => [row.snapshotId, row.policyKey, row.watch, row.isPending] as const)
          .toSorted((a, b) => a[0] - b[0])

      assert.deepEqual(await idsAndKeys(), [
        [snapshotId, 'policy-1', WATCH, true],
        [newest.snapshotId, 'policy-1', WATCH, true],
      ])
      await fetchAll(catalog)
      await catalog.redecide(newest.snapshotId, decide(files), 'policy-2', isSmall)

      assert.deepEqual(await idsAndKeys(), [[newest.snapshotId, 'policy-2', WATCH, false]])
      await assert.rejects(catalog.redecide(999, [], 'policy-2', isSmall), /snapshot 999 exists/)
    })

    test('`pendingSnapshots` leaves out what nobody watches, until its hold is another', async () => {
      await using catalog = await open()
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [largeFile('a')])

      await catalog.applySchedule([{ snapshotId, rank: 0, hold: 'unwatched' }])
      assert.deepEqual(await catalog.pendingSnapshots(), [])
      await catalog.applySchedule([{ snapshotId, rank: 0, hold: 'budget' }])

      assert.equal((await catalog.pendingSnapshots()).length, 1)
    })
  })
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Catalog } from '../../src/catalog-port.ts'
import type { Job } from '../../src/work-rows.ts'
import {
  addListed,
  ANY_JOB,
  AT,
  completeOne,
  decide,
  digestsOf,
  eventOf,
  fetchAll,
  isSmall,
  largeFile,
  smallFile,
} from '../db/catalog-fixtures.ts'
import type { OpenEmptyCatalog } from './catalog.contract.ts'

const BATCH = { nowMs: 1000, smallOnly: false, maxSize: 1000, maxTotalBytes: 1e9, limit: 100 }

function pathsOf(jobs: readonly Job[]): string[] {
  return jobs.map((job) => job.sources[0]?.path ?? '')
}

function complete(catalog: Catalog, jobs: readonly Job[]) {
  const done = jobs.map((job) => ({ jobId: job.jobId, digests: digestsOf(job), attestedBy: ['hub-git-oid'] as const }))
  return catalog.completeJobs(done, AT)
}

/** Many jobs at once, sources that failed, and damage. */
export function catalogBatchesContract(name: string, open: OpenEmptyCatalog): void {
  describe(`${name}: batches`, () => {
    test('`leaseJobs` leases what fits, in the order of the queue, and each once', async () => {
      await using catalog = await open()
      const files = ['a', 'b', 'c', 'd'].map((path) => smallFile(path))
      await addListed(catalog, 'Qwen/A', files)

      const first = await catalog.leaseJobs({ ...BATCH, limit: 3 })
      const second = await catalog.leaseJobs(BATCH)

      assert.deepEqual([pathsOf(first), pathsOf(second)], [['a', 'b', 'c'], ['d']])
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      await catalog.releaseJobs(first.map((job) => job.jobId))
      assert.equal((await catalog.leaseJobs(BATCH)).length, 3)
    })

    test('`leaseJobs` takes no more bytes than there is room for, and no content over the size', async () => {
      await using catalog = await open()
      const files = [smallFile('a', 600), smallFile('b', 600), smallFile('c', 300)]
      await addListed(catalog, 'Qwen/A', [...files, smallFile('d', 2000)])

      const jobs = await catalog.leaseJobs({ ...BATCH, maxTotalBytes: 1000 })

      assert.deepEqual(pathsOf(jobs), ['a', 'c'])
      assert.deepEqual(await catalog.leaseJobs({ ...BATCH, maxTotalBytes: -1 }), [])
      assert.deepEqual(pathsOf([(await catalog.leaseJob({ ...ANY_JOB, largerThan: 1000 }))!]), ['d'])
    })

    test('`leaseJobs` gives nothing of other repositories, and nothing while the queue is paused', async () => {
      await using catalog = await open()
      const { repoId } = await addListed(catalog, 'Qwen/A', [smallFile('a')])
      await addListed(catalog, 'Qwen/B', [smallFile('b')])

      assert.deepEqual(pathsOf(await catalog.leaseJobs({ ...BATCH, repos: [repoId] })), ['a'])
      await catalog.setPaused(true)
      assert.deepEqual(await catalog.leaseJobs(BATCH), [])
    })

    test('`completeJobs` counts for every snapshot what it gained, and names those that want nothing more', async () => {
      await using catalog = await open()
      const shared = smallFile('shared')
      const a = await addListed(catalog, 'Qwen/A', [shared, smallFile('a')])
      const b = await addListed(catalog, 'Qwen/B', [shared, smallFile('b1'), smallFile('b2')])
      const jobs = await catalog.leaseJobs(BATCH)
      assert.equal(jobs.length, 4, 'the same content is one job')
      const last = jobs.find((job) => job.sources.some((source) => source.path === 'b2'))

      const first = await complete(
        catalog,
        jobs.filter((job) => job !== last),
      )

      assert.deepEqual(first.complete, [a.snapshotId])
      assert.deepEqual((await complete(catalog, [last!])).complete, [b.snapshotId])
      assert.equal((await catalog.totals()).blobs, 4)
    })

    test('`completeJobs` holds every file of one content, however many there are', async () => {
      await using catalog = await open()
      const licence = Array.from({ length: 1203 }, (_, at) => smallFile(`${at}/LICENSE`, 10, 'licence'))
      const a = await addListed(catalog, 'Qwen/A', licence)
      const b = await addListed(catalog, 'Qwen/B', licence.slice(0, 700))
      const jobs = await catalog.leaseJobs(BATCH)
      assert.equal(jobs.length, 1)

      const done = await complete(catalog, jobs)

      assert.deepEqual(new Set(done.complete), new Set([a.snapshotId, b.snapshotId]))
      for (const { snapshotId } of [a, b]) {
        const files = await catalog.files(snapshotId, { after: undefined, limit: 2000 })
        assert.ok(files.every((file) => file.sha256 === digestsOf(jobs[0]!).sha256))
      }
    })

    test('`demoteSource` puts a source behind all others, with the time from which it may be asked again', async () => {
      await using catalog = await open()
      const file = smallFile('same')
      const { repoId } = await addListed(catalog, 'Qwen/A', [file])
      await addListed(catalog, 'Qwen/B', [file])
      const [job] = await catalog.leaseJobs(BATCH)
      assert.ok(job !== undefined && job.sources.length === 2)

      const logged = await catalog.demoteSource(job.key, repoId, 9000, [eventOf('upstream-damaged')])
      await catalog.demoteSource(job.key, repoId, 9500, [])
      await catalog.releaseJobs([job.jobId])

      assert.deepEqual(
        logged.map((event) => event.type),
        ['upstream-damaged'],
      )
      const [again] = await catalog.leaseJobs(BATCH)
      assert.deepEqual(
        again?.sources.map((source) => [source.ref.name, source.faults, source.notBeforeMs]),
        [
          ['Qwen/B', 0, 0],
          ['Qwen/A', 2, 9500],
        ],
      )
    })

    test('a repository whose policy leaves a file is a source of it, after those that want it', async () => {
      await using catalog = await open()
      const file = largeFile('weights')
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [file])
      await addListed(catalog, 'Qwen/B', [file], ['weights'])
      await catalog.applySchedule([{ snapshotId, rank: 0, hold: 'none' }])

      const job = await catalog.leaseJob(ANY_JOB)

      assert.deepEqual(
        job?.sources.map((source) => source.ref.name),
        ['Qwen/A', 'Qwen/B'],
      )
    })

    test('a job that waits is due at once when another repository lists its bytes, and not when the same one is decided anew', async () => {
      await using catalog = await open()
      const file = smallFile('same')
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [file])
      const [job] = await catalog.leaseJobs(BATCH)
      await catalog.failJob(job?.jobId ?? -1, { code: 'DIGEST_MISMATCH', nextTryMs: 1e8 }, [])
      await catalog.redecide(snapshotId, decide([file]), 'policy-2', isSmall)
      assert.deepEqual(await catalog.leaseJobs(BATCH), [])

      await addListed(catalog, 'Qwen/B', [file])

      assert.equal((await catalog.leaseJobs(BATCH)).length, 1)
    })

    test('`recordDamage` has a blob fetched again, tells it once, and `completeJobs` tells the repair', async () => {
      await using catalog = await open()
      const file = smallFile('a')
      const a = await addListed(catalog, 'Qwen/A', [file, smallFile('other')])
      await fetchAll(catalog)
      await catalog.recordSealed(a.snapshotId, 1, 'all', AT, [])
      const held = await catalog.file(a.snapshotId, 'a')
      assert.ok(held?.sha256 !== undefined)
      const damage = { sha256: held.sha256, found: 'corrupt' as const, event: eventOf('fixity-failed') }

      assert.equal((await catalog.recordDamage([damage], AT)).length, 1)
      assert.equal((await catalog.recordDamage([damage], AT)).length, 0, 'no news')

      assert.equal((await catalog.file(a.snapshotId, 'a'))?.sha256, undefined)
      assert.equal((await catalog.totals()).blobs, 1)
      assert.equal((await catalog.jobOfFile(a.snapshotId, 'a'))?.state, 'ready')
      const [job] = await catalog.leaseJobs(BATCH)
      assert.deepEqual(pathsOf([job!]), ['a'])
      const done = await complete(catalog, [job!])
      assert.deepEqual(done.complete, [a.snapshotId])
      assert.deepEqual(
        done.events.map((event) => [event.type, event.before, event.after]),
        [['fixity-repaired', 'corrupt', held.sha256]],
      )
      assert.equal((await catalog.totals()).blobs, 2)
      assert.equal((await catalog.recordDamage([damage], AT)).length, 1, 'new damage is news again')
    })

    test('`jobOfFile` finds a job however far back it is', async () => {
      await using catalog = await open()
      const files = Array.from({ length: 3000 }, (_, at) => smallFile(`f${String(at).padStart(4, '0')}`))
      const { snapshotId } = await addListed(catalog, 'Qwen/A', files)

      const job = await catalog.jobOfFile(snapshotId, 'f2999')

      assert.deepEqual([job?.path, job?.state], ['f2999', 'ready'])
      assert.equal(await catalog.jobOfFile(snapshotId, 'none'), undefined)
      const [leased] = await catalog.leaseJobs(BATCH)
      await completeOne(catalog, leased!.jobId, digestsOf(leased!), [], AT)
      assert.equal(await catalog.jobOfFile(snapshotId, 'f0000'), undefined)
    })
  })
}

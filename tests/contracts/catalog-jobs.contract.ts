import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { HOLD_REASONS } from '../../src/domain/decision.ts'
import type { Digests } from '../../src/domain/digest.ts'
import type { Job } from '../../src/work-rows.ts'
import {
  addListed,
  addRepos,
  ANY_JOB,
  AT,
  digestsOf,
  eventOf,
  factsOf,
  fetchAll,
  gitOidOf,
  largeFile,
  listingRecordOf,
  pollOf,
  sha256Of,
  smallFile,
  completeOne,
} from '../db/catalog-fixtures.ts'
import type { OpenEmptyCatalog } from './catalog.contract.ts'

function pathOf(job: Job | undefined): string | undefined {
  return job?.sources[0]?.path
}

/** The queue of downloads. */
export function catalogJobsContract(name: string, open: OpenEmptyCatalog): void {
  describe(`${name}: jobs`, () => {
    test('`leaseJob` gives no large file away before the schedule has admitted its snapshot', async () => {
      await using catalog = await open()
      const [repoId = -1] = await addRepos(catalog, factsOf('Qwen/A'))
      const files = [largeFile('weights'), smallFile('card')]
      const { snapshotId } = await catalog.recordListing(listingRecordOf(repoId, 'Qwen/A', files))

      assert.equal(pathOf(await catalog.leaseJob(ANY_JOB)), 'card')
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      await catalog.applySchedule([{ snapshotId, rank: 0, hold: 'none' }])
      assert.equal(pathOf(await catalog.leaseJob(ANY_JOB)), 'weights')
    })

    test('`leaseJob` takes small files first, then follows the rank of the snapshots', async () => {
      await using catalog = await open()
      const a = await addListed(catalog, 'Qwen/A', [largeFile('a.gguf'), smallFile('a.json')])
      const b = await addListed(catalog, 'Qwen/B', [largeFile('b.gguf'), smallFile('b.json')])
      await catalog.applySchedule([
        { snapshotId: a.snapshotId, rank: 1, hold: 'none' },
        { snapshotId: b.snapshotId, rank: 0, hold: 'none' },
      ])

      const order: (string | undefined)[] = []
      for (let turn = 0; turn < 5; turn += 1) order.push(pathOf(await catalog.leaseJob(ANY_JOB)))

      assert.deepEqual(order, ['b.json', 'a.json', 'b.gguf', 'a.gguf', undefined])
    })

    test('`leaseJob` with smallOnly and with repos leaves the rest alone', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [largeFile('a.gguf'), smallFile('a.json')])
      const b = await addListed(catalog, 'Qwen/B', [largeFile('b.gguf'), smallFile('b.json')])

      const ofB = { ...ANY_JOB, repos: [b.repoId] }
      assert.equal(await catalog.leaseJob({ ...ANY_JOB, repos: [] }), undefined)
      assert.equal(pathOf(await catalog.leaseJob({ ...ofB, smallOnly: true })), 'b.json')
      assert.equal(await catalog.leaseJob({ ...ofB, smallOnly: true }), undefined)
      assert.equal(pathOf(await catalog.leaseJob(ofB)), 'b.gguf')
      assert.equal(await catalog.leaseJob(ofB), undefined)
      assert.equal(pathOf(await catalog.leaseJob({ ...ANY_JOB, smallOnly: true })), 'a.json')
      assert.equal(await catalog.leaseJob({ ...ANY_JOB, smallOnly: true }), undefined)
    })

    test('`leaseJob` gives nothing while the queue is paused', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [smallFile('a')])

      await catalog.setPaused(true)
      assert.equal(await catalog.isPaused(), true)
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      assert.equal((await catalog.queue({ limit: 1 }))[0]?.hold, 'paused')

      await catalog.setPaused(false)
      assert.equal(pathOf(await catalog.leaseJob(ANY_JOB)), 'a')
    })

    for (const hold of HOLD_REASONS) {
      const moves = { large: hold === 'none', small: ['none', 'budget', 'reserve', 'window'].includes(hold) }
      test(`\`leaseJob\` under hold ${hold}: small ${moves.small}, large ${moves.large}`, async () => {
        await using catalog = await open()
        const { snapshotId } = await addListed(catalog, 'Qwen/A', [largeFile('large'), smallFile('small')])

        await catalog.applySchedule([{ snapshotId, rank: 0, hold }])

        const leased: (string | undefined)[] = []
        for (let turn = 0; turn < 2; turn += 1) leased.push(pathOf(await catalog.leaseJob(ANY_JOB)))
        assert.equal(leased.includes('small'), moves.small)
        assert.equal(leased.includes('large'), moves.large)
        const totals = await catalog.totals()
        assert.equal(totals.jobsHeld, 2 - Number(moves.small) - Number(moves.large))
      })
    }

    test('`leaseJob` gives a shared file away when one of the snapshots that want it may move', async () => {
      await using catalog = await open()
      const shared = largeFile('shared')
      const a = await addListed(catalog, 'Qwen/A', [shared, largeFile('own')])
      const b = await addListed(catalog, 'Qwen/B', [shared])
      const schedule = (holdOfB: 'none' | 'budget') =>
        catalog.applySchedule([
          { snapshotId: a.snapshotId, rank: 0, hold: 'budget' },
          { snapshotId: b.snapshotId, rank: 1, hold: holdOfB },
        ])

      await schedule('budget')
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      await schedule('none')
      const job = await catalog.leaseJob(ANY_JOB)

      assert.ok(job)
      assert.equal(pathOf(job), 'shared')
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      assert.deepEqual(await completeOne(catalog, job.jobId, digestsOf(job), ['hub-lfs-oid'], AT), [b.snapshotId])
      assert.equal((await catalog.file(a.snapshotId, 'shared'))?.sha256, sha256Of('shared'))
    })

    test('`recordListing` of a file that another snapshot may fetch already does not push it back', async () => {
      await using catalog = await open()
      const shared = largeFile('shared')
      await addListed(catalog, 'Qwen/A', [shared])
      const b = await addListed(catalog, 'Qwen/B', [largeFile('b')])
      const [c = -1] = await addRepos(catalog, factsOf('Qwen/C'))

      const { snapshotId } = await catalog.recordListing(listingRecordOf(c, 'Qwen/C', [shared, largeFile('c')]))

      assert.equal(pathOf(await catalog.leaseJob(ANY_JOB)), 'shared')
      assert.equal(pathOf(await catalog.leaseJob(ANY_JOB)), 'b')
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      assert.notEqual(snapshotId, b.snapshotId)
    })

    test('`completeJob` frees a snapshot from its hold when others fetched all that it wanted', async () => {
      await using catalog = await open()
      const a = await addListed(catalog, 'Qwen/A', [largeFile('shared')])
      const b = await addListed(catalog, 'Qwen/B', [largeFile('shared')])
      await catalog.applySchedule([
        { snapshotId: a.snapshotId, rank: 0, hold: 'budget' },
        { snapshotId: b.snapshotId, rank: 1, hold: 'none' },
      ])

      assert.equal((await fetchAll(catalog)).length, 2)

      assert.deepEqual(
        (await catalog.sealable()).map((row) => row.hold),
        ['none', 'none'],
      )
    })

    test('`leaseJob` gives no job twice, however late it is', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [smallFile('a')])

      assert.equal(pathOf(await catalog.leaseJob({ ...ANY_JOB, nowMs: 1000 })), 'a')

      assert.equal(await catalog.leaseJob({ ...ANY_JOB, nowMs: 1e15 }), undefined)
    })

    test('`leaseJob` with maxBytes lets smaller jobs pass', async () => {
      await using catalog = await open()
      const files = [smallFile('s900', 900), smallFile('s9', 9), largeFile('l6000', 6000), largeFile('l5000', 5000)]
      const { repoId } = await addListed(catalog, 'Qwen/A', files)

      for (const repos of [undefined, [repoId]]) {
        const options = { ...ANY_JOB, ...(repos === undefined ? {} : { repos }) }
        assert.equal(await catalog.leaseJob({ ...options, maxBytes: 8 }), undefined)
        assert.equal(await catalog.leaseJob({ ...options, maxBytes: -1 }), undefined)
        const taken: (string | undefined)[] = []
        for (const maxBytes of [899, 899, 5999, 5999]) {
          const job = await catalog.leaseJob({ ...options, maxBytes })
          taken.push(pathOf(job))
        }
        assert.deepEqual(taken, ['s9', undefined, 's900', 'l5000'])
        const begun = new Map([[`sha256-${sha256Of('l6000')}` as const, 6000]])
        assert.equal(
          await catalog.leaseJob({
            ...options,
            maxBytes: 10,
            maxBytesOf: new Map([...begun].map(([key]) => [key, 5999])),
          }),
          undefined,
        )
        assert.equal(pathOf(await catalog.leaseJob({ ...options, maxBytes: 10, maxBytesOf: begun })), 'l6000')
        await catalog.releaseAllLeases()
      }
    })

    test('`pendingSnapshots` names each missing content once, with the same id in every snapshot', async () => {
      await using catalog = await open()
      const weights = largeFile('weights')
      const a = await addListed(catalog, 'Qwen/A', [
        weights,
        { ...weights, path: 'copy' },
        smallFile('s', 10),
        smallFile('t', 10, 's'),
      ])
      const b = await addListed(catalog, 'Qwen/B', [weights, largeFile('other', 7000)])

      const pending = new Map((await catalog.pendingSnapshots()).map((one) => [one.snapshotId, one]))
      const [ofA, ofB] = [pending.get(a.snapshotId), pending.get(b.snapshotId)]

      assert.deepEqual([ofA?.large.length, ofA?.missingBytes], [1, 5010])
      assert.deepEqual([ofB?.large.length, ofB?.missingBytes], [2, 12_000])
      assert.ok(ofB?.large.some(({ jobId }) => jobId === ofA?.large[0]?.jobId))
    })

    test('`smallBytesToFetch` counts what may come, and nothing that failed or does not fit', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [smallFile('a', 10), smallFile('b', 20), smallFile('c', 300), largeFile('l')])
      await addListed(catalog, 'Qwen/B', [smallFile('a', 10)])

      assert.equal(await catalog.smallBytesToFetch(1000), 330)
      assert.equal(await catalog.smallBytesToFetch(299), 30)
      const job = await catalog.leaseJob({ ...ANY_JOB, maxBytes: 10 })
      assert.equal(await catalog.smallBytesToFetch(1000), 330, 'what runs is not held yet')
      await catalog.failJob(job?.jobId ?? -1, { code: 'REPO_GATED', nextTryMs: 0 }, [])
      await catalog.makeDue()
      assert.equal(await catalog.smallBytesToFetch(1000), 320)
    })

    test('`unwantedKeys` tells contents without a job', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [smallFile('s', 10), largeFile('l')])
      const wanted = [`git-${gitOidOf('s')}-10`, `sha256-${sha256Of('l')}`] as const
      const others = [`git-${gitOidOf('x')}-10`, `sha256-${sha256Of('x')}`] as const

      assert.deepEqual(await catalog.unwantedKeys([...wanted, ...others]), others)
      assert.deepEqual(await catalog.unwantedKeys([]), [])
    })

    test('a commit that stays unknown blocks the snapshot that alone wants it, until others have all it lacks', async () => {
      await using catalog = await open()
      const a = await addListed(catalog, 'Qwen/A', [largeFile('own'), largeFile('shared')])
      await addListed(catalog, 'Qwen/B', [largeFile('shared')])
      const failAll = async () => {
        await catalog.makeDue()
        for (let turn = 0; turn < 2; turn += 1) {
          const job = await catalog.leaseJob(ANY_JOB)
          await catalog.failJob(job?.jobId ?? -1, { code: 'SNAPSHOT_UNKNOWN', nextTryMs: 1e8 }, [])
        }
      }
      const pendingA = async () => (await catalog.pendingSnapshots()).find((one) => one.snapshotId === a.snapshotId)

      await failAll()
      await failAll()
      assert.deepEqual(
        [(await pendingA())?.blockedBy, (await pendingA())?.refusalCode],
        [undefined, 'SNAPSHOT_UNKNOWN'],
      )
      await failAll()

      assert.equal((await pendingA())?.blockedBy, 'SNAPSHOT_UNKNOWN')
      const pending = await catalog.pendingSnapshots()
      assert.deepEqual(
        pending.filter((one) => one.blockedBy !== undefined).length,
        1,
        'another commit may still have it',
      )
      await catalog.makeDue()
      assert.equal((await catalog.leaseJob(ANY_JOB))?.lastCode, 'SNAPSHOT_UNKNOWN')
      await catalog.releaseAllLeases()
      assert.equal((await fetchAll(catalog)).length, 2)
      assert.equal((await catalog.sealable()).length, 2)
    })

    test('`releaseJob` and `releaseAllLeases` give leases back', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [smallFile('a'), smallFile('b')])
      const job = await catalog.leaseJob(ANY_JOB)
      await catalog.leaseJob(ANY_JOB)

      await catalog.releaseJobs([job?.jobId ?? -1])
      const again = await catalog.leaseJob(ANY_JOB)

      assert.deepEqual([again?.jobId, again?.attempts], [job?.jobId, 0])
      assert.equal(await catalog.releaseAllLeases(), 2)
      assert.equal(await catalog.releaseAllLeases(), 0)
      assert.equal((await catalog.totals()).jobsReady, 2)
    })

    test('a pause that a clock ten years ahead gave is over when the clock is right again', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [largeFile('a')])
      const job = await catalog.leaseJob(ANY_JOB)
      const [day, year] = [86_400_000, 365 * 86_400_000]

      await catalog.failJob(job?.jobId ?? -1, { code: 'DIGEST_MISMATCH', nextTryMs: 10 * year + 3 * day }, [])

      assert.equal(await catalog.leaseJob({ ...ANY_JOB, nowMs: 10 * year }), undefined)
      assert.equal((await catalog.leaseJob(ANY_JOB))?.jobId, job?.jobId)
    })

    test('`failJob` lets a job wait, `makeDue` ends the pause unless the bytes arrived wrong', async () => {
      await using catalog = await open()
      const { repoId } = await addListed(catalog, 'Qwen/A', [smallFile('a'), smallFile('b')])
      const [a, b] = [await catalog.leaseJob(ANY_JOB), await catalog.leaseJob(ANY_JOB)]

      const logged = await catalog.failJob(a?.jobId ?? -1, { code: 'TRANSFER_STALLED', nextTryMs: 5000 }, [
        eventOf('download-failed'),
      ])
      await catalog.failJob(b?.jobId ?? -1, { code: 'DIGEST_MISMATCH', nextTryMs: 9000 }, [])

      assert.equal(logged[0]?.seq, 1)
      assert.equal(await catalog.leaseJob({ ...ANY_JOB, nowMs: 4999 }), undefined)
      assert.equal(await catalog.nextDueMs(), 5000)
      assert.equal(await catalog.nextDueMs([repoId]), 5000)
      assert.equal(await catalog.nextDueMs([repoId + 1]), undefined)
      const [row] = await catalog.queue({ limit: 1 })
      assert.deepEqual([row?.state, row?.attempts, row?.lastCode], ['waiting', 1, 'TRANSFER_STALLED'])
      assert.equal(row?.nextTryAt, '1970-01-01T00:00:05.000Z')
      assert.equal((await catalog.totals()).jobsFailed, 2)
      await catalog.makeDue([repoId + 1])
      assert.equal(await catalog.leaseJob({ ...ANY_JOB, nowMs: 1200 }), undefined)
      await catalog.makeDue([repoId])
      assert.equal((await catalog.leaseJob({ ...ANY_JOB, nowMs: 1200 }))?.jobId, a?.jobId)
      await catalog.makeDue()
      assert.equal(await catalog.leaseJob({ ...ANY_JOB, nowMs: 1200 }), undefined)
      assert.equal((await catalog.leaseJob({ ...ANY_JOB, nowMs: 9000 }))?.attempts, 1)
    })

    test('`completeJob` completes every snapshot that waited, once', async () => {
      await using catalog = await open()
      const shared = smallFile('LICENSE')
      const a = await addListed(catalog, 'Qwen/A', [shared, { ...shared, path: 'copy/LICENSE' }])
      const b = await addListed(catalog, 'Qwen/B', [shared])
      const job = await catalog.leaseJob(ANY_JOB)
      assert.ok(job)
      assert.equal(job.sources.length, 3)
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)

      const complete = await completeOne(catalog, job.jobId, digestsOf(job), ['hub-git-oid', 'witness'], AT)

      assert.deepEqual(complete, [a.snapshotId, b.snapshotId])
      assert.deepEqual((await catalog.file(a.snapshotId, 'copy/LICENSE'))?.attestedBy, ['hub-git-oid', 'witness'])
      const totals = await catalog.totals()
      assert.deepEqual([totals.blobs, totals.blobBytes, totals.bytesQueued], [1, 10, 0])
      assert.deepEqual(await completeOne(catalog, job.jobId, digestsOf(job), ['hub-git-oid'], AT), [])
      assert.equal((await catalog.totals()).blobs, 1)
    })

    test('`completeJob` refuses bytes that the job was not for', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [largeFile('a', 5000)])
      const job = await catalog.leaseJob(ANY_JOB)
      assert.ok(job)
      const right = digestsOf(job)
      const wrong: Digests[] = [
        { ...right, sha256: sha256Of('other') },
        { ...right, size: 5001 },
      ]

      for (const digests of wrong) {
        await assert.rejects(completeOne(catalog, job.jobId, digests, [], AT), /with the bytes it was for/)
      }

      assert.equal((await catalog.totals()).blobs, 0)
    })

    test('`completeJob` ends two jobs that turn out to be for the same bytes', async () => {
      await using catalog = await open()
      const asLfs = await addListed(catalog, 'Qwen/A', [largeFile('tokenizer.json', 500, 'same')])
      const asGit = await addListed(catalog, 'Qwen/B', [smallFile('tokenizer.json', 500, 'same')])
      const job = await catalog.leaseJob(ANY_JOB)
      const digests = { sha256: sha256Of('same'), gitOid: gitOidOf('same'), size: 500 }

      const complete = await completeOne(catalog, job?.jobId ?? -1, digests, [], AT)

      assert.deepEqual(
        complete.toSorted((x, y) => x - y),
        [asLfs.snapshotId, asGit.snapshotId],
      )
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
    })

    test('`completeJob` notes the bytes of a job that nobody wants any more', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [])
      const digests = { sha256: sha256Of('x'), gitOid: gitOidOf('x'), size: 7 }

      assert.deepEqual(await completeOne(catalog, 12345, digests, [], AT), [])
      await catalog.failJob(12345, { code: 'TRANSFER_STALLED', nextTryMs: 1 }, [])
      await catalog.releaseJobs([12345])

      assert.equal((await catalog.totals()).blobBytes, 7)
    })

    test('`leaseJob` never gives two jobs of one SHA-256 away at once: they would write one file', async () => {
      await using catalog = await open()
      const a = await addListed(catalog, 'Qwen/A', [largeFile('a', 5000, 'weights')])
      const b = await addListed(catalog, 'Qwen/B', [largeFile('b', 6000, 'weights')])
      const first = await catalog.leaseJob(ANY_JOB)
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      assert.equal(await catalog.leaseJob({ ...ANY_JOB, repos: [b.repoId] }), undefined)

      const digests = { sha256: sha256Of('weights'), gitOid: gitOidOf('weights'), size: 5000 }
      assert.deepEqual(await completeOne(catalog, first?.jobId ?? -1, digests, [], AT), [a.snapshotId])

      assert.equal((await catalog.leaseJob(ANY_JOB))?.size, 6000)
      assert.equal((await catalog.file(b.snapshotId, 'b'))?.sha256, undefined)
    })

    test('`leaseJob` names at most ten sources, those that the Hub still shows first', async () => {
      await using catalog = await open()
      const lost = await addListed(catalog, 'Qwen/Lost', [smallFile('LICENSE')])
      const names = Array.from({ length: 12 }, (_, at) => `Qwen/R${at}`)
      for (const repo of names) await addListed(catalog, repo, [smallFile('LICENSE')])
      const states = [{ repoId: lost.repoId, upstream: 'unavailable' as const, evidence: {} }]
      await catalog.recordPoll(pollOf({ states }))

      const job = await catalog.leaseJob(ANY_JOB)

      assert.equal(job?.sources.length, 10)
      assert.ok(job?.sources.every((source) => source.ref.name !== 'Qwen/Lost'))
    })

    test('`bump` puts a repo in front until the next schedule says otherwise', async () => {
      await using catalog = await open()
      const a = await addListed(catalog, 'Qwen/A', [largeFile('a')])
      const b = await addListed(catalog, 'Qwen/B', [largeFile('b')])

      assert.equal(await catalog.bump(b.repoId), 1)
      assert.equal(await catalog.bump(b.repoId + 1), 0)

      const [first] = await catalog.pendingSnapshots()
      assert.deepEqual([first?.snapshotId, first?.bumpedAs], [b.snapshotId, 1])
      assert.equal(pathOf(await catalog.leaseJob(ANY_JOB)), 'b')
      await catalog.bump(a.repoId)
      const again = await catalog.pendingSnapshots()
      assert.deepEqual(
        again.map((one) => one.bumpedAs),
        [2, 1],
      )
    })

    test('`applySchedule` ignores snapshots that want nothing or are unknown', async () => {
      await using catalog = await open()
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [smallFile('a')])
      await fetchAll(catalog)

      await catalog.applySchedule([
        { snapshotId, rank: 7, hold: 'gated' },
        { snapshotId: 999, rank: 8, hold: 'none' },
      ])

      assert.equal((await catalog.sealable())[0]?.hold, 'none')
    })
  })
}

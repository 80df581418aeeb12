import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RepoFilter } from '../../src/archive-rows.ts'
import type { RepoName } from '../../src/domain/repo.ts'
import {
  addListed,
  addRepos,
  ANY_JOB,
  AT,
  commitOf,
  digestsOf,
  eventOf,
  factsOf,
  fetchAll,
  hubIdOf,
  largeFile,
  LATER,
  pollOf,
  refOf,
  sha256Of,
  smallFile,
  completeOne,
} from '../db/catalog-fixtures.ts'
import type { OpenEmptyCatalog } from './catalog.contract.ts'

const FIRST = { after: undefined, limit: 100, withSnapshots: false }

/** Lists, plan, queue, events and sums. */
export function catalogReadingContract(name: string, open: OpenEmptyCatalog): void {
  describe(`${name}: reading`, () => {
    test('`listRepos` pages by name without case and never parts repositories of one name', async () => {
      await using catalog = await open()
      await addRepos(catalog, factsOf('qwen/b'), factsOf('Qwen/A'), factsOf('Qwen/C'))
      await addRepos(catalog, factsOf('Qwen/B', { hubId: hubIdOf('again') }))

      const names: string[] = []
      for (let after: RepoName | undefined; ;) {
        const page = await catalog.listRepos({}, { after, limit: 2, withSnapshots: false })
        names.push(...page.map((row) => row.ref.name))
        after = page.at(-1)?.ref.name
        if (page.length === 0) break
      }

      assert.deepEqual(names, ['Qwen/A', 'qwen/b', 'Qwen/B', 'Qwen/C'])
    })

    test('`listRepos` applies every filter together', async () => {
      await using catalog = await open()
      const gguf = await addListed(catalog, 'Qwen/A-GGUF', [largeFile('m-Q4_K_M.gguf', 9000), smallFile('README.md')])
      await addListed(catalog, 'Qwen/A_100%', [largeFile('model.safetensors', 5000)])
      const other = { license: 'other', license_name: 'Qwen-Research', license_link: undefined }
      await addRepos(catalog, factsOf('Qwen/Empty', { license: other }))
      await fetchAll(catalog)
      await catalog.recordSealed(gguf.snapshotId, 1, 'all', LATER, [])
      const found = async (filter: RepoFilter): Promise<string[]> =>
        (await catalog.listRepos(filter, FIRST)).map((row) => row.ref.name)

      assert.deepEqual(await found({ format: 'GGUF' }), ['Qwen/A-GGUF'])
      assert.deepEqual(await found({ quant: 'q4_k_m' }), ['Qwen/A-GGUF'])
      assert.deepEqual(await found({ quant: 'Q4_K' }), [])
      assert.deepEqual(await found({ license: 'qwen-research' }), ['Qwen/Empty'])
      assert.deepEqual(await found({ license: 'Apache-2.0', format: 'safetensors' }), ['Qwen/A_100%'])
      assert.deepEqual(await found({ state: 'sealed' }), ['Qwen/A-GGUF'])
      assert.deepEqual(await found({ state: 'fetching' }), ['Qwen/A_100%'])
      assert.deepEqual(await found({ largerBytes: 6000 }), ['Qwen/A-GGUF'])
      assert.deepEqual(await found({ smallerBytes: 6000, upstream: 'ok', text: 'a_100%' }), ['Qwen/A_100%'])
      assert.deepEqual(await found({ text: '%' }), ['Qwen/A_100%'])
      assert.deepEqual(await found({ text: '_' }), ['Qwen/A_100%'])
      assert.deepEqual(await found({ upstream: 'gated' }), [])
    })

    test('`listRepos` filters by the newest snapshot as it is now', async () => {
      await using catalog = await open()
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [smallFile('a')])
      await fetchAll(catalog)
      await catalog.recordSealed(snapshotId, 1, 'all', LATER, [])
      assert.equal((await catalog.listRepos({ state: 'sealed' }, FIRST)).length, 1)

      await catalog.blockSnapshot(snapshotId, 'LISTING_CONFLICT')

      assert.equal((await catalog.listRepos({ state: 'sealed' }, FIRST)).length, 0)
      assert.equal((await catalog.listRepos({ state: 'blocked' }, FIRST)).length, 1)
    })

    test('`repoRow` has every snapshot, newest first, and the oldest check of the newest one', async () => {
      await using catalog = await open()
      const { repoId, snapshotId } = await addListed(catalog, 'Qwen/A', [largeFile('a.gguf'), smallFile('b')])
      await fetchAll(catalog, AT)
      assert.equal((await catalog.repoRow(refOf('qwen/A')))?.lastVerifiedAt, AT)

      await catalog.recordVerified([sha256Of('a.gguf'), sha256Of('unknown')], LATER)
      const half = await catalog.repoRow(refOf('Qwen/A'))
      const b = (await catalog.file(snapshotId, 'b'))?.sha256
      await catalog.recordVerified(b === undefined ? [] : [b], LATER)
      const whole = await catalog.repoRow(refOf('Qwen/A'))

      assert.deepEqual([half?.lastVerifiedAt, whole?.lastVerifiedAt], [AT, LATER])
      assert.equal((await catalog.totals()).oldestVerifiedAt, LATER)
      assert.deepEqual([whole?.repoId, whole?.formats, whole?.quants], [repoId, ['gguf'], []])
      assert.deepEqual(
        whole?.snapshots.map((snapshot) => snapshot.snapshotId),
        [snapshotId],
      )
      assert.equal(await catalog.repoRow(refOf('Qwen/B')), undefined)
    })

    test('`snapshotsByPrefix` needs at least seven digits', async () => {
      await using catalog = await open()
      const { repoId, snapshotId } = await addListed(catalog, 'Qwen/A', [])
      const commit = commitOf('Qwen/A')

      assert.equal((await catalog.snapshot(repoId, commit))?.snapshotId, snapshotId)
      assert.equal(await catalog.snapshot(repoId, commitOf('other')), undefined)
      for (const length of [7, 8, 39, 40]) {
        const [found] = await catalog.snapshotsByPrefix(repoId, commit.slice(0, length))
        assert.equal(found?.snapshotId, snapshotId)
      }
      for (const prefix of [commit.slice(0, 6), `${commit}0`, 'main', '%', commitOf('other').slice(0, 7)]) {
        assert.deepEqual(await catalog.snapshotsByPrefix(repoId, prefix), [])
      }
    })

    test('`planRows` says when a file that failed is tried again', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', [largeFile('a'), largeFile('b')], [])
      await catalog.applySchedule([{ snapshotId: 1, rank: 0, hold: 'none' }])
      const job = await catalog.leaseJob({ nowMs: 0, smallOnly: false })
      await catalog.failJob(job?.jobId ?? -1, { code: 'REPO_GATED', nextTryMs: 5000 }, [])

      const { rows } = await catalog.planRows({ after: undefined, limit: 10, taken: true })

      const tries = rows.map(({ path, nextTryAt }) => `${path} ${nextTryAt}`).sort()
      const other = job?.sources[0]?.path === 'a' ? 'b' : 'a'
      assert.deepEqual(tries, [`${job?.sources[0]?.path} 1970-01-01T00:00:05.000Z`, `${other} undefined`].sort())
    })

    test('`planRows` visits every wanted and every left file once, in the order of the schedule', async () => {
      await using catalog = await open()
      const files = (repo: string) => ['a', 'b', 'c'].map((path) => largeFile(`${repo}/${path}`))
      const a = await addListed(catalog, 'Qwen/A', files('A'), ['A/b'])
      const b = await addListed(catalog, 'Qwen/B', files('B'), ['B/a', 'B/b'])
      await catalog.applySchedule([
        { snapshotId: a.snapshotId, rank: 1, hold: 'budget' },
        { snapshotId: b.snapshotId, rank: 0, hold: 'none' },
      ])
      const read = async (taken: boolean): Promise<string[]> => {
        const rows: string[] = []
        for (let after: string | undefined; ;) {
          const page = await catalog.planRows({ after, limit: 2, taken })
          rows.push(...page.rows.map((row) => `${row.path} ${row.hold} ${row.reason}`))
          after = page.next
          if (after === undefined) return rows
        }
      }

      assert.deepEqual(await read(true), ['B/c none wanted', 'A/a budget wanted', 'A/c budget wanted'])
      const left = ['B/a none format-not-wanted', 'B/b none format-not-wanted', 'A/b budget format-not-wanted']
      assert.deepEqual(await read(false), left)
      assert.deepEqual(await catalog.planTotals(), {
        filesToFetch: 1,
        bytesToFetch: 5000,
        filesHeldBack: 2,
        bytesHeldBack: 10_000,
        bytesHeld: 0,
        filesSkipped: 3,
        bytesSkipped: 15_000,
      })
      assert.equal((await catalog.planRows({ after: 'nonsense', limit: 1, taken: true })).rows[0]?.path, 'B/c')
      await catalog.applySchedule([{ snapshotId: a.snapshotId, rank: 1, hold: 'none' }])
      const job = await catalog.leaseJob({ ...ANY_JOB, repos: [a.repoId] })
      assert.ok(job)
      await completeOne(catalog, job.jobId, digestsOf(job), ['hub-lfs-oid'], AT)
      assert.deepEqual(await read(true), ['B/c none wanted', 'A/c none wanted'])
    })

    test('`queue` shows what runs, what comes next, what waits and what is held', async () => {
      await using catalog = await open()
      const files = [smallFile('a1'), smallFile('a2'), smallFile('a3'), largeFile('large')]
      const { snapshotId } = await addListed(catalog, 'Qwen/A', files)
      await catalog.applySchedule([{ snapshotId, rank: 0, hold: 'budget' }])
      const failed = await catalog.leaseJob(ANY_JOB)
      await catalog.failJob(failed?.jobId ?? -1, { code: 'HUB_UNREACHABLE', nextTryMs: 9000 }, [])
      await catalog.leaseJob(ANY_JOB)

      const rows = await catalog.queue({ limit: 10 })

      assert.deepEqual(
        rows.map((row) => [row.path, row.state, row.hold]),
        [
          ['a2', 'leased', 'none'],
          ['a3', 'ready', 'none'],
          ['a1', 'waiting', 'none'],
          ['large', 'ready', 'budget'],
        ],
      )
      assert.equal((await catalog.queue({ limit: 2 })).length, 2)
      const totals = await catalog.totals()
      assert.deepEqual([totals.jobsLeased, totals.jobsReady, totals.jobsFailed, totals.jobsHeld], [1, 1, 1, 1])
      assert.equal(totals.bytesQueued, 5030)
    })

    test('`events` filters, and gives the newest ones when no start is named', async () => {
      await using catalog = await open()
      const before = { text: '\0\ud800', list: [null] }
      await catalog.appendEvents([
        eventOf('repo-published', { before }),
        eventOf('license-changed', { severity: 'critical', repo: refOf('Qwen/B') }),
        eventOf('disk-low', { severity: 'warning', repo: undefined, after: undefined }),
      ])
      const seqs = async (filter: Parameters<typeof catalog.events>[0]): Promise<number[]> =>
        (await catalog.events(filter)).map((event) => event.seq)

      assert.deepEqual(await seqs({ limit: 2 }), [2, 3])
      assert.deepEqual(await seqs({ since: 0, limit: 2 }), [1, 2])
      assert.deepEqual(await seqs({ since: 3, limit: 2 }), [])
      assert.deepEqual(await seqs({ type: 'disk-low', limit: 9 }), [3])
      assert.deepEqual(await seqs({ repo: refOf('qwen/b').name, limit: 9 }), [2])
      assert.deepEqual(await seqs({ minSeverity: 'warning', limit: 9 }), [2, 3])
      const [first, , third] = await catalog.events({ since: 0, limit: 9 })
      assert.deepEqual(first, { ...eventOf('repo-published', { before }), seq: 1, id: '01234567-1' })
      assert.deepEqual([third?.repo, third?.after], [undefined, undefined])
    })

    test('`eventsNotExported` goes on after what was marked, and the mark never moves back', async () => {
      await using catalog = await open()
      await catalog.appendEvents([eventOf(), eventOf(), eventOf()])
      const pending = async (): Promise<number[]> => (await catalog.eventsNotExported(2)).map((event) => event.seq)

      assert.deepEqual(await pending(), [1, 2])
      await catalog.markExported(2)
      assert.deepEqual(await pending(), [3])
      await catalog.markExported(1)
      assert.deepEqual(await pending(), [3])
    })

    test('methods called at once run one after another, each whole', async () => {
      await using catalog = await open()
      const repos = Array.from({ length: 20 }, (_, at) => factsOf(`Qwen/R${at}`))

      await Promise.all(
        repos.map((facts) => catalog.recordPoll(pollOf({ changed: [{ facts, upstream: 'ok' }], events: [eventOf()] }))),
      )

      const events = await catalog.events({ since: 0, limit: 100 })
      assert.deepEqual(
        events.map((event) => event.seq),
        repos.map((_, at) => at + 1),
      )
      assert.equal((await catalog.totals()).repos, 20)
    })
  })
}

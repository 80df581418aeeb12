import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  addListed,
  addRepos,
  AT,
  commitOf,
  eventOf,
  factsOf,
  hubIdOf,
  LATER,
  listingRecordOf,
  pollOf,
  refOf,
  smallFile,
  WATCH,
} from '../db/catalog-fixtures.ts'
import type { OpenEmptyCatalog } from './catalog.contract.ts'

/** Polls: repositories, names, losses, events. */
export function catalogPollsContract(name: string, open: OpenEmptyCatalog): void {
  describe(`${name}: polls`, () => {
    test('`recordPoll` that fails half-way leaves no repository, no cursor and no gap in the event numbers', async () => {
      await using catalog = await open()
      const unprintable = eventOf('repo-updated', { detail: { size: 1n } })
      const changed = [{ facts: factsOf('Qwen/A'), upstream: 'ok' as const }]

      const run = catalog.recordPoll(pollOf({ changed, events: [eventOf(), unprintable] }))

      await assert.rejects(run, TypeError)
      assert.equal(await catalog.repoByName(refOf('Qwen/A')), undefined)
      assert.equal(await catalog.watchState(WATCH), undefined)
      const logged = await catalog.recordPoll(pollOf({ changed, events: [eventOf(), eventOf()] }))
      assert.deepEqual(
        logged.map((event) => [event.seq, event.id]),
        [
          [1, '01234567-1'],
          [2, '01234567-2'],
        ],
      )
    })

    test('`recordPoll` keeps what a hostile card says, byte for byte', async () => {
      await using catalog = await open()
      const license = { license: 'other', license_name: 'a\0b\ud800', license_link: 'x\udc00\u202e' }
      const cardData = { text: '\0\ud800', __proto__: 'x', nested: [{ deep: null }] }
      await addRepos(catalog, factsOf('Qwen/A', { license, cardData, tags: ['t\ud800', ''] }))

      const repo = await catalog.repoByName(refOf('Qwen/A'))

      assert.deepEqual(repo?.license, license)
      assert.deepEqual(await catalog.cardOf(repo?.repoId ?? -1), { gated: false, tags: ['t\ud800', ''], cardData })
    })

    test('`repoByName` ignores letter case and keeps types apart', async () => {
      await using catalog = await open()
      const [model] = await addRepos(catalog, factsOf('Qwen/A'))
      const dataset = factsOf('Qwen/A', {
        ref: { type: 'dataset', name: refOf('Qwen/A').name },
        hubId: hubIdOf('data'),
      })
      const [data] = await addRepos(catalog, dataset)

      assert.equal((await catalog.repoByName(refOf('qwen/a')))?.repoId, model)
      assert.equal((await catalog.repoByName({ type: 'dataset', name: refOf('QWEN/A').name }))?.repoId, data)
      assert.equal((await catalog.repoByHubId(hubIdOf('Qwen/A')))?.upstream, 'ok')
      assert.equal(await catalog.repoByName(refOf('Qwen/B')), undefined)
    })

    test('`recordPoll` follows a rename, and a snapshot keeps the name under which it was listed', async () => {
      await using catalog = await open()
      const { repoId } = await addListed(catalog, 'Qwen/Old', [smallFile('README.md')])

      await addRepos(catalog, factsOf('Qwen/New', { hubId: hubIdOf('Qwen/Old'), commit: commitOf('Qwen/Old') }))

      const row = await catalog.repoRow(refOf('Qwen/New'))
      assert.equal(row?.repoId, repoId)
      assert.equal(row?.newest?.ref.name, 'Qwen/Old')
      assert.equal(await catalog.repoByName(refOf('Qwen/Old')), undefined)
      const job = await catalog.leaseJob({ nowMs: 1, smallOnly: false })
      assert.equal(job?.sources[0]?.ref.name, 'Qwen/New')
    })

    test('`recordPoll` keeps both repositories when a name is used again, and the name means the new one', async () => {
      await using catalog = await open()
      const [old] = await addRepos(catalog, factsOf('Qwen/A'))
      const [fresh] = await addRepos(catalog, factsOf('qwen/a', { hubId: hubIdOf('second') }))

      assert.notEqual(old, fresh)
      assert.equal((await catalog.repoByName(refOf('Qwen/A')))?.repoId, fresh)
      assert.equal((await catalog.repoByHubId(hubIdOf('Qwen/A')))?.upstream, 'recreated')
      assert.deepEqual(
        (await catalog.unlistedHeads(WATCH)).map((head) => head.repoId),
        [fresh],
      )
      // Even when the Hub's answer about the name is then stored with the old one.
      await catalog.recordPoll(pollOf({ states: [{ repoId: old ?? -1, upstream: 'ok', evidence: { at: AT } }] }))
      assert.equal((await catalog.repoByName(refOf('Qwen/A')))?.repoId, fresh)
    })

    test('`recordPoll` gives a name to an older repository that was renamed to it', async () => {
      await using catalog = await open()
      const [a, b] = await addRepos(catalog, factsOf('Qwen/A'), factsOf('Qwen/B'))

      await addRepos(catalog, factsOf('Qwen/B', { hubId: hubIdOf('Qwen/A') }))

      assert.equal((await catalog.repoByName(refOf('Qwen/B')))?.repoId, a)
      assert.equal((await catalog.repoByHubId(hubIdOf('Qwen/B')))?.repoId, b)
    })

    test('`recordPoll` lets two repositories swap their names in one poll', async () => {
      await using catalog = await open()
      const [a, b] = await addRepos(catalog, factsOf('Qwen/A'), factsOf('Qwen/B'))

      await addRepos(
        catalog,
        factsOf('Qwen/B', { hubId: hubIdOf('Qwen/A') }),
        factsOf('Qwen/A', { hubId: hubIdOf('Qwen/B') }),
      )

      assert.equal((await catalog.repoByName(refOf('Qwen/B')))?.repoId, a)
      assert.equal((await catalog.repoByName(refOf('Qwen/A')))?.repoId, b)
      assert.equal((await catalog.repoByName(refOf('Qwen/A')))?.upstream, 'ok')
      assert.equal((await catalog.repoByName(refOf('Qwen/B')))?.upstream, 'ok')
    })

    test('`recordPoll` counts misses, and being seen again forgets them and moves the last sighting', async () => {
      await using catalog = await open()
      const [repoId = -1] = await addRepos(catalog, factsOf('Qwen/A'))

      await catalog.recordPoll(pollOf({ at: LATER, missing: [{ repoId, misses: 2, firstMissAt: AT }] }))
      const missed = await catalog.repoRow(refOf('Qwen/A'))
      const known = await catalog.repoByName(refOf('Qwen/A'))
      await catalog.recordPoll(pollOf({ at: LATER, unchanged: [repoId] }))

      assert.deepEqual([known?.misses, known?.firstMissAt, missed?.lastSeenAt], [2, AT, AT])
      const again = await catalog.repoByName(refOf('Qwen/A'))
      assert.deepEqual([again?.misses, again?.firstMissAt], [0, undefined])
      assert.equal((await catalog.repoRow(refOf('Qwen/A')))?.lastSeenAt, LATER)
    })

    test('`recordPoll` stores a state with its evidence, and new facts forget both', async () => {
      await using catalog = await open()
      const [repoId = -1] = await addRepos(catalog, factsOf('Qwen/A'))
      const evidence = { status: 404, errorCode: 'RepoNotFound' }

      await catalog.recordPoll(pollOf({ states: [{ repoId, upstream: 'unavailable', evidence }] }))

      const lost = await catalog.repoRow(refOf('Qwen/A'))
      assert.deepEqual([lost?.upstream, lost?.upstreamEvidence], ['unavailable', evidence])
      assert.deepEqual(await catalog.unlistedHeads(undefined), [])
      await addRepos(catalog, factsOf('Qwen/A'))
      const back = await catalog.repoRow(refOf('Qwen/A'))
      assert.deepEqual([back?.upstream, back?.upstreamEvidence], ['ok', undefined])
    })

    test('`recordPollFailure` changes the watch alone', async () => {
      await using catalog = await open()
      await addRepos(catalog, factsOf('Qwen/A'))

      const logged = await catalog.recordPollFailure(WATCH, LATER, 'HUB_UNREACHABLE', 'no route', [eventOf()])

      assert.equal(logged[0]?.seq, 1)
      assert.deepEqual(await catalog.watchState(WATCH), {
        watch: WATCH,
        lastPollAt: LATER,
        lastOkAt: AT,
        lastErrorCode: 'HUB_UNREACHABLE',
        lastErrorMessage: 'no route',
        repos: 1,
      })
      await catalog.recordPoll(pollOf({ at: LATER }))
      assert.deepEqual(
        (await catalog.watchStates()).map((state) => [state.lastOkAt, state.lastErrorCode]),
        [[LATER, undefined]],
      )
    })

    test('`reposOfWatch` gives a repository to the watch that saw it last', async () => {
      await using catalog = await open()
      const [a = -1, b] = await addRepos(catalog, factsOf('Qwen/A'), factsOf('Qwen/B'))

      await catalog.recordPoll(pollOf({ watch: 'repo:Qwen/A', unchanged: [a] }))

      assert.deepEqual(
        (await catalog.reposOfWatch(WATCH)).map((repo) => repo.repoId),
        [b],
      )
      assert.deepEqual(
        (await catalog.reposOfWatch('repo:Qwen/A')).map((repo) => repo.repoId),
        [a],
      )
      assert.deepEqual(await catalog.reposOfWatch('org:nobody'), [])
    })

    test('`unlistedHeads` names a head until its listing is there, and a head that moves back has one', async () => {
      await using catalog = await open()
      const [repoId = -1] = await addRepos(catalog, factsOf('Qwen/A'), factsOf('Qwen/Empty', { commit: undefined }))
      assert.deepEqual(await catalog.unlistedHeads(WATCH), [
        { repoId, ref: refOf('Qwen/A'), commit: commitOf('Qwen/A') },
      ])

      const first = await catalog.recordListing(listingRecordOf(repoId, 'Qwen/A', [smallFile('a')]))
      assert.deepEqual(await catalog.unlistedHeads(undefined), [])
      assert.equal((await catalog.repoByName(refOf('Qwen/A')))?.headListed, true)

      await addRepos(catalog, factsOf('Qwen/A', { commit: commitOf('next') }))
      assert.equal((await catalog.unlistedHeads(WATCH))[0]?.commit, commitOf('next'))
      assert.equal((await catalog.repoRow(refOf('Qwen/A')))?.newest?.snapshotId, first.snapshotId)
      const next = listingRecordOf(repoId, 'Qwen/A', [smallFile('b')], { commit: commitOf('next') })
      const second = await catalog.recordListing(next)
      assert.equal((await catalog.repoRow(refOf('Qwen/A')))?.newest?.snapshotId, second.snapshotId)

      await addRepos(catalog, factsOf('Qwen/A'))
      assert.deepEqual(await catalog.unlistedHeads(WATCH), [])
      assert.equal((await catalog.repoRow(refOf('Qwen/A')))?.newest?.snapshotId, first.snapshotId)
    })

    test('`recordPoll` tells new releases from the backlog of a first poll', async () => {
      await using catalog = await open()
      const [a = -1] = await addRepos(catalog, factsOf('Qwen/A'))
      const later = pollOf({ isFirst: false, changed: [{ facts: factsOf('Qwen/B'), upstream: 'ok' }] })
      await catalog.recordPoll(later)
      const b = (await catalog.repoByName(refOf('Qwen/B')))?.repoId ?? -1
      await catalog.recordListing(listingRecordOf(a, 'Qwen/A', [smallFile('a')]))
      await catalog.recordListing(listingRecordOf(b, 'Qwen/B', [smallFile('b')]))

      const pending = await catalog.pendingSnapshots()

      assert.deepEqual(
        pending.map((snapshot) => [snapshot.repoId, snapshot.isNewRelease]),
        [
          [a, false],
          [b, true],
        ],
      )
    })
  })
}

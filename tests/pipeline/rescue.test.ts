import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RepoName } from '../../src/domain/repo.ts'
import { continueRescues, startEndangered } from '../../src/pipeline/rescue-repos.ts'
import { bindProgress } from '../../src/pipeline/run-pass.ts'
import { fixtureText } from '../support/content/fixture-file.ts'
import { generated } from '../support/content/generated.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'
import { TestVault } from '../support/test-vault.ts'

const { signal } = new AbortController()
const license = (name: string) => ({ path: 'LICENSE', content: fixtureText(`licenses/${name}.txt`) })
const weight = (seed: string) => ({ path: 'model.safetensors', content: generated(seed, 50_000), lfs: true })

/** Two repos; the first one has two commits that were there before anybody watched. */
async function hubWithPast(clock?: HurriedClock): Promise<SimHub> {
  const hub = await startSimHub(clock === undefined ? {} : { now: clock.now })
  hub.world.addRepo('Qwen/A-1B', smallModel('first'))
  hub.world.commit('Qwen/A-1B', { set: [weight('second'), license('qwen-2024-09-19')] })
  hub.world.commit('Qwen/A-1B', {
    set: [{ path: 'README.md', content: '---\nlicense: apache-2.0\n---\n' }, license('apache-2.0.qwenlm-qwen')],
  })
  hub.world.addRepo('Qwen/B-1B', smallModel('b'))
  return hub
}

const commitsOf = async (vault: TestVault): Promise<string[]> => {
  const row = await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/A-1B' as RepoName })
  return (row?.snapshots ?? []).map(({ commit, state }) => `${commit} ${state}`)
}

test('a gate puts a repository in front, and its old commits that still resolve are archived', async () => {
  await using hub = await hubWithPast()
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const [head = '', second = '', first = ''] = hub.world.repo('Qwen/A-1B').commits
  hub.world.forgetCommit('Qwen/A-1B', first)
  // The gate closes and opens again: the first pass is told, the second may download.
  hub.world.setGated('Qwen/A-1B', 'auto')
  await vault.sync({ checkOnly: true })
  hub.world.setGated('Qwen/A-1B', false)
  const before = await vault.eventsOf('license-changed')
  await vault.sync()

  // The second commit names the first as its parent; the Hub does not show it any more.
  assert.deepEqual((await commitsOf(vault)).toSorted(), [`${head} sealed`, `${second} sealed`].toSorted())
  const [rescue] = await vault.archive.catalog.rescues({ pendingOnly: false, limit: 10 })
  assert.equal(rescue?.cause, 'gate-changed')
  assert.deepEqual([rescue?.commitsFound, rescue?.missingFiles, rescue?.missingBytes], [1, 0, 0])
  const row = await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/A-1B' as RepoName })
  assert.equal(row?.newest?.commit, head, 'the head stays the newest')
  // Nothing is concluded from what the card of an old commit did not say.
  assert.deepEqual(await vault.eventsOf('license-changed'), before)
  assert.deepEqual(await vault.eventsOf('license-text-changed'), [])
  hub.world.commit('Qwen/A-1B', { set: [{ path: 'note.txt', content: 'x\n' }] })
  await vault.sync()
  assert.deepEqual(await vault.eventsOf('license-text-changed'), [])
  assert.deepEqual(await vault.eventsOf('license-changed'), before)
})

test('what is endangered is read from the log: a process that is killed after the event forgets nothing', async () => {
  await using hub = await hubWithPast()
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const repo = { type: 'model', name: 'Qwen/A-1B' as RepoName } as const
  const at = new Date(vault.archive.clock.now()).toISOString()
  const event = {
    type: 'bytes-purged',
    severity: 'critical',
    repo,
    at,
    before: null,
    after: 'purged',
    detail: {},
  } as const
  await vault.archive.catalog.appendEvents([event])
  await vault.reopen(hub)
  const deps = bindProgress(vault.archive, vault.progress)

  await startEndangered(deps)
  await startEndangered(deps)

  const rescues = await vault.archive.catalog.rescues({ pendingOnly: true, limit: 10 })
  assert.deepEqual(
    rescues.map(({ ref, cause }) => [ref.name, cause]),
    [['Qwen/A-1B', 'bytes-purged']],
  )
  assert.equal(await vault.archive.catalog.rescueCursor(), (await vault.events()).at(-1)?.seq)
})

test('a rescue during an outage goes on when the Hub is back, and is done once', async () => {
  const clock = new HurriedClock()
  await using hub = await hubWithPast(clock)
  await using vault = await TestVault.open(hub, undefined, clock)
  await vault.sync()
  const { catalog } = vault.archive
  const row = await catalog.repoRow({ type: 'model', name: 'Qwen/A-1B' as RepoName })
  const repos = [{ repoId: row?.repoId ?? -1, cause: 'asked', isDueNow: true }]
  await catalog.startRescues({ repos, at: '2026-03-01T00:00:00.000Z', upToSeq: undefined })
  const deps = bindProgress(vault.archive, vault.progress)
  const fault = hub.faults.add({ path: /\/commits\//, status: 503, headers: { 'Retry-After': '0' } })

  assert.equal(await continueRescues(deps, signal), 1)
  fault.remove()
  assert.equal(await continueRescues(deps, signal), 0)
  hub.clearRequests()
  assert.equal(await continueRescues(deps, signal), 0)

  assert.deepEqual(hub.requests, [])
  const [rescue] = await catalog.rescues({ pendingOnly: false, limit: 10 })
  assert.deepEqual([rescue?.commitsTried, rescue?.commitsFound], [2, 2])
  // The only bytes that are missing are those of the replaced weight and of the first card and config.
  assert.ok((rescue?.missingBytes ?? 0) >= 50_000)
})

test('an organisation that falls silent is rescued whole', async () => {
  await using hub = await hubWithPast()
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const at = new Date(vault.archive.clock.now()).toISOString()
  const detail = { watch: 'org:Qwen', owner: 'Qwen' }
  await vault.archive.catalog.appendEvents([
    { type: 'org-silent', severity: 'warning', repo: undefined, at, before: at, after: 'silent', detail },
  ])
  await vault.sync()

  const rescues = await vault.archive.catalog.rescues({ pendingOnly: false, limit: 10 })
  assert.deepEqual(rescues.map(({ ref }) => ref.name).toSorted(), ['Qwen/A-1B', 'Qwen/B-1B'])
  assert.ok(rescues.every(({ missingBytes, doneAt }) => missingBytes === 0 && doneAt !== undefined))
  assert.equal((await commitsOf(vault)).length, 3)
})

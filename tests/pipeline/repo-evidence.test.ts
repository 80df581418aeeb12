import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RepoName } from '../../src/domain/repo.ts'
import { generated } from '../support/content/generated.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { TestVault } from '../support/test-vault.ts'

const A = { type: 'model', name: 'Qwen/A-1B' as RepoName } as const
const TOKENS = { hf_user: { user: 'me', grants: ['Qwen/A-1B'] }, hf_other: { user: 'other' } }
const withToken = (
  token: string,
): string => `hub: { endpoint: "HUB", token: ${token}, confirm_loss: { misses: 3, over: 0s } }
budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s }
`

/** What an answer proved, as far as it is looked at here. */
interface Proof {
  readonly status: number
  readonly errorCode: string
  readonly path: string
  readonly at: string
  readonly headers: Readonly<Record<string, string>>
}

async function passes(vault: TestVault, count: number): Promise<void> {
  for (let pass = 0; pass < count; pass += 1) await vault.sync()
}

test('every transition is kept with status, headers without secrets and time, of each caller and of an old file', async () => {
  await using hub = await startSimHub({ tokens: TOKENS })
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  hub.world.addRepo('Qwen/B-1B', smallModel('b'))
  await using vault = await TestVault.open(hub, withToken('hf_other'))
  await passes(vault, 1)
  hub.world.deleteRepo('Qwen/A-1B')
  await passes(vault, 5)

  const row = await vault.archive.catalog.repoRow(A)
  const [first, lost, ...more] = await vault.archive.catalog.transitions(row?.repoId ?? -1, 10)

  assert.deepEqual(more, [])
  assert.ok(first !== undefined && lost !== undefined)
  assert.deepEqual([first.from, first.to, lost.from, lost.to], ['unknown', 'ok', 'ok', 'unavailable'])
  assert.equal((first.evidence as Proof).status, 200)
  const proof = lost.evidence as Record<'withToken' | 'withoutToken' | 'oldFile', Proof>
  assert.deepEqual([proof.withToken.status, proof.withToken.errorCode], [404, 'RepoNotFound'])
  assert.equal(proof.withoutToken.status, 401)
  assert.equal(proof.oldFile.path, 'README.md')
  assert.ok(!Number.isNaN(Date.parse(proof.withToken.at)))
  assert.equal(proof.withToken.headers['x-error-code'], 'RepoNotFound')
  assert.doesNotMatch(JSON.stringify(proof), /hf_other|authorization/i)
})

test('a repository that only our token is not shown is no loss', async () => {
  await using hub = await startSimHub({ tokens: TOKENS })
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  hub.world.addRepo('Qwen/B-1B', smallModel('b'))
  await using vault = await TestVault.open(hub, withToken('hf_other'))
  await passes(vault, 1)
  const before = (await vault.events()).length
  hub.world.hideFromListing('Qwen/A-1B', true)
  hub.faults.add({
    path: /^\/api\/models\/Qwen\/A-1B\?/,
    header: { name: 'authorization', value: /./ },
    status: 404,
    headers: { 'X-Error-Code': 'RepoNotFound', 'X-Error-Message': 'Repository not found' },
  })

  await passes(vault, 6)

  assert.deepEqual((await vault.events()).slice(before), [])
  assert.equal((await vault.archive.catalog.repoByName(A))?.upstream, 'ok')
})

test('a repository that becomes private and that our token may still read is gated, and is rescued', async () => {
  await using hub = await startSimHub({ tokens: TOKENS })
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using vault = await TestVault.open(hub, withToken('hf_user'))
  await passes(vault, 1)
  hub.world.setPrivate('Qwen/A-1B', true)

  await passes(vault, 3)

  const [event, ...more] = await vault.eventsOf('gate-changed')
  assert.deepEqual([event?.severity, event?.before, event?.after, more], ['critical', false, 'private', []])
  assert.equal((await vault.archive.catalog.repoByName(A))?.upstream, 'gated')
  assert.deepEqual(await vault.eventsOf('repo-unavailable'), [])
  const [rescue] = await vault.archive.catalog.rescues({ pendingOnly: false, limit: 10 })
  assert.deepEqual([rescue?.ref.name, rescue?.cause], ['Qwen/A-1B', 'gate-changed'])
})

test('a repository whose page is gone and whose files still answer is in an unknown state, not lost', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  hub.world.addRepo('Qwen/B-1B', smallModel('b'))
  await using vault = await TestVault.open(hub)
  await passes(vault, 1)
  hub.world.hideFromListing('Qwen/A-1B', true)
  const headers = { 'WWW-Authenticate': 'Bearer realm="Authentication required"' }
  const fault = hub.faults.add({ path: /^\/api\/models\/Qwen\/A-1B\?/, status: 401, headers })

  await passes(vault, 8)

  assert.deepEqual(await vault.eventsOf('repo-unavailable'), [])
  assert.equal((await vault.archive.catalog.repoByName(A))?.upstream, 'unknown')
  fault.remove()
  hub.world.hideFromListing('Qwen/A-1B', false)
  await passes(vault, 1)
  assert.equal((await vault.archive.catalog.repoByName(A))?.upstream, 'ok')
})

test('an archive stays what its name means when another repository takes the name, and the new one is archived beside it', async () => {
  await using hub = await startSimHub()
  const original = hub.world.addRepo('Qwen/A-1B', smallModel('original'))
  const { hubId } = hub.world.repo('Qwen/A-1B')
  await using vault = await TestVault.open(hub)
  await passes(vault, 1)
  const impostor = hub.world.recreateRepo('Qwen/A-1B', smallModel('impostor'))
  await passes(vault, 2)

  const row = await vault.archive.catalog.repoRow(A)
  assert.deepEqual([row?.hubId, row?.newest?.commit, row?.upstream], [hubId, original, 'recreated'])
  const named = await vault.archive.catalog.reposNamed(A)
  assert.deepEqual(
    named.map((repo) => [repo.newest?.commit, repo.newest?.state]),
    [
      [original, 'sealed'],
      [impostor, 'sealed'],
    ],
  )
})

test('a name that was given away and then taken by a stranger is told as recreated', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using vault = await TestVault.open(hub)
  await passes(vault, 1)
  hub.world.rename('Qwen/A-1B', 'Qwen/A-2')
  await passes(vault, 2)
  hub.world.addRepo('Qwen/A-1B', smallModel('stranger'))
  await passes(vault, 2)

  const events = await vault.eventsOf('repo-recreated')
  assert.deepEqual(
    events.map((event) => [event.repo?.name, event.severity]),
    [['Qwen/A-1B', 'critical']],
  )
})

test('a listing that suddenly lacks most is one hub-unreachable, not many losses, and what it does show counts', async () => {
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now })
  for (let at = 0; at < 30; at += 1) hub.world.addRepo(`Qwen/R${at}-1B`, smallModel(`r${at}`, 1000))
  await using vault = await TestVault.open(hub, undefined, clock)
  await passes(vault, 1)
  const before = (await vault.events()).length
  const keepFew = (json: unknown): unknown => (Array.isArray(json) ? json.slice(-3) : json)
  const fault = hub.faults.add({ path: /^\/api\/models\?.*author=/, mutateJson: keepFew })
  hub.world.addRepo('Qwen/New-1B', smallModel('new', 1000))

  await passes(vault, 6)
  fault.remove()
  await passes(vault, 2)

  const types = (await vault.events()).slice(before).map((event) => `${event.type} ${event.severity}`)
  assert.deepEqual(types.toSorted(), [
    'hub-reachable notice',
    'hub-unreachable warning',
    'repo-published notice',
    'snapshot-sealed info',
  ])
})

test('an organisation that really deletes most of its repositories is believed after the confirmation', async () => {
  await using hub = await startSimHub()
  for (let at = 0; at < 6; at += 1) hub.world.addRepo(`Qwen/R${at}-1B`, smallModel(`r${at}`, 1000))
  await using vault = await TestVault.open(hub)
  await passes(vault, 1)
  for (let at = 0; at < 5; at += 1) hub.world.deleteRepo(`Qwen/R${at}-1B`)

  await passes(vault, 4)

  assert.equal((await vault.eventsOf('repo-unavailable')).length, 5)
  assert.deepEqual(await vault.eventsOf('hub-unreachable'), [])
})

test('a poll in which little changed costs its list pages and at most four requests a changed repository', async () => {
  await using hub = await startSimHub({ listPageSizeMax: 30 })
  for (let at = 0; at < 60; at += 1) {
    hub.world.addRepo(`Qwen/R${at}`, { files: [{ path: 'config.json', content: `${at % 7}\n` }] })
  }
  await using vault = await TestVault.open(hub)
  await passes(vault, 1)
  for (let at = 0; at < 5; at += 1) {
    hub.world.commit(`Qwen/R${at}`, {
      set: [{ path: 'weights.safetensors', content: generated(`w${at}`, 1000), lfs: true }],
    })
  }
  hub.clearRequests()

  await vault.sync({ checkOnly: true })
  await vault.sync()

  const api = hub.requests.filter((request) => request.bucket === 'api' && !request.path.includes('resolve-cache'))
  const lists = api.filter((request) => request.path.startsWith('/api/models?'))
  // Two passes, of which the second downloads.
  assert.equal(lists.length, 4)
  assert.ok(api.length - lists.length <= 4 * 5, `${api.length - lists.length} other requests`)
  assert.equal((await vault.eventsOf('repo-updated')).length, 5)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { hubUnderTest, repoRef } from './support/hub-under-test.ts'

const { signal } = new AbortController()
const FILES = [{ path: 'a', content: 'x' }]
const A = repoRef('Qwen/A')
const COMMIT = 'c'.repeat(40)

test('readRefs gives branches and tags, also under a new name of the repository', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: FILES })
  sim.world.setTag('Qwen/A', 'v1', head)
  sim.world.moveBranch('Qwen/A', 'dev', head)
  await using it = hubUnderTest(sim.url)
  const refs = [
    { kind: 'branch', name: 'main', commit: head },
    { kind: 'branch', name: 'dev', commit: head },
    { kind: 'tag', name: 'v1', commit: head },
  ]

  assert.deepEqual(await it.hub.readRefs(A, signal), refs)
  sim.world.rename('Qwen/A', 'Qwen/B')
  assert.deepEqual(await it.hub.readRefs(A, signal), refs)
})

test('readRefs refuses what cannot be branches and tags, and follows to nothing else', async () => {
  await using sim = await startSimHub()
  sim.world.addRepo('Qwen/A', { files: FILES })
  await using it = hubUnderTest(sim.url)
  const ref = (name: unknown, targetCommit: unknown = COMMIT) => ({ name, targetCommit })
  const many = Array.from({ length: 5001 }, (_, at) => ref(`v${at}`))
  const answers: unknown[] = [
    [],
    null,
    {},
    { branches: {}, tags: [] },
    { branches: [], tags: [ref('v1', 'short')] },
    { branches: [], tags: [ref('v1', COMMIT.toUpperCase())] },
    { branches: [], tags: [ref('')] },
    { branches: [], tags: [ref(1)] },
    { branches: [], tags: [ref('x'.repeat(1001))] },
    { branches: [], tags: [ref('v1'), ref('v1', 'd'.repeat(40))] },
    { branches: [null], tags: [] },
    { branches: [], tags: many },
  ]
  for (const answer of answers) {
    const fault = sim.faults.add({ mutateJson: () => answer })
    await assert.rejects(
      it.hub.readRefs(A, signal),
      { code: 'HUB_ANSWER_INVALID' },
      JSON.stringify(answer)?.slice(0, 80),
    )
    fault.remove()
  }
  for (const redirectTo of ['https://evil.test/api/models/Qwen/A/refs', '/api/models/Qwen/A/tree/main', '/Qwen/A']) {
    const fault = sim.faults.add({ redirectTo })
    await assert.rejects(it.hub.readRefs(A, signal), { code: 'HUB_REDIRECT_REFUSED' }, redirectTo)
    fault.remove()
  }
})

test('readRefs and readCommits say what a refusal means', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: FILES })
  await using it = hubUnderTest(sim.url)

  await assert.rejects(it.hub.readCommits(A, COMMIT as never, signal), { code: 'SNAPSHOT_UNKNOWN' })
  sim.world.setDisabled('Qwen/A', 'info-403')
  await assert.rejects(it.hub.readRefs(A, signal), { code: 'REPO_DISABLED' })
  sim.world.deleteRepo('Qwen/A')
  await assert.rejects(it.hub.readCommits(A, head as never, signal), { code: 'REPO_UNAVAILABLE' })
})

test('readCommits gives the newest commits first, and knows when these are not all', async () => {
  await using sim = await startSimHub()
  const first = sim.world.addRepo('Qwen/A', { files: FILES })
  const second = sim.world.commit('Qwen/A', { set: [{ path: 'b', content: 'y' }] })
  await using it = hubUnderTest(sim.url)

  assert.deepEqual(await it.hub.readCommits(A, second as never, signal), { commits: [second, first], isComplete: true })
  assert.deepEqual(await it.hub.readCommits(A, first as never, signal), { commits: [first], isComplete: true })
  sim.faults.add({ setHeaders: { 'X-Total-Count': '3' } })
  assert.equal((await it.hub.readCommits(A, second as never, signal)).isComplete, false)
  sim.faults.clear()
  sim.faults.add({ setHeaders: { Link: '<http://x/y>; rel="next"' } })
  assert.equal((await it.hub.readCommits(A, second as never, signal)).isComplete, false)
})

test('readCommits refuses a list that is none', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: FILES })
  await using it = hubUnderTest(sim.url)
  for (const answer of [{}, null, [null], [{ id: 'short' }], [{}], [{ id: 7 }]]) {
    const fault = sim.faults.add({ mutateJson: () => answer })
    await assert.rejects(it.hub.readCommits(A, head as never, signal), { code: 'HUB_ANSWER_INVALID' })
    fault.remove()
  }
})

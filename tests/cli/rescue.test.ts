import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { CliFolder } from './cli-harness.ts'

test('rescue puts an owner in front, finds old commits, says what is missing, and sync then fetches it', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('first'))
  hub.world.commit('Qwen/A-1B', {
    set: [{ path: 'model.safetensors', content: generated('second', 40_000), lfs: true }],
  })
  hub.world.addRepo('friend/B-1B', smallModel('b'))
  await using folder = await CliFolder.make(
    `hub: { endpoint: "${hub.url}" }\nbudget: { total: 1GB, reserve: 1MB }\nwatch: [{ org: Qwen }, { user: friend }]\n`,
  )
  assert.equal((await folder.call(['sync'])).code, 0)

  const none = await folder.call(['rescue'])
  const asked = await folder.call(['rescue', 'qwen'])
  const json = JSON.parse((await folder.call(['rescue', '--json'])).out) as {
    missingBytes: number
    rescues: { repo: string; cause: string; commitsFound: number; missingBytes: number }[]
  }
  await folder.call(['sync'])
  const after = await folder.call(['rescue'])

  assert.match(none.out, /Nothing is being rescued/)
  assert.equal(asked.code, 0, asked.err)
  assert.match(asked.out, /Qwen\/A-1B +ok +asked .*1 of 1 +\d+(\.\d)? kB/)
  assert.match(asked.out, /Still missing: 1 file, /)
  assert.deepEqual(
    json.rescues.map(({ repo, cause, commitsFound }) => [repo, cause, commitsFound]),
    [['Qwen/A-1B', 'asked', 1]],
  )
  assert.equal(json.missingBytes, 50_000)
  assert.match(after.out, /Nothing wanted is missing/)
})

test('rescue names what it does not know', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using folder = await CliFolder.make(
    `hub: { endpoint: "${hub.url}" }\nbudget: { total: 1GB, reserve: 1MB }\nwatch: [{ org: Qwen }]\n`,
  )
  await folder.call(['sync'])

  const owner = await folder.call(['rescue', 'nobody'])
  const repo = await folder.call(['rescue', 'Qwen/A-2B'])
  const nonsense = await folder.call(['rescue', '../x'])

  assert.deepEqual([owner.code, repo.code, nonsense.code], [1, 1, 2])
  assert.match(owner.err, /no repository of nobody[^]*REPO_UNKNOWN/)
  assert.match(repo.err, /REPO_UNKNOWN/)
  assert.match(nonsense.err, /neither owner\/name nor/)
})

test('show tells what became of a repository and what proves it, and of another one that took its name', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  hub.world.addRepo('Qwen/B-1B', smallModel('b'))
  await using folder = await CliFolder.make(
    `hub: { endpoint: "${hub.url}", confirm_loss: { misses: 1, over: 0s } }\nbudget: { total: 1GB, reserve: 1MB }\n`,
  )
  await folder.call(['sync'])
  hub.world.deleteRepo('Qwen/A-1B')
  await folder.call(['sync'])
  const lost = await folder.call(['show', 'Qwen/A-1B'])
  const json = JSON.parse((await folder.call(['show', 'Qwen/A-1B', '--json'])).out) as {
    transitions: { from: string; to: string; evidence: { status: number; headers: object } }[]
  }
  const impostor = hub.world.addRepo('Qwen/A-1B', smallModel('impostor'))
  await folder.call(['sync'])
  const taken = await folder.call(['show', 'Qwen/A-1B'])

  assert.match(lost.out, /unknown → ok \(HTTP 200 at .*\)\n.*ok → unavailable \(HTTP 401 at .*\)/)
  assert.deepEqual(
    json.transitions.map(({ from, to, evidence }) => [from, to, evidence.status]),
    [
      ['unknown', 'ok', 200],
      ['ok', 'unavailable', 401],
    ],
  )
  assert.match(taken.out, /unavailable → recreated/)
  assert.match(taken.out, new RegExp(`another repository .*; show Qwen/A-1B@${impostor.slice(0, 10)}`))
})

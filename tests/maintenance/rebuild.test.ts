import assert from 'node:assert/strict'
import { appendFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { CliFolder, withoutHub } from '../cli/cli-harness.ts'
import { generated } from '../support/content/generated.ts'
import { blobPath, provenBlobs } from '../support/held-files.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

function files(seed: string) {
  return [
    { path: 'config.json', content: `{"seed":"${seed}"}\n` },
    { path: 'model.safetensors', content: generated(seed, 60_000), lfs: true },
    { path: 'model-Q2_K.gguf', content: generated(`${seed} q2`, 30_000), lfs: true },
  ]
}

const WATCH = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1h, keep: { exclude: ["*Q2_K*"] } }
`

/** One repository with two commits, one that upstream lost after it was archived, one that was gated since. */
async function archived(hub: SimHub): Promise<CliFolder> {
  hub.world.addRepo('Qwen/Kept', { card: { license: 'apache-2.0' }, files: files('a') })
  hub.world.addRepo('Qwen/Lost', { card: { license: 'mit' }, files: files('b') })
  hub.world.addRepo('Qwen/Gated', { card: { license: 'mit' }, files: files('c') })
  const folder = await CliFolder.watching(hub, WATCH)
  await folder.call(['sync'])
  hub.world.commit('Qwen/Kept', { set: files('a2') })
  hub.world.deleteRepo('Qwen/Lost')
  hub.world.setGated('Qwen/Gated', 'manual')
  for (let pass = 0; pass < 4; pass += 1) await folder.call(['sync'])
  return folder
}

interface Shown {
  readonly repos?: Record<string, unknown>[]
}

/** What a person and a script see of the archive, without the times at which bytes were last read. */
async function seen(folder: CliFolder): Promise<unknown> {
  const { repos = [] } = await folder.json<Shown>('list')
  const shown = []
  for (const repo of repos) {
    // Evidence is in the events; of a licence text only the bytes are in the archive, it is read again by the next sync.
    const left = ['lastVerifiedAt', 'upstreamEvidence', 'licenses', 'transitions']
    const whole = await folder.json('show', String(repo['repo']))
    shown.push(Object.fromEntries(Object.entries(whole).filter(([key]) => !left.includes(key))))
  }
  const { events } = await folder.json<{ events: unknown[] }>('events', '--since', '0', '--limit', '10000')
  return { shown, events }
}

function loseCatalog(folder: CliFolder): void {
  const root = join(folder.path, 'archive')
  for (const name of readdirSync(root)) if (name.startsWith('catalog.db')) rmSync(join(root, name))
}

test('with the catalog deleted, rebuild makes the same one: repositories, files, states and events', async () => {
  await using hub = await startSimHub()
  await using folder = await archived(hub)
  const before = await seen(folder)
  hub.clearRequests()
  loseCatalog(folder)

  const first = await folder.call(['rebuild', '--json'])
  const again = await folder.call(['rebuild'])
  const repeated = await folder.call(['rebuild', '--continue', '--json'])

  assert.equal(first.code, 0, first.out + first.err)
  assert.equal(hub.requests.length, 0)
  assert.deepEqual(await seen(folder), before)
  assert.equal(again.code, 9, 'a catalog that has something is not filled')
  assert.equal(repeated.code, 0)
  assert.deepEqual(await seen(folder), before, 'repeating it changes nothing')
  const sync = await folder.json<{ fetchedFiles: number; failed: unknown[] }>('sync')
  assert.deepEqual([sync.fetchedFiles, sync.failed], [0, []], 'nothing is fetched again')
  const lost = await folder.call(['restore', 'Qwen/Lost', '--to', 'lost'])
  assert.equal(lost.code, 0, 'what upstream lost is given back')
})

test('rebuild tells what is missing or cannot be read with 6, and makes the rest', async () => {
  await using hub = await startSimHub()
  await using folder = await archived(hub)
  const root = join(folder.path, 'archive')
  loseCatalog(folder)
  const [blob] = provenBlobs(root)
  renameSync(blobPath(root, blob!), join(folder.path, 'moved'))
  const listings = join(root, 'listings', 'Qwen', 'Lost')
  const [listing] = readdirSync(listings)
  rmSync(join(listings, listing!))
  appendFileSync(join(listings, listing!), '{"torn')
  const journal = readdirSync(join(root, 'events'))[0]!
  appendFileSync(join(root, 'events', journal), '{"seq":')

  const called = await folder.call(['rebuild', '--json'])

  const rebuilt = JSON.parse(called.out) as { snapshots: number; missingBlobs: number; unreadable: { repo: string }[] }
  assert.equal(called.code, 6)
  assert.deepEqual(
    rebuilt.unreadable.map((one) => one.repo),
    ['Qwen/Lost'],
  )
  assert.equal(rebuilt.snapshots, 3)
  const verify = await folder.json<{ missing: unknown[] }>('verify')
  assert.ok(rebuilt.missingBlobs === 0 || verify.missing.length >= 0)
})

test('rebuild counts equal bytes once, and does not fill a catalog that logged events of its own', async () => {
  await using hub = await startSimHub()
  const twice = generated('twice', 60_000)
  hub.world.addRepo('Qwen/Twice', {
    card: { license: 'mit' },
    files: [
      { path: 'a.safetensors', content: twice, lfs: true },
      { path: 'b.safetensors', content: twice, lfs: true },
    ],
  })
  await using folder = await CliFolder.watching(hub, WATCH)
  await folder.call(['sync'])
  const { totals } = await folder.json<{ totals: { blobs: number } }>('status')
  loseCatalog(folder)
  await folder.call(['sync'], { effects: withoutHub() })

  const refused = await folder.call(['rebuild'])
  loseCatalog(folder)
  const rebuilt = await folder.json<{ blobs: number }>('rebuild')

  assert.equal(refused.code, 9)
  assert.match(refused.err, /has events already\nhint: .*move catalog\.db/)
  assert.equal(rebuilt.blobs, totals.blobs)
  const types = (await folder.json<{ events: { seq: number; type: string }[] }>('events', '--since', '0')).events
  assert.deepEqual(
    types.map(({ type }) => type),
    ['repo-published', 'snapshot-sealed', 'hub-unreachable'],
    'the journal has those of both catalogs',
  )
})

test('an old commit that a rescue listed is not taken for the head, and nothing is rescued again', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Kept', { card: { license: 'apache-2.0' }, files: files('a') })
  const head = hub.world.commit('Qwen/Kept', { set: files('a2') })
  await using folder = await CliFolder.watching(hub, WATCH)
  await folder.call(['sync'])
  hub.world.setGated('Qwen/Kept', 'auto')
  await folder.call(['sync', '--check'])
  hub.world.setGated('Qwen/Kept', false)
  await folder.call(['sync'])
  const before = await seen(folder)
  loseCatalog(folder)

  const rebuilt = await folder.call(['rebuild', '--json'])

  assert.equal(rebuilt.code, 0, rebuilt.out + rebuilt.err)
  const { commit, snapshots } = await folder.json<{ commit: string; snapshots: unknown[] }>('show', 'Qwen/Kept')
  assert.deepEqual([commit, snapshots.length], [head, 2])
  assert.deepEqual(((await seen(folder)) as { events: unknown }).events, (before as { events: unknown }).events)
  hub.clearRequests()
  await folder.call(['sync'])
  assert.deepEqual(
    hub.requests.filter(({ path }) => path.includes('/commits/')),
    [],
  )
})

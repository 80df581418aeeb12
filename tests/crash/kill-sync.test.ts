import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LoggedEvent } from '../../src/domain/events.ts'
import { generated } from '../support/content/generated.ts'
import { copyHeldFiles, journalEvents, provenBlobs, readManifest } from '../support/held-files.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { killAt, type KillPoint } from './kill-at.ts'

const MIB = 1024 * 1024
/** Ten repos with files of some MiB, one with a file of several pieces, three that are sealed before all others. */
function addLineUp(hub: SimHub): Map<string, string> {
  const commits = new Map<string, string>()
  const add = (name: string, sizes: readonly number[]): void => {
    const weights = sizes.map((size, at) => {
      const part = `${String(at + 1).padStart(5, '0')}-of-${String(sizes.length).padStart(5, '0')}`
      return { path: `model-${part}.safetensors`, content: generated(`${name} ${at}`, size), lfs: true }
    })
    const small = ['config.json', 'tokenizer_config.json', 'notes/usage.md'].map((path) => ({
      path,
      content: `{"of":"${name} ${path}"}\n`,
    }))
    commits.set(name, hub.world.addRepo(name, { card: { license: 'apache-2.0' }, files: [...small, ...weights] }))
  }
  for (let at = 0; at < 10; at += 1) add(`Qwen/Small${at}-1B`, [3 * MIB + at, 4 * MIB + at])
  add('Qwen/Big-8B', [120 * MIB + 7, 1])
  for (let at = 0; at < 3; at += 1) add(`Qwen/Cards${at}-0B`, [])
  return commits
}

const KILL_POINTS: readonly KillPoint[] = [
  { kind: 'requests', count: 1 },
  { kind: 'requests', count: 2 },
  { kind: 'requests', count: 5 },
  { kind: 'requests', count: 9 },
  { kind: 'requests', count: 20 },
  // Small files come first, then the cards-only repos are sealed.
  { kind: 'bytes', count: 1 },
  { kind: 'blobs', count: 1 },
  { kind: 'manifests', count: 1 },
  { kind: 'blobs', count: 3 },
  { kind: 'blobs', count: 2 },
  { kind: 'requests', count: 3 },
  // Then large files, eight at a time: the kills come before any of them is whole, the last two after the first.
  { kind: 'bytes', count: 300_000 },
  { kind: 'bytes', count: 2 * MIB },
  { kind: 'bytes', count: 8 * MIB },
  { kind: 'bytes', count: 4 * MIB },
  { kind: 'bytes', count: 5 * MIB },
  { kind: 'requests', count: 12 },
  { kind: 'bytes', count: 6 * MIB },
  { kind: 'blobs', count: 1 },
  { kind: 'manifests', count: 1 },
]

test(`killed at ${KILL_POINTS.length} points of its work, one sync then completes the archive`, async (t) => {
  await using hub = await startSimHub({ pieceBytes: { min: 4096, max: 128 * 1024 } })
  const commits = addLineUp(hub)
  await using sandbox = await Sandbox.make(hub)
  // On a busy machine a kill comes late: what arrives meanwhile must not be everything.
  const slow = hub.faults.add({ origin: 'cdn', slowDrip: { bytes: 64 * 1024, everyMs: 10 } })

  for (const point of KILL_POINTS) {
    assert.ok(await killAt(sandbox, hub, point), `the program still ran at ${JSON.stringify(point)}`)
  }
  slow.remove()
  const last = await sandbox.run(['sync'])

  assert.equal(last.code, 0, last.stdout + last.stderr)
  await t.test('everything is sealed, and sha256sum agrees', () => assertSealed(sandbox, commits))
  await t.test('the log has no gaps, and the journal is the log', () => assertEvents(sandbox, commits))
  await t.test('nothing is left over', () => assertNoLitter(sandbox, commits))
  assert.equal((await sandbox.run(['verify'])).code, 0)
})

async function assertSealed(sandbox: Sandbox, commits: ReadonlyMap<string, string>): Promise<void> {
  const { data } = await sandbox.json(['list'])
  const states = new Map(data.repos.map(({ repo, state }) => [repo, state]))
  assert.deepEqual(states, new Map([...commits.keys()].map((repo) => [repo, 'sealed'] as const)))
  for (const [repo, commit] of commits) {
    const copy = join(sandbox.folder, 'copy')
    const manifest = readManifest(sandbox.root, repo, commit)
    assert.ok(manifest.files.every((file) => file.held))
    await copyHeldFiles(sandbox.root, manifest, copy)
    const sums = join(sandbox.root, 'manifests', ...repo.split('/'), `${commit}.sha256`)
    const checked = spawnSync('sha256sum', ['-c', '--strict', sums], { cwd: copy, encoding: 'utf8' })
    assert.equal(checked.status, 0, checked.stdout + checked.stderr)
    await rm(copy, { recursive: true })
  }
}

async function assertEvents(sandbox: Sandbox, commits: ReadonlyMap<string, string>): Promise<void> {
  const events = await sandbox.events()
  assert.deepEqual(
    events.map((event) => event.seq),
    events.map((_, at) => at + 1),
  )
  const journal = journalEvents(sandbox.root) as LoggedEvent[]
  assert.deepEqual(
    journal.map((event) => ({ ...event, repo: event.repo?.name ?? null })),
    events,
  )
  assert.equal(events.filter((event) => event.type === 'snapshot-sealed').length, commits.size, 'each is sealed once')
  assert.equal(events.filter((event) => event.type === 'repo-published').length, commits.size)
}

async function assertNoLitter(sandbox: Sandbox, commits: ReadonlyMap<string, string>): Promise<void> {
  assert.deepEqual(readdirSync(join(sandbox.root, 'partial')), [])
  assert.deepEqual(readdirSync(join(sandbox.root, 'quarantine')), [])
  assert.deepEqual(readdirSync(sandbox.folder).toSorted(), ['archive', 'weightvault.yaml'])
  const names = readdirSync(sandbox.root, { recursive: true, encoding: 'utf8' })
  assert.deepEqual(
    names.filter((name) => /\.(tmp|new)$/.test(name)),
    [],
  )
  const wanted = new Set<string>()
  for (const [repo, commit] of commits) {
    for (const file of readManifest(sandbox.root, repo, commit).files) wanted.add(file.sha256 ?? '')
  }
  assert.deepEqual(provenBlobs(sandbox.root), [...wanted].toSorted())
}

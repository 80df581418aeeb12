import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CliFolder } from '../cli/cli-harness.ts'
import { generated } from '../support/content/generated.ts'
import { blobPath, provenBlobs } from '../support/held-files.ts'
import { mountTmpfs } from '../support/mount-tmpfs.ts'
import { mountXfs } from '../support/mount-xfs.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/weightvault.js', import.meta.url))
const REPO = 'Qwen/Qwen3-0.6B'
const WEIGHTS = generated('weights', 24_000_000)
/** Far below the weights, far above what a catalog and some folders take. */
const LITTLE = 6_000_000

type Methods = Record<'reflink' | 'hardlink' | 'copy', number>

interface RestoredJson {
  readonly folder: string
  readonly made: number
  readonly verified: number
  readonly methods: Methods
}

/** A folder whose archive is on this disk, and a hub with one model. */
async function archiveOn(disk: string, hub: SimHub): Promise<{ folder: CliFolder; root: string }> {
  hub.world.addRepo(REPO, {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'config.json', content: '{"seed":"a"}\n' },
      { path: 'empty.txt', content: '' },
      { path: 'model.safetensors', content: WEIGHTS, lfs: true },
    ],
  })
  const root = join(disk, 'archive')
  const folder = await CliFolder.make(
    `archive: ${root}
serve: { dashboard: off, mirror: off }
hub: { endpoint: "HUB" }
budget: { total: 100GB, reserve: 0MB }
watch:
  - { org: Qwen, every: 1h }
`,
    hub,
  )
  return { folder, root }
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

test('restore shares blocks by reflink where the disk can, says so, and edits stay in the restored file', async (t) => {
  const disk = mountXfs(t)
  if (disk === undefined) return
  await using hub = await startSimHub()
  await using made = await archiveOn(disk.at, hub).then((all) => Object.assign(all.folder, all))
  await made.call(['sync'])
  const before = disk.usedBytes()

  const plain = await made.json<RestoredJson>('restore', REPO, '--to', join(disk.at, 'out'), '--verify')
  const cache = await made.json<RestoredJson>('restore', REPO, '--to', join(disk.at, 'hub'), '--as', 'hf-cache')
  const never = await made.json<RestoredJson>('restore', REPO, '--to', join(disk.at, 'never'), '--link', 'never')
  const shared = disk.usedBytes() - before
  const hard = await made.json<RestoredJson>('restore', REPO, '--to', join(disk.at, 'hard'), '--link', 'hard')
  const text = await made.call(['restore', REPO, '--to', join(disk.at, 'text')])

  for (const restored of [plain, cache, never]) {
    assert.deepEqual(restored.methods, { reflink: restored.made, hardlink: 0, copy: 0 })
  }
  assert.deepEqual(hard.methods, { reflink: 0, hardlink: hard.made, copy: 0 })
  assert.equal(plain.verified, plain.made)
  assert.match(text.out, new RegExp(`${plain.made} files?, .*\\(${plain.made} by reflink\\)`))
  assert.doesNotMatch(text.out, /Hard links/)
  assert.ok(shared < LITTLE, `three restored folders took ${shared} bytes`)

  const file = join(disk.at, 'out', 'model.safetensors')
  const weights = sha256(file)
  const blob = blobPath(made.root, weights)
  assert.notEqual(statSync(file).ino, statSync(blob).ino)
  assert.equal(statSync(file).mode & 0o600, 0o600, 'its owner may edit it')
  const handle = openSync(file, 'r+')
  writeSync(handle, 'edited', 1000)
  closeSync(handle)
  assert.notEqual(sha256(file), weights)
  assert.equal(sha256(blob), weights)
  provenBlobs(made.root)

  // The control: real bytes would have been seen.
  const measured = disk.usedBytes()
  writeFileSync(join(disk.at, 'control'), readFileSync(blob))
  assert.ok(disk.usedBytes() - measured > WEIGHTS.size / 2)
})

test('every clone is synced before the folder that has them gets its name', async (t) => {
  const disk = mountXfs(t)
  if (disk === undefined) return
  await using hub = await startSimHub()
  await using made = await archiveOn(disk.at, hub).then((all) => Object.assign(all.folder, all))
  await made.call(['sync'])
  const trace = join(made.path, 'trace')
  const out = join(disk.at, 'out')
  const calls = ['-f', '-qq', '-y', '-e', 'trace=ioctl,fsync,rename,renameat,renameat2', '-o', trace]
  const traced = spawnSync('strace', [...calls, process.execPath, PROGRAM, 'restore', REPO, '--to', out, '--json'], {
    cwd: made.path,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: made.path },
  })
  if (traced.error !== undefined) return t.diagnostic(`NOT TESTED: no strace here (${traced.error.message})`)
  assert.equal(traced.status, 0, traced.stderr)
  const restored = JSON.parse(traced.stdout) as RestoredJson
  const lines = readFileSync(trace, 'utf8').split('\n')
  const shown = lines.findIndex((line) => /\brename\w*\(.*tree.*out"/.test(line))
  const before = lines.slice(0, shown)

  assert.ok(shown > 0)
  assert.equal(restored.methods.reflink, restored.made)
  assert.ok(before.filter((line) => line.includes('FICLONE')).length >= restored.made)
  for (const name of ['config.json', 'empty.txt', 'model.safetensors']) {
    assert.ok(
      before.some((line) => line.includes('fsync(') && line.includes(`/${name}>`)),
      `${name} is synced`,
    )
  }
})

test('adopt --reflink shares blocks with the folder, which stays its owner’s to edit', async (t) => {
  const disk = mountXfs(t)
  if (disk === undefined) return
  await using hub = await startSimHub()
  await using made = await archiveOn(disk.at, hub).then((all) => Object.assign(all.folder, all))
  await made.call(['sync', '--check'])
  const files = join(disk.at, 'files')
  mkdirSync(files)
  const file = join(files, 'weights.bin')
  writeFileSync(file, WEIGHTS.read(0, WEIGHTS.size), { mode: 0o640 })
  const weights = sha256(file)
  const before = disk.usedBytes()

  const adopted = await made.json<{ methods: Methods; taken: { files: number } }>('adopt', files, '--reflink')
  const taken = disk.usedBytes() - before

  assert.equal(adopted.taken.files, 1)
  assert.deepEqual(adopted.methods, { reflink: 1, hardlink: 0, copy: 0 })
  assert.ok(taken < LITTLE, `adopting took ${taken} bytes`)
  assert.equal(statSync(file).mode & 0o777, 0o640, 'the folder is left as it is')
  assert.equal(statSync(blobPath(made.root, weights)).mode & 0o222, 0)
  writeFileSync(file, 'edited', { flag: 'r+' })
  assert.equal(sha256(blobPath(made.root, weights)), weights)
  provenBlobs(made.root)
})

test('where source and target are on two disks, restore and adopt copy, and say so', async (t) => {
  const disk = mountXfs(t)
  const other = mountTmpfs(t, 'size=80m')
  if (disk === undefined || other === undefined) return
  await using hub = await startSimHub()
  await using made = await archiveOn(disk.at, hub).then((all) => Object.assign(all.folder, all))
  await made.call(['sync'])
  const out = join(other.at, 'out')

  const restored = await made.json<RestoredJson>('restore', REPO, '--to', out)

  assert.deepEqual(restored.methods, { reflink: 0, hardlink: 0, copy: restored.made })
  for (const wish of ['--reflink', '--link']) {
    rmSync(made.root, { recursive: true })
    await made.call(['sync', '--check'])

    const adopted = await made.json<{ methods: Methods; sealed: unknown[] }>('adopt', out, wish)

    assert.deepEqual([adopted.methods.reflink, adopted.methods.hardlink], [0, 0])
    assert.ok(adopted.methods.copy >= 2)
    assert.equal(adopted.sealed.length, 1)
    assert.notEqual(statSync(join(out, 'model.safetensors')).mode & 0o200, 0, 'a copied file stays as it is')
    provenBlobs(made.root)
  }
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { CliFolder } from '../cli/cli-harness.ts'
import { generated } from '../support/content/generated.ts'
import { blobPath, provenBlobs } from '../support/held-files.ts'
import { mountTmpfs } from '../support/mount-tmpfs.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec, SimHub } from '../support/sim-hub/types.ts'

const REPO = 'Qwen/Qwen3-0.6B'

function model(seed: string): RepoSpec {
  return {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'config.json', content: `{"seed":"${seed}"}\n` },
      { path: 'model.safetensors', content: generated(seed, 300_000), lfs: true },
      { path: 'gguf/model-Q8_0.gguf', content: generated(`${seed} q8`, 200_000), lfs: true },
    ],
  }
}

interface AdoptedJson {
  readonly looked: { files: number }
  readonly taken: { files: number; bytes: number }
  readonly methods: Record<'reflink' | 'hardlink' | 'copy', number>
  readonly alreadyHeld: { files: number }
  readonly unmatched: { files: number }
  readonly unmatchedFiles: { path: string; reason: string }[]
  readonly noRoom: { files: number }
  readonly unreadable: { path: string }[]
  readonly linksOutside: string[]
  readonly special: number
  readonly bookkeeping: number
  readonly filesHeld: number
  readonly sealed: { repo: string }[]
  readonly stoppedBy: string | null
}

/** A hub with one repository, a copy of its files in a folder, and an archive that has listed it and fetched nothing. */
async function listed(hub: SimHub, more = ''): Promise<{ folder: CliFolder; files: string; root: string }> {
  const folder = await CliFolder.watching(hub, more)
  await folder.call(['sync'])
  await folder.call(['restore', REPO, '--to', 'files', '--link', 'never'])
  rmSync(join(folder.path, 'archive'), { recursive: true })
  await folder.call(['sync', '--check'])
  return { folder, files: join(folder.path, 'files'), root: join(folder.path, 'archive') }
}

test('adopt takes a plain folder over: nothing is downloaded, and the snapshot is sealed', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using made = await listed(hub).then((all) => Object.assign(all.folder, all))
  writeFileSync(join(made.files, 'notes.txt'), 'mine')
  writeFileSync(join(made.files, 'twin.json'), '{"seed":"b"}\n')
  hub.clearRequests()

  const first = await made.json<AdoptedJson>('adopt', 'files')
  const asked = hub.requests.length
  const again = await made.json<AdoptedJson>('adopt', 'files')
  const sync = await made.json<{ fetchedFiles: number }>('sync')
  const verify = await made.json<{ ok: boolean; checkedFiles: number }>('verify')

  assert.equal(asked, 0, 'the hub was not asked')
  assert.deepEqual(
    first.sealed.map((one) => one.repo),
    [REPO],
  )
  assert.equal(first.taken.files, first.filesHeld)
  assert.deepEqual(
    first.unmatchedFiles.toSorted((a, b) => a.path.localeCompare(b.path)),
    [
      { path: 'notes.txt', size: 4, reason: 'no listing has a file of this size' },
      { path: 'twin.json', size: 13, reason: 'other bytes than any listing promises' },
    ],
  )
  assert.deepEqual([again.taken.files, again.alreadyHeld.files], [0, first.taken.files])
  assert.equal(sync.fetchedFiles, 0)
  assert.ok(verify.ok && verify.checkedFiles === first.taken.files)
  assert.equal(provenBlobs(made.root).length, first.taken.files)
  assert.equal(readFileSync(join(made.files, 'config.json'), 'utf8'), '{"seed":"a"}\n', 'the folder is left as it is')
})

test('adopt reads both layouts of a Hugging Face cache and a --local-dir download, and none of their bookkeeping', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using made = await listed(hub).then((all) => Object.assign(all.folder, all))
  const home = join(made.path, '.cache', 'huggingface', 'hub')
  const top = join(home, 'models--Qwen--Qwen3-0.6B')
  mkdirSync(join(top, 'blobs'), { recursive: true })
  mkdirSync(join(top, 'snapshots', '1'.repeat(40)), { recursive: true })
  mkdirSync(join(top, 'refs'))
  writeFileSync(join(top, 'refs', 'main'), '1'.repeat(40))
  mkdirSync(join(home, 'blobs', 'ab'), { recursive: true })
  // Weights as the older layout has them, others shared between repositories by two links.
  renameSync(join(made.files, 'model.safetensors'), join(top, 'blobs', 'e'.repeat(64)))
  symlinkSync(`../../blobs/${'e'.repeat(64)}`, join(top, 'snapshots', '1'.repeat(40), 'model.safetensors'))
  renameSync(join(made.files, 'gguf', 'model-Q8_0.gguf'), join(home, 'blobs', 'ab', 'xet'))
  symlinkSync('../../blobs/ab/xet', join(top, 'blobs', 'shared'))
  const local = join(made.path, 'local')
  cpSync(made.files, local, { recursive: true })
  mkdirSync(join(local, '.cache', 'huggingface', 'download'), { recursive: true })
  writeFileSync(join(local, '.cache', 'huggingface', 'download', 'config.json.metadata'), 'a\nb\n1\n')

  const cache = await made.json<AdoptedJson>('adopt', home)
  const inside = await made.json<AdoptedJson>('adopt', top)
  const download = await made.json<AdoptedJson>('adopt', local)

  assert.equal(cache.taken.files, 2)
  assert.equal(cache.bookkeeping, 1)
  assert.deepEqual(inside.linksOutside, [join('blobs', 'shared')])
  assert.ok(download.taken.files >= 1)
  assert.equal(download.bookkeeping, 1)
  assert.equal(download.unmatched.files, 0)
  assert.deepEqual(
    download.sealed.map((one) => one.repo),
    [REPO],
  )
})

test('adopt takes files that no policy wants, and a snapshot that was sealed without them is sealed again', async () => {
  const more = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1h }
`
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using made = await listed(hub, more).then((all) => Object.assign(all.folder, all))
  await made.configure(
    `archive: ./archive\nserve: { dashboard: off, mirror: off }\nhub: { endpoint: "HUB" }\n${more.replace('every: 1h', 'every: 1h, keep: { formats: [gguf] }')}`,
    hub,
  )
  await made.call(['sync'])
  const before = await made.json<{ repos: { snapshots: { coverage: string; filesHeld: number }[] }[] }>('list')

  const adopted = await made.json<AdoptedJson>('adopt', 'files')

  const after = await made.json<{ repos: { state: string; snapshots: { coverage: string; filesHeld: number }[] }[] }>(
    'list',
  )
  assert.equal(before.repos[0]?.snapshots[0]?.coverage, 'selection')
  assert.equal(adopted.taken.files, 1)
  assert.equal(after.repos[0]?.snapshots[0]?.coverage, 'all')
  assert.equal(after.repos[0]?.snapshots[0]?.filesHeld, before.repos[0].snapshots[0].filesHeld + 1)
  assert.equal(after.repos[0]?.state, 'sealed')
  const manifests = readdirSync(join(made.root, 'manifests', 'Qwen', 'Qwen3-0.6B'))
  assert.ok(
    manifests.some((name) => name.endsWith('.2.json')),
    'a wider manifest beside the first',
  )
})

test('--link makes the files the blobs themselves and read-only; a file with another owner or disk is copied', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using made = await listed(hub).then((all) => Object.assign(all.folder, all))

  const adopted = await made.json<AdoptedJson>('adopt', 'files', '--link')

  const file = join(made.files, 'model.safetensors')
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex')
  assert.equal(adopted.methods.hardlink, adopted.taken.files)
  assert.equal(statSync(file).ino, statSync(blobPath(made.root, sha256)).ino)
  assert.equal(statSync(file).mode & 0o777, 0o440)
  assert.equal(readdirSync(join(made.root, 'partial')).length, 0)
})

test('pipes, links and unreadable files are passed over, hostile names are only names', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using made = await listed(hub).then((all) => Object.assign(all.folder, all))
  spawnSync('mkfifo', [join(made.files, 'pipe')])
  writeFileSync(join(made.path, 'secret'), '{"seed":"a"}\n')
  rmSync(join(made.files, 'config.json'))
  symlinkSync('../secret', join(made.files, 'config.json'))
  symlinkSync('.', join(made.files, 'loop'))
  renameSync(join(made.files, 'model.safetensors'), join(made.files, 'evil\u001b[2J\n.bin'))

  const adopted = await made.json<AdoptedJson>('adopt', 'files')
  const text = await made.call(['adopt', 'files'])

  assert.equal(adopted.special, 1)
  assert.deepEqual(adopted.linksOutside, ['config.json'])
  assert.ok(adopted.taken.files >= 2)
  assert.deepEqual(adopted.sealed, [], 'the link was not followed, so a file is missing')
  assert.ok(!text.out.includes('\u001b'))
})

test('adopt keeps the budget, and refuses while another process writes, or a folder of the archive itself', async () => {
  const more = `budget: { total: 250kB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1h }
`
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using made = await listed(hub).then((all) => Object.assign(all.folder, all))
  await made.configure(
    `archive: ./archive\nserve: { dashboard: off, mirror: off }\nhub: { endpoint: "HUB" }\n${more}`,
    hub,
  )

  const called = await made.call(['adopt', 'files', '--json'])
  const inside = await made.call(['adopt', 'archive/blobs'])
  const missing = await made.call(['adopt', 'nowhere'])

  const adopted = JSON.parse(called.out) as AdoptedJson
  assert.equal(called.code, 10)
  assert.equal(adopted.stoppedBy, 'budget')
  assert.ok(adopted.noRoom.files >= 1 && adopted.taken.bytes <= 250_000)
  assert.equal(inside.code, 2)
  assert.equal(missing.code, 2)
})

test('a full disk ends adopt with 9, and it goes on when there is room', async (t) => {
  const disk = mountTmpfs(t, 'size=1500k')
  if (disk === undefined) return
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using made = await listed(hub).then((all) => Object.assign(all.folder, all))
  rmSync(made.root, { recursive: true })
  await made.configure(
    `archive: ${disk.at}/archive\nserve: { dashboard: off, mirror: off }\nhub: { endpoint: "HUB" }\nbudget: { total: 100GB, reserve: 0MB }\nwatch:\n  - { org: Qwen, every: 1h }\n`,
    hub,
  )
  await made.call(['sync', '--check'])
  const free = Number(spawnSync('stat', ['-f', '-c', '%a', disk.at], { encoding: 'utf8' }).stdout) * 4096
  writeFileSync(join(disk.at, 'filler'), Buffer.alloc(Math.max(0, free - 250_000)))

  const full = await made.call(['adopt', 'files'])
  rmSync(join(disk.at, 'filler'))
  disk.remount('size=8m')
  const adopted = await made.json<AdoptedJson>('adopt', 'files')

  assert.equal(full.code, 9, full.out + full.err)
  assert.deepEqual(
    adopted.sealed.map((one) => one.repo),
    [REPO],
  )
  assert.ok(provenBlobs(join(disk.at, 'archive')).length >= 3)
})

test('a file that is not what it was when it was hashed is never published', async () => {
  for (const method of [[], ['--link'], ['--reflink']]) {
    await using hub = await startSimHub()
    hub.world.addRepo(REPO, model('a'))
    await using made = await listed(hub).then((all) => Object.assign(all.folder, all))
    const file = join(made.files, 'model.safetensors')
    const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex')
    const blob = blobPath(made.root, sha256)
    utimesSync(file, 1e9, 1e9)
    await made.call(['adopt', 'files', ...method])
    assert.ok(existsSync(blob))
    // Other bytes, and nothing that a second look at names, sizes and times could notice.
    rmSync(blob)
    writeFileSync(file, Buffer.from(readFileSync(file)).fill(7, 100, 101))
    utimesSync(file, 1e9, 1e9)

    const changed = await made.json<AdoptedJson>('adopt', 'files', ...method)

    assert.deepEqual([changed.taken.files, existsSync(blob)], [0, false], method.join(' '))
    assert.deepEqual(
      changed.unreadable.map((one) => one.path),
      ['model.safetensors'],
    )
    provenBlobs(made.root)
  }
})

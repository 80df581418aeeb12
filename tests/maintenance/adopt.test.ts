import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
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
import { fileURLToPath } from 'node:url'
import { CliFolder } from '../cli/cli-harness.ts'
import { generated } from '../support/content/generated.ts'
import { blobPath, provenBlobs } from '../support/held-files.ts'
import { mountTmpfs } from '../support/mount-tmpfs.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec, SimHub } from '../support/sim-hub/types.ts'

const REPO = 'Qwen/Qwen3-0.6B'
const HOLD_LOCK = fileURLToPath(new URL('../db/hold-lock.ts', import.meta.url))

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

test('adopt takes over an LM Studio tree: large weights, and none of its side files', async () => {
  const weights = generated('large', 17 * 1024 * 1024)
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'Qwen3-0.6B-Q8_0.gguf', content: weights, lfs: true },
      { path: 'Qwen3-0.6B-Q4_K_M.gguf', content: generated('q4', 200_000), lfs: true },
      { path: 'mmproj-F16.gguf', content: generated('mmproj', 100_000), lfs: true },
      { path: 'params', content: '{}' },
      // No Hub of today would take it outside of LFS; then its git id is all that is promised.
      { path: 'vocab.bin', content: generated('vocab', 17 * 1024 * 1024 + 1), lfs: false },
    ],
  })
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync', '--check'])
  const home = join(folder.path, '.lmstudio')
  const files: Record<string, Uint8Array | string> = {
    'models/Qwen/Qwen3-0.6B/Qwen3-0.6B-Q8_0.gguf': weights.read(0, weights.size),
    // Another publisher's folder, because it was imported by hand.
    'models/Qwen/Qwen3-0.6B/vocab.bin': generated('vocab', 17 * 1024 * 1024 + 1).read(0, 17 * 1024 * 1024 + 1),
    'models/imported/mine/renamed.gguf': generated('mmproj', 100_000).read(0, 100_000),
    // As large as what is listed: only its name says that it is not all there yet.
    'models/Qwen/Qwen3-0.6B/downloading_Qwen3-0.6B-Q4_K_M.gguf.part': Buffer.alloc(200_000),
    'models/Qwen/Qwen3-0.6B/model-00002-of-00002.safetensors.part': 'half',
    'hub/models/qwen/qwen3-0.6b/manifest.json': '{"type":"model","owner":"qwen","name":"qwen3-0.6b"}\n',
    'hub/models/qwen/qwen3-0.6b/model.yaml': 'model: qwen/qwen3-0.6b\n',
    '.internal/model-index-cache.json': '{}',
    '.internal/user-concrete-model-default-config/Qwen/Qwen3-0.6B/Qwen3-0.6B-Q8_0.gguf.json': '{}',
  }
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(join(home, path, '..'), { recursive: true })
    writeFileSync(join(home, path), bytes)
  }

  const models = await folder.json<AdoptedJson>('adopt', '.lmstudio/models')
  const whole = await folder.json<AdoptedJson>('adopt', '.lmstudio')
  const found = await folder.json<{ held: boolean; listed: { path: string; held: boolean }[] }>(
    'find',
    join(home, 'models/Qwen/Qwen3-0.6B/Qwen3-0.6B-Q8_0.gguf'),
  )

  assert.deepEqual([models.taken.files, models.bookkeeping, models.unmatched.files], [3, 2, 0])
  assert.deepEqual([whole.taken.files, whole.alreadyHeld.files, whole.bookkeeping], [0, 3, 4])
  assert.deepEqual(whole.unmatchedFiles.map((file) => file.path).toSorted(), [
    'hub/models/qwen/qwen3-0.6b/manifest.json',
    'hub/models/qwen/qwen3-0.6b/model.yaml',
  ])
  assert.deepEqual(
    found.listed.map(({ path, held }) => [path, held]),
    [['Qwen3-0.6B-Q8_0.gguf', true]],
  )
  assert.equal(provenBlobs(join(folder.path, 'archive')).length, 3)
})

test('adopt is refused with 9 while another process writes, and nothing of the folder is touched', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using made = await listed(hub).then((all) => Object.assign(all.folder, all))
  const blobs = provenBlobs(made.root).length
  const modes = (): number[] => readdirSync(made.files).map((name) => statSync(join(made.files, name)).mode)
  const before = modes()
  const writer = spawn(process.execPath, [HOLD_LOCK, made.root], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const [said] = (await once(writer.stdout, 'data')) as [Buffer]
    assert.equal(said.toString(), 'locked\n')
    for (const method of [[], ['--link'], ['--reflink']]) {
      const refused = await made.call(['adopt', 'files', ...method])

      assert.equal(refused.code, 9, refused.err)
      assert.match(refused.err, /ARCHIVE_LOCKED/)
      assert.ok(refused.err.includes(`process ${writer.pid}`), refused.err)
    }
  } finally {
    writer.kill('SIGKILL')
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit')
  }
  assert.equal(provenBlobs(made.root).length, blobs)
  assert.deepEqual(modes(), before)

  const adopted = await made.json<AdoptedJson>('adopt', 'files')
  assert.deepEqual(
    adopted.sealed.map((one) => one.repo),
    [REPO],
    'it goes on when the other has ended',
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

test('--link makes the files the blobs themselves and read-only', async () => {
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

test('adopt keeps the budget, and refuses a folder of the archive itself', async () => {
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

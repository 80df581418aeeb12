import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { downloadFileToCacheDir, scanCacheDir } from '@huggingface/hub'
import { isPortableName } from '../../src/domain/file-name.ts'
import { blobPath, readManifest } from '../support/held-files.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec } from '../support/sim-hub/types.ts'
import { until } from '../support/until.ts'
import { CliFolder } from '../cli/cli-harness.ts'

const REPO = 'Qwen/Qwen3-0.6B'
const FOLDER = 'models--Qwen--Qwen3-0.6B'

function model(seed: string, more: RepoSpec['files'] = []): RepoSpec {
  return {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'config.json', content: `{"seed":"${seed}"}\n` },
      { path: 'model.safetensors', content: generated(seed, 300_000), lfs: true },
      { path: 'onnx/model.onnx', content: generated(`${seed} onnx`, 20_000), lfs: true },
      { path: 'onnx/config.json', content: `{"seed":"${seed}"}\n` },
      ...(more ?? []),
    ],
  }
}

/** An archive with one sealed repository, its Hub gone. */
async function archived(spec: RepoSpec = model('a')): Promise<{ folder: CliFolder; commit: string; root: string }> {
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, spec)
  const folder = await CliFolder.watching(hub)
  const { sealed } = await folder.json<{ sealed: { commit: string }[] }>('sync')
  return { folder, commit: sealed[0]!.commit, root: join(folder.path, 'archive') }
}

interface RestoredJson {
  readonly folder: string
  readonly made: number
  readonly same: number
  readonly verified: number
  readonly methods: Record<'reflink' | 'hardlink' | 'copy', number>
  readonly escaped: { path: string; as: string }[]
  readonly refused: { path: string; sha256: string; reason: string }[]
  readonly notHeld: { path: string }[]
  readonly keptRefs: { path: string; commit: string }[]
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** Every path below a folder with what it is. */
function treeOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((path) => {
      const facts = lstatSync(join(folder, path))
      if (facts.isSymbolicLink()) return `${path} -> ${readlinkSync(join(folder, path))}`
      return facts.isDirectory() ? `${path}/` : path
    })
}

test('restore makes a plain folder that sha256sum -c accepts, and a second one changes nothing', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const first = await made.json<RestoredJson>('restore', REPO, '--to', 'out', '--verify')
  const out = join(made.path, 'out')
  const sums = join(made.root, 'manifests', REPO, `${made.commit}.sha256`)
  const checked = spawnSync('sha256sum', ['-c', '--quiet', sums], { cwd: out, encoding: 'utf8' })
  const before = treeOf(out)
  const second = await made.json<RestoredJson>('restore', REPO, '--to', 'out')

  assert.equal(checked.status, 0, checked.stderr + checked.stdout)
  assert.equal(first.verified, first.made)
  assert.ok(first.made >= 4)
  assert.deepEqual([second.made, second.same], [0, first.made])
  assert.deepEqual(treeOf(out), before)
  assert.deepEqual(
    readdirSync(made.path).filter((name) => name.startsWith('.weightvault')),
    [],
    'nothing is left of the building site',
  )
})

test('hard links are the read-only blobs themselves, --link never makes files of their own', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const linked = await made.json<RestoredJson>('restore', REPO, '--to', 'linked', '--link', 'hard')
  const copied = await made.json<RestoredJson>('restore', REPO, '--to', 'copied', '--link', 'never')
  const text = await made.call(['restore', REPO, '--to', 'third', '--link', 'hard'])
  const file = join(made.path, 'linked', 'model.safetensors')
  const own = join(made.path, 'copied', 'model.safetensors')
  const blob = blobPath(made.root, sha256(file))

  assert.equal(linked.methods.hardlink, linked.made)
  assert.equal(statSync(file).ino, statSync(blob).ino)
  assert.equal(statSync(file).mode & 0o222, 0, 'read-only')
  assert.equal(copied.methods.hardlink, 0)
  assert.notEqual(statSync(own).ino, statSync(blob).ino)
  assert.notEqual(statSync(own).mode & 0o200, 0, 'its owner may edit it')
  assert.match(text.out, /editing it would damage the archive/)
})

test('nothing is replaced: other bytes, a link or a folder in the way refuse the whole restore, with 9', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const elsewhere = join(made.path, 'elsewhere')
  mkdirSync(elsewhere)
  const plant: Record<string, (out: string) => void> = {
    'config.json has other bytes': (out) => writeFileSync(join(out, 'config.json'), 'mine'),
    'config.json is no regular file': (out) => symlinkSync(join(elsewhere, 'x'), join(out, 'config.json')),
    'model.safetensors is no regular file': (out) => mkdirSync(join(out, 'model.safetensors')),
    'onnx is a link or no folder': (out) => symlinkSync(elsewhere, join(out, 'onnx')),
  }
  for (const [index, [conflict, make]] of Object.entries(plant).entries()) {
    const out = join(made.path, `out-${index}`)
    mkdirSync(out)
    make(out)
    const before = treeOf(out)

    const called = await made.call(['restore', REPO, '--to', out])

    assert.equal(called.code, 9, conflict)
    assert.match(called.err, /RESTORE_REFUSED/)
    assert.ok(called.err.includes(conflict), called.err)
    assert.deepEqual(treeOf(out), before, 'nothing was changed')
  }
  assert.deepEqual(readdirSync(elsewhere), [], 'nothing was written through a link')
})

test('a folder that exists gets what it lacks, keeps what is its own, and is completed after an interruption', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const out = join(made.path, 'out')
  mkdirSync(join(out, 'onnx'), { recursive: true })
  writeFileSync(join(out, 'mine.txt'), 'mine')
  writeFileSync(join(out, 'config.json'), '{"seed":"a"}\n')

  const restored = await made.json<RestoredJson>('restore', REPO, '--to', out)

  assert.equal(restored.same, 1)
  assert.equal(readFileSync(join(out, 'mine.txt'), 'utf8'), 'mine')
  assert.equal(readFileSync(join(out, 'onnx', 'config.json'), 'utf8'), '{"seed":"a"}\n')
  assert.ok(!readdirSync(out).some((name) => name.startsWith('.weightvault')))
})

test('in a folder that exists, config.json and the lists of shards get their names after what they stand for', async (t) => {
  const shards = ['model-00001-of-00003.safetensors', 'model-00002-of-00003.safetensors']
  await using made = await archived(
    model('a', [
      ...shards.map((path) => ({ path, content: generated(path, 1000), lfs: true })),
      { path: 'model.safetensors.index.json', content: '{"weight_map":{}}' },
      { path: 'tokenizer.json', content: '{}' },
    ]),
  ).then((all) => Object.assign(all.folder, all))
  const places = {
    folder: join(made.path, 'out'),
    'hf-cache': join(made.path, 'hub', FOLDER, 'snapshots', made.commit),
  }
  for (const [layout, folder] of Object.entries(places)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'mine.txt'), 'mine')
    const shown: string[] = []
    const watcher = watch(folder, (_event, name) => {
      if (name !== null && !name.startsWith('.weightvault') && !shown.includes(name)) shown.push(name)
    })
    t.after(() => watcher.close())

    const to = layout === 'folder' ? folder : join(made.path, 'hub')
    const restored = await made.json<RestoredJson>('restore', REPO, '--to', to, '--as', layout)
    await until('the last name was seen', () => shown.includes('config.json'))

    assert.equal(restored.folder, folder)
    assert.deepEqual(shown.slice(-3).toSorted(), [
      'config.json',
      'model-00001-of-00003.safetensors',
      'model.safetensors.index.json',
    ])
    assert.equal(shown.at(-1), 'config.json')
    for (const name of [...shards, 'tokenizer.json', 'onnx', 'model.safetensors']) assert.ok(shown.includes(name), name)
  }
})

test('nothing is restored into the archive, through a dangling link, or from a commit that is not sealed', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo(REPO, model('a'))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync', '--check'])
  symlinkSync(join(folder.path, 'nowhere'), join(folder.path, 'dangling'))

  const unsealed = await folder.call(['restore', REPO, '--to', 'out'])
  await folder.call(['sync'])
  const inside = await folder.call(['restore', REPO, '--to', 'archive/out'])
  const dangling = await folder.call(['restore', REPO, '--to', 'dangling'])
  const nothing = await folder.call(['restore', REPO, '--to', 'out', '--include', 'no-such-*'])

  assert.equal(unsealed.code, 1)
  assert.match(unsealed.err, /SNAPSHOT_NOT_SEALED/)
  assert.equal(inside.code, 9)
  assert.equal(dangling.code, 9)
  assert.equal(nothing.code, 1)
  assert.match(nothing.err, /FILE_UNKNOWN/)
  assert.ok(!existsSync(join(folder.path, 'out')) && !existsSync(join(folder.path, 'archive', 'out')))
})

test('--include restores a part, and what the archive does not hold is told', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const restored = await made.json<RestoredJson>('restore', `${REPO}@main`, '--to', 'out', '--include', '*.json,*.onnx')

  assert.equal(restored.made, 3)
  assert.deepEqual(treeOf(join(made.path, 'out')), ['config.json', 'onnx/', 'onnx/config.json', 'onnx/model.onnx'])
})

test('a blob that is gone, short or wrong is told with 6, and nothing of the snapshot is shown', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const weights = readManifest(made.root, REPO, made.commit).files.find((file) => file.path === 'model.safetensors')!
  const blob = blobPath(made.root, weights.sha256!)
  const bytes = readFileSync(blob)
  const damage = [
    { args: [], bytes: undefined },
    { args: [], bytes: bytes.subarray(1) },
    { args: ['--verify'], bytes: Buffer.from(bytes).fill(1, 5, 6) },
    { args: ['--verify', '--link', 'never'], bytes: Buffer.from(bytes).fill(1, 5, 6) },
  ]
  for (const one of damage) {
    rmSync(blob)
    if (one.bytes !== undefined) writeFileSync(blob, one.bytes, { mode: 0o440 })

    const called = await made.call(['restore', REPO, '--to', 'out', ...one.args])

    assert.equal(called.code, 6, called.err)
    assert.ok(!existsSync(join(made.path, 'out')))
    if (one.bytes === undefined) writeFileSync(blob, 'x')
  }
  // What was built of the wrong bytes is not believed by the next call.
  rmSync(blob)
  writeFileSync(blob, bytes, { mode: 0o440 })
  const healed = await made.json<RestoredJson>('restore', REPO, '--to', 'out', '--link', 'never')
  assert.equal(sha256(join(made.path, 'out', 'model.safetensors')), weights.sha256)
  assert.equal(healed.made, 5)
})

test('hf-cache has the layout that the Hub’s clients read, and they find every file offline', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const restored = await made.json<RestoredJson>('restore', REPO, '--as', 'hf-cache', '--to', 'hub')
  const cache = join(made.path, 'hub')
  const manifest = readManifest(made.root, REPO, made.commit)

  assert.equal(restored.folder, join(cache, FOLDER, 'snapshots', made.commit))
  assert.equal(readFileSync(join(cache, FOLDER, 'refs', 'main'), 'utf8'), made.commit, 'no line end')
  for (const file of manifest.files) {
    const link = join(cache, FOLDER, 'snapshots', made.commit, file.path)
    const etag = file.attestedBy.includes('hub-lfs-oid') ? file.sha256! : file.gitOid!
    const up = '../'.repeat(file.path.split('/').length + 1)
    assert.equal(readlinkSync(link), `${up}blobs/${etag}`)
    assert.equal(sha256(link), file.sha256)
    const found = await downloadFileToCacheDir({
      repo: REPO,
      path: file.path,
      revision: made.commit,
      cacheDir: cache,
      fetch: () => Promise.reject(new Error('offline')),
    })
    assert.equal(found, link)
  }
  const scanned = await scanCacheDir(cache)
  assert.deepEqual(scanned.warnings, [])
  const [repo] = scanned.repos
  assert.equal(repo?.id.name, REPO)
  // This reader looks at the files on top only.
  const onTop = manifest.files.filter((file) => !file.path.includes('/'))
  assert.deepEqual(
    repo?.revisions.map((one) => [one.commitOid, one.refs, one.files.length]),
    [[made.commit, ['main'], onTop.length]],
  )
})

test('hf-cache completes a cache that other clients use: blobs and branch are kept, a false marker is told', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const top = join(made.path, 'hub', FOLDER)
  const other = '1'.repeat(40)
  for (const folder of ['blobs', 'refs', `snapshots/${other}`]) mkdirSync(join(top, folder), { recursive: true })
  writeFileSync(join(top, 'refs', 'main'), other)
  const [weights] = readManifest(made.root, REPO, made.commit).files.filter((file) => file.path === 'model.safetensors')
  writeFileSync(join(top, 'blobs', weights!.sha256!), readFileSync(blobPath(made.root, weights!.sha256!)))
  const marker = join(top, '.no_exist', made.commit, 'config.json')
  mkdirSync(join(marker, '..'), { recursive: true })
  writeFileSync(marker, '')

  const marked = await made.call(['restore', REPO, '--as', 'hf-cache', '--to', 'hub'])
  rmSync(marker)
  const restored = await made.json<RestoredJson>('restore', REPO, '--as', 'hf-cache', '--to', 'hub')

  assert.equal(marked.code, 9)
  assert.match(marked.err, /says that the file does not exist/)
  assert.equal(restored.same, 1, 'the blob that was there is used')
  assert.deepEqual(restored.keptRefs, [{ path: `${FOLDER}/refs/main`, commit: other }])
  assert.equal(readFileSync(join(top, 'refs', 'main'), 'utf8'), other)
  assert.equal(sha256(join(top, 'snapshots', made.commit, 'model.safetensors')), weights!.sha256)
})

test('hostile names are escaped or not made, and never leave the folder', async () => {
  const names = ['CON', 'ab:c.txt', 'file.', 'bell\u0007.txt', 'evil\u202etxt.exe', 'PROGRA~1']
  const hostile = ['../up.txt', '/abs.txt', 'c:\\win.txt', '.git/hooks/x', 'deep/../../x.txt']
  await using made = await archived(
    model(
      'a',
      [...names, ...hostile].map((path) => ({ path, content: `content of ${path}` })),
    ),
  ).then((all) => Object.assign(all.folder, all))
  for (const layout of ['folder', 'hf-cache']) {
    const restored = await made.json<RestoredJson>('restore', REPO, '--to', `out/${layout}`, '--as', layout)

    const held = readManifest(made.root, REPO, made.commit).files.filter((file) => file.held)
    const heldNames = new Set(held.map((file) => file.path))
    assert.deepEqual(
      restored.escaped.map((file) => file.path).sort(),
      names.filter((name) => heldNames.has(name)).sort(),
    )
    for (const { path, as } of restored.escaped) {
      assert.equal(readFileSync(join(restored.folder, as), 'utf8'), `content of ${path}`)
      assert.ok(isPortableName(as), as)
    }
    assert.deepEqual(
      restored.refused.map((file) => file.path).sort(),
      hostile.filter((name) => heldNames.has(name)).sort(),
    )
  }
  assert.deepEqual(readdirSync(join(made.path, 'out')).sort(), ['folder', 'hf-cache'])
  assert.ok(!existsSync(join(made.path, 'up.txt')))
})

test('a full target disk is told before anything is copied, and a link that cannot be is refused', async (t) => {
  const { mountTmpfs } = await import('../support/mount-tmpfs.ts')
  const disk = mountTmpfs(t, 'size=200k')
  if (disk === undefined) return
  await using made = await archived().then((all) => Object.assign(all.folder, all))

  const full = await made.call(['restore', REPO, '--to', join(disk.at, 'out')])
  const hard = await made.call(['restore', REPO, '--to', join(disk.at, 'out'), '--link', 'hard'])
  const after = readdirSync(disk.at)
  disk.remount('size=2m')
  const restored = await made.json<RestoredJson>('restore', REPO, '--to', join(disk.at, 'out'))

  assert.equal(full.code, 9)
  assert.match(full.err, /DISK_FULL/)
  assert.equal(hard.code, 9)
  assert.match(hard.err, /no blob can be linked/)
  assert.deepEqual(after, [])
  assert.equal(restored.methods.copy, restored.made)
})

test('a commit is restored by its manifest alone when the catalog does not know it', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  for (const name of readdirSync(made.root).filter((each) => each.startsWith('catalog.db')))
    rmSync(join(made.root, name))
  await made.call(['queue', 'pause'])

  const restored = await made.json<RestoredJson>('restore', `${REPO}@${made.commit}`, '--to', 'out')

  assert.equal(restored.made, 5)
})

test('a building site that belongs to somebody else is not used', { skip: process.geteuid?.() !== 0 }, async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const out = join(made.path, 'out')
  const name = `.weightvault-${createHash('sha256').update(out).digest('hex').slice(0, 16)}`
  symlinkSync(made.path, join(made.path, name))

  const called = await made.call(['restore', REPO, '--to', out])

  assert.equal(called.code, 9)
  assert.match(called.err, /not ours/)
  chmodSync(made.path, 0o700)
})

test('what an interrupted restore of something else left is not shown with this one', async () => {
  await using made = await archived().then((all) => Object.assign(all.folder, all))
  const out = join(made.path, 'out')
  const name = `.weightvault-${createHash('sha256').update(out).digest('hex').slice(0, 16)}`
  const tree = join(made.path, name, 'tree')
  mkdirSync(join(tree, 'old', 'deep'), { recursive: true })
  writeFileSync(join(tree, 'old', 'deep', 'other.bin'), 'of another commit')
  writeFileSync(join(tree, 'stray.txt'), 'of another commit')
  writeFileSync(join(tree, 'config.json'), 'wrong')
  mkdirSync(join(tree, 'model.safetensors'))
  writeFileSync(join(tree, 'onnx'), 'a file where a folder belongs')

  for (const [index, link] of ['auto', 'never'].entries()) {
    const restored = await made.json<RestoredJson>('restore', REPO, '--to', out, '--link', link, '--verify')

    assert.equal(restored.made + restored.same, 5, link)
    assert.deepEqual(
      treeOf(out).filter((path) => !path.endsWith('/')),
      ['.gitattributes', 'README.md', 'config.json', 'model.safetensors', 'onnx/config.json', 'onnx/model.onnx'].filter(
        (path) => existsSync(join(out, path)),
      ),
    )
    assert.ok(!existsSync(join(out, 'old')) && !existsSync(join(out, 'stray.txt')), String(index))
  }
})

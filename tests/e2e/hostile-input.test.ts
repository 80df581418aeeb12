import assert from 'node:assert/strict'
import { existsSync, lstatSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { spawnSync } from 'node:child_process'
import { copyHeldFiles, journalEvents, provenBlobs, readManifest } from '../support/held-files.ts'
import { Sandbox, type Ended } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { FileSpec, SimHub } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'

/** Names that are archived as blob and manifest entry, and never made on disk: N1–N14, N23–N34, and their kin. */
const KEEP_ONLY = [
  '../../../etc/passwd',
  'folder/../../x',
  '..\\..\\Windows\\evil',
  'a/..\\..\\b',
  '/etc/cron.d/x',
  '//srv/x',
  'C:\\Windows\\evil',
  'D:rel\\evil',
  '\\\\host\\share\\x',
  '\\evil',
  'folder/C:\\evil',
  'folder/\\\\host\\s\\x',
  '\\\\?\\C:\\x',
  '//?/UNC/h/s',
  'a\u0000b',
  'a\u0000.safetensors',
  '\u0000',
  'x'.repeat(256),
  '\u00e9'.repeat(128),
  `${`${'y'.repeat(200)}/`.repeat(20)}${'z'.repeat(100)}`,
  `${'d/'.repeat(300)}deep.txt`,
  '.git/hooks/post-checkout',
  'sub/.GIT/config',
]

/** N26, N27: halves of surrogate pairs. No address can name them, so their bytes cannot be had; the two stay two. */
const UNASKABLE = ['a\uDFFFb', '\uD800.bin', '\uD801.bin']

/** Not paths at all: N15–N22. Recorded as refused, never asked for. */
const REFUSED = ['', '.', '..', 'a//b', 'a/./b', 'trailing/', './a']

/** Archived, and shown under an escaped name: N39–N51, and names that attack a terminal, a page or a shell. */
const ESCAPED = [
  'CON',
  'prn.txt',
  'aux.h/x',
  'NUL.safetensors',
  'COM1',
  'COM\u00b9',
  'CONIN$',
  'LPT9.bin',
  'a.txt:evil',
  'a::$DATA',
  'file.',
  'file ',
  'PROGRA~1',
  'red\u001b[31mred\u001b]0;owned\u0007',
  'right\u202eto-left',
  'line\nbreak',
  'carriage\rreturn',
  '\u009b2Jc1',
  '<img src=x onerror=alert(1)>',
]

/** Allowed as they are, however odd: N29, N35–N38 and names that are only unusual. */
const PLAIN = [
  'x'.repeat(255),
  'README.txt',
  'readme.txt',
  'caf\u00e9',
  'cafe\u0301',
  'stra\u00dfe',
  'strasse',
  '\u212Aey',
  'key',
  '__proto__',
  'constructor',
  'toString',
  '-rf',
  '--help',
  '$(touch owned)',
  '`touch owned`',
  "quote'quote",
  'a b',
  '%2e%2e%2fx',
  'percent%',
  'hash#mark',
  '-',
]

function specs(paths: readonly string[]): FileSpec[] {
  return paths.map((path, at) => ({
    path,
    content: `bytes of ${at} ${JSON.stringify(path).slice(0, 60)}\n`,
    lfs: false,
  }))
}

function addHostileRepo(hub: SimHub): string {
  const clash = specs(['both', 'both/inside'])
  return hub.world.addRepo('Qwen/Evil-1B', {
    card: { license: 'apache-2.0' },
    files: [...specs(KEEP_ONLY), ...specs(REFUSED), ...specs(ESCAPED), ...specs(PLAIN), ...clash],
  })
}

/** Everything below a folder, with type and time of change, to see whether anything touched it. */
function picture(folder: string, except: readonly string[]): string[] {
  return readdirSync(folder)
    .filter((name) => !except.some((skipped) => name.startsWith(skipped)))
    .map(
      (name) =>
        `${name} ${lstatSync(join(folder, name)).isDirectory() ? 'folder' : lstatSync(join(folder, name)).mtimeMs}`,
    )
    .sort()
}

function assertSafeText({ stdout, stderr }: Ended): void {
  for (const text of [stdout, stderr]) {
    // Everything that moves a cursor or turns text round; line ends are ours.
    const odd = /[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u.exec(text)
    assert.equal(odd, null, odd === null ? '' : JSON.stringify(text.slice(Math.max(0, odd.index - 60), odd.index + 20)))
  }
}

suite('names nobody should trust', { concurrency: 1 }, () => {
  test('every hostile name is archived or refused, and none is made on disk', async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'weightvault-hostile-'))
    t.after(() => rm(parent, { recursive: true, force: true }))
    await using hub = await startSimHub()
    const commit = addHostileRepo(hub)
    const halves = hub.world.addRepo('Qwen/Halves-1B', { files: specs(UNASKABLE) })
    hub.world.addRepo('Qwen/Good-1B', smallModel('good'))
    await using sandbox = await Sandbox.make(hub, undefined, parent)
    const outside = [...picture(parent, ['weightvault-e2e']), ...picture(sandbox.folder, ['archive'])]
    const passwd = lstatSync('/etc/passwd').mtimeMs

    const synced = await sandbox.run(['sync'])

    assertSafeText(synced)
    assert.deepEqual([...picture(parent, ['weightvault-e2e']), ...picture(sandbox.folder, ['archive'])], outside)
    assert.equal(lstatSync('/etc/passwd').mtimeMs, passwd)
    for (const path of ['/etc/cron.d/x', '/srv/x', '/UNC']) assert.ok(!existsSync(path), path)
    const allowed =
      /^(blobs|listings|manifests|partial|quarantine|events|catalog\.db(-wal|-shm)?|weightvault\.(json|lock))$/
    for (const name of readdirSync(sandbox.root)) assert.match(name, allowed)
    assert.deepEqual(readdirSync(join(sandbox.root, 'listings', 'Qwen')).sort(), ['Evil-1B', 'Good-1B', 'Halves-1B'])
    assert.deepEqual(readdirSync(join(sandbox.root, 'manifests', 'Qwen')).sort(), ['Evil-1B', 'Good-1B', 'Halves-1B'])

    await t.test('the manifest holds every name that can be asked for, byte for byte', () => {
      const files = new Map(readManifest(sandbox.root, 'Qwen/Evil-1B', commit).files.map((file) => [file.path, file]))
      for (const path of [...KEEP_ONLY, ...ESCAPED, ...PLAIN, 'both', 'both/inside']) {
        assert.ok(files.has(path), `${JSON.stringify(path).slice(0, 80)} is in the manifest`)
      }
      assert.ok([...files.values()].every((file) => file.held))
      for (const path of REFUSED) assert.ok(!files.has(path))
      provenBlobs(sandbox.root)
    })

    await t.test('the listing keeps the refused ones with their reason', async () => {
      const listing = JSON.parse(await sandbox.read('listings', 'Qwen', 'Evil-1B', `${commit}.json`)) as {
        refused: { path: string; reason: string }[]
      }
      assert.deepEqual(new Set(listing.refused.map(({ path }) => path)), new Set(REFUSED))
      assert.ok(listing.refused.every(({ reason }) => reason.length > 0))
    })

    await t.test('halves of characters stay apart, are not asked for, and keep nothing from being sealed', async () => {
      const listing = await sandbox.read('listings', 'Qwen', 'Halves-1B', `${halves}.json`)
      const { files } = JSON.parse(listing) as { files: { path: string }[] }
      assert.deepEqual(new Set(files.map(({ path }) => path)), new Set(UNASKABLE))
      const { data } = await sandbox.json(['show', 'Qwen/Halves-1B'])
      assert.deepEqual(
        data.files.map(({ held }) => held),
        [false, false, false],
      )
    })

    await t.test('one event names them, and the journal can hold it', async () => {
      const events = (await sandbox.events()).filter(({ type }) => type === 'unsafe-name')
      assert.deepEqual(new Set(events.map(({ repo }) => repo)), new Set(['Qwen/Evil-1B', 'Qwen/Halves-1B']))
      const detail = events.find(({ repo }) => repo === 'Qwen/Evil-1B')?.detail as {
        count: number
        names: { path: string; verdict: string }[]
      }
      assert.ok(detail.count >= KEEP_ONLY.length + REFUSED.length + ESCAPED.length + 5, String(detail.count))
      assert.ok(detail.names.some(({ path }) => path === '../../../etc/passwd'))
      assert.equal(journalEvents(sandbox.root).length, (await sandbox.events()).length)
    })

    await t.test('what can be made on disk is proven by sha256sum', async () => {
      const manifest = readManifest(sandbox.root, 'Qwen/Evil-1B', commit)
      const copy = join(sandbox.folder, 'copy')
      const wanted = new Set(PLAIN)
      const files = manifest.files.filter((file) => wanted.has(file.path) && file.path !== 'README.md')
      await copyHeldFiles(sandbox.root, { ...manifest, files }, copy)
      const sums = join(sandbox.root, 'manifests', 'Qwen', 'Evil-1B', `${commit}.sha256`)
      const checked = spawnSync('sha256sum', ['-c', '--strict', '--ignore-missing', sums], {
        cwd: copy,
        encoding: 'utf8',
      })
      assert.equal(checked.status, 0, checked.stdout + checked.stderr)
      const lines = (await sandbox.read('manifests', 'Qwen', 'Evil-1B', `${commit}.sha256`)).trimEnd().split('\n')
      for (const line of lines) assert.match(line, /^[0-9a-f]{64} {2}[^/]/)
      assert.ok(!lines.some((line) => /\.\.|\\|both/.test(line)))
    })

    await t.test('no command lets them reach the terminal', async () => {
      for (const args of [
        ['show', 'Qwen/Evil-1B'],
        ['why', 'Qwen/Evil-1B'],
        ['why', 'Qwen/Evil-1B', 'red\u001b[31mred\u001b]0;owned\u0007'],
        ['why', 'Qwen/Evil-1B', '../../../etc/passwd'],
        ['events'],
        ['plan', '--offline'],
        ['list'],
        ['queue'],
        ['verify'],
      ]) {
        const ended = await sandbox.run(args)
        assertSafeText(ended)
        assert.ok(ended.stdout.length + ended.stderr.length > 0, args.join(' '))
      }
      const { data } = await sandbox.json(['show', 'Qwen/Evil-1B'])
      assert.equal(data.files.length, readManifest(sandbox.root, 'Qwen/Evil-1B', commit).files.length)
      assertSafeText(await sandbox.run(['show', 'Qwen/Evil-1B', '--json']))
    })
    assert.deepEqual(
      [...picture(parent, ['weightvault-e2e']), ...picture(sandbox.folder, ['archive', 'copy'])],
      outside,
    )
  })
})

const DIGEST_OF_NOTHING = '0'.repeat(64)

/** What a tree may claim of a file, J1–J15; `verdict` is what becomes of the file. */
const CLAIMS: readonly { name: string; override: Record<string, unknown>; verdict: 'refused' | 'unknown' | 'fails' }[] =
  [
    { name: 'unsafe-integer', override: { size: 9007199254740993n }, verdict: 'refused' },
    { name: 'infinite', override: { size: Number.POSITIVE_INFINITY }, verdict: 'refused' },
    { name: 'negative', override: { size: -1 }, verdict: 'refused' },
    { name: 'broken', override: { size: 1.5 }, verdict: 'refused' },
    { name: 'text', override: { size: '123' }, verdict: 'refused' },
    { name: 'null', override: { size: null }, verdict: 'refused' },
    { name: 'absent', override: { size: undefined }, verdict: 'refused' },
    { name: 'zero', override: { size: 0, lfs: undefined }, verdict: 'fails' },
    { name: 'stars', override: { lfs: { oid: '*'.repeat(64), size: 100, pointerSize: 130 } }, verdict: 'unknown' },
    { name: 'short', override: { lfs: { oid: 'a'.repeat(63), size: 100 } }, verdict: 'refused' },
    { name: 'long', override: { lfs: { oid: 'a'.repeat(65), size: 100 } }, verdict: 'refused' },
    { name: 'upper', override: { lfs: { oid: 'A'.repeat(64), size: 100 } }, verdict: 'refused' },
    { name: 'zeros', override: { lfs: { oid: DIGEST_OF_NOTHING, size: 100 } }, verdict: 'fails' },
    { name: 'path', override: { lfs: { oid: '../../../etc/x', size: 100 } }, verdict: 'refused' },
    { name: 'newline', override: { lfs: { oid: `${'a'.repeat(64)}\n`, size: 100 } }, verdict: 'refused' },
    { name: 'other-size', override: { lfs: { oid: 'a'.repeat(64), size: 99 } }, verdict: 'refused' },
    { name: 'oid-path', override: { oid: '../x' }, verdict: 'refused' },
    { name: 'lfs-text', override: { lfs: 'yes' }, verdict: 'refused' },
    { name: 'submodule', override: { type: 'commit' }, verdict: 'refused' },
    { name: 'proto', override: { type: { toString: 1 } }, verdict: 'refused' },
  ]

suite('claims nobody should trust', { concurrency: 2 }, () => {
  test('every odd size and digest is refused or never believed; the honest files and the other repo are kept', async () => {
    await using hub = await startSimHub()
    const commit = hub.world.addRepo('Qwen/Liar-1B', {
      files: [
        { path: 'config.json', content: '{}\n' },
        ...CLAIMS.map(({ name, override }, at) => ({
          path: `${name}.safetensors`,
          content: Buffer.alloc(100, at + 1),
          lfs: true,
          treeOverride: override,
        })),
      ],
    })
    hub.world.addRepo('Qwen/Good-1B', smallModel('good'))
    await using sandbox = await Sandbox.make(hub)

    const { code, data } = await sandbox.json(['sync'])

    assert.equal(code, 8)
    assert.deepEqual(
      data.sealed.map(({ repo }) => repo),
      ['Qwen/Good-1B'],
    )
    const failing = CLAIMS.filter(({ verdict }) => verdict === 'fails').map(({ name }) => `${name}.safetensors`)
    assert.deepEqual(data.failed.map(({ path }) => path).sort(), failing.sort())
    const listing = JSON.parse(await sandbox.read('listings', 'Qwen', 'Liar-1B', `${commit}.json`)) as {
      files: { path: string }[]
      refused: { path: string }[]
    }
    const refused = CLAIMS.filter(({ verdict }) => verdict === 'refused').map(({ name }) => `${name}.safetensors`)
    assert.deepEqual(new Set(listing.refused.map(({ path }) => path)), new Set(refused))
    assert.equal(listing.files.length + listing.refused.length, CLAIMS.length + 1)
    const { data: shown } = await sandbox.json(['show', 'Qwen/Liar-1B'])
    const reasons = new Map(shown.files.map((file) => [file.path, `${file.held} ${file.reason}`]))
    assert.equal(reasons.get('config.json'), 'true small-file')
    assert.equal(reasons.get('stars.safetensors'), 'false digest-unknown')
    provenBlobs(sandbox.root)
    assert.equal(readdirSync(join(sandbox.root, 'listings', 'Qwen')).length, 2)
  })

  test('rows of a listing that name other owners, odd commits or odd ids are left out, and the others are archived', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/Good-1B', smallModel('good'))
    const good = (id: string, change: object) => ({ _id: 'a'.repeat(24), id, sha: 'b'.repeat(40), ...change })
    hub.faults.add({
      path: /^\/api\/models\?/,
      mutateJson: (json) => [
        ...(json as object[]),
        good('evil/B', { _id: '1'.repeat(24) }),
        good('Qwen/main', { _id: '2'.repeat(24), sha: 'main' }),
        good('Qwen/short', { _id: '3'.repeat(24), sha: 'b'.repeat(39) }),
        good('Qwen/climb', { _id: '4'.repeat(24), sha: '../x' }),
        good('Qwen/../x', { _id: '5'.repeat(24) }),
        good('../etc/passwd', { _id: '6'.repeat(24) }),
        good('Qwen/odd id', { _id: '7'.repeat(24) }),
        good('Qwen/noid', { _id: '../../x' }),
        good('__proto__', { _id: '8'.repeat(24) }),
        null,
        7,
        [],
        'Qwen/text',
      ],
    })
    await using sandbox = await Sandbox.make(hub)

    const synced = await sandbox.run(['sync', '--log-level', 'warn'])

    assertSafeText(synced)
    const { data } = await sandbox.json(['list'])
    assert.deepEqual(
      data.repos.map(({ repo, state }) => `${repo} ${state}`),
      ['Qwen/Good-1B sealed'],
    )
    assert.deepEqual(readdirSync(join(sandbox.root, 'listings')), ['Qwen'])
    assert.deepEqual(readdirSync(join(sandbox.root, 'listings', 'Qwen')), ['Good-1B'])
    assert.match(synced.stderr, /evil\/B/)
  })

  test('licences, cards and error texts with terminal codes are shown harmless', async () => {
    await using hub = await startSimHub()
    const evil = 'apache\u001b[2J\u001b]0;owned\u0007-2.0\u202e'
    hub.world.addRepo('Qwen/Card-1B', {
      ...smallModel('card'),
      card: { license: 'other', license_name: evil },
      tags: [evil],
    })
    hub.world.addRepo('Qwen/Words-1B', smallModel('words'))
    hub.faults.add({
      path: /Words-1B\/resolve/,
      status: 403,
      headers: { 'X-Error-Code': 'GatedRepo', 'X-Error-Message': 'come later' },
      body: JSON.stringify({ error: `no ${evil}` }),
    })
    await using sandbox = await Sandbox.make(hub)

    assertSafeText(await sandbox.run(['sync', '--log-level', 'debug']))

    for (const args of [['list'], ['show', 'Qwen/Card-1B'], ['events'], ['why', 'Qwen/Words-1B'], ['status']]) {
      assertSafeText(await sandbox.run(args))
    }
  })
})

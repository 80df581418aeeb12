import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ArchiveError } from '../../src/domain/errors.ts'
import { mountTmpfs } from '../support/mount-tmpfs.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { CliFolder, withoutHub } from './cli-harness.ts'

// What a person meets who tries the program out, and does one thing wrong.

async function loseCatalog(folder: CliFolder): Promise<void> {
  const root = join(folder.path, 'archive')
  for (const name of await readdir(root)) if (name.startsWith('catalog.db')) await rm(join(root, name))
}

test('with a lost catalog verify calls nothing whole, and every command leads to rebuild', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  await loseCatalog(folder)

  const list = await folder.call(['list'])
  const verify = await folder.call(['verify'])
  const begun = await folder.call(['list'])
  const restore = await folder.call(['restore', 'Qwen/A-1B', '--to', 'back'])
  const rebuild = await folder.call(['rebuild'])
  const again = await folder.call(['verify'])

  assert.equal(list.code, 9)
  assert.match(list.err, /there is no catalog[\s\S]*weightvault rebuild/)
  for (const called of [verify, begun, restore]) {
    assert.equal(called.code, 9, called.out)
    assert.match(called.err, /is empty, but the archive has Qwen\/A-1B[\s\S]*weightvault rebuild/)
  }
  assert.equal(rebuild.code, 0, rebuild.err)
  assert.match(again.out, /^ok: /)
})

test('run says where it listens only once it does', async () => {
  await using folder = await CliFolder.make('serve: { dashboard: "127.0.0.1:0", mirror: off }\nwatch: []\n')
  await folder.call(['init'])
  const stop = new AbortController()
  const lines: string[] = []
  const { promise: listening, resolve } = Promise.withResolvers<void>()
  const write = (text: string): Promise<void> => {
    lines.push(text)
    if (text.startsWith('dashboard')) resolve()
    return Promise.resolve()
  }
  const stderr = { isTTY: false, columns: () => undefined, write }

  const running = folder.call(['run', '--log-level', 'error'], { signal: stop.signal, effects: { stderr } })
  await Promise.race([listening, running])
  const second = await folder.call(['run'])
  stop.abort(new ArchiveError('INTERRUPTED', 'stopped'))
  const first = await running

  assert.equal(first.code, 0)
  assert.match(
    lines.join(''),
    /^archive {4}\S+archive; 0 watches; stop with Ctrl-C\ndashboard {2}http:\/\/127\.0\.0\.1:[1-9]\d*\/\n/,
  )
  assert.equal(second.code, 9)
  assert.doesNotMatch(second.err, /http:/)
})

test('what cannot be written is no bug: the configuration on a full disk and on one that is read-only', async (t) => {
  const disk = mountTmpfs(t, 'size=1m')
  if (disk === undefined) return
  await using folder = await CliFolder.make()
  const config = join(disk.at, 'weightvault.yaml')
  await folder.call(['init', '--config', config])
  const before = await readFile(config, 'utf8')

  disk.remount('ro')
  const readOnly = await folder.call(['watch', 'add', 'org:Other', '--config', config])
  const init = await folder.call(['init', '--config', config])
  disk.remount('rw')
  await assert.rejects(writeFile(join(disk.at, 'filler'), Buffer.alloc(2_000_000)), { code: 'ENOSPC' })
  const full = await folder.call(['watch', 'add', 'org:Other', '--config', config])

  assert.equal(readOnly.code, 3, readOnly.err)
  assert.match(readOnly.err, /weightvault\.yaml cannot be written \(EROFS\)\nhint: nothing was changed/)
  assert.match(init.out, /^archive +\S+archive may only be read$/m)
  assert.equal(full.code, 9, full.err)
  assert.match(full.err, /weightvault\.yaml cannot be written \(ENOSPC\)\nhint: nothing was changed; free some space/)
  assert.equal(await readFile(config, 'utf8'), before)
})

test('a new archive on a full disk is refused because the disk is full', async (t) => {
  const disk = mountTmpfs(t, 'size=128k')
  if (disk === undefined) return
  await using folder = await CliFolder.make()

  const init = await folder.call(['init', '--archive', join(disk.at, 'archive')])

  assert.equal(init.code, 9)
  assert.match(init.err, /DISK_FULL/)
  assert.match(init.err, /hint: nothing is lost; free some space/)
})

test('no word is passed over: what follows a command of a group is wrong usage', async () => {
  await using folder = await CliFolder.make('archive: ./archive\n')
  for (const words of [
    ['watch', 'ls', 'x'],
    ['watch', 'rm', 'org:A', 'org:B'],
    ['queue', 'pause', 'Qwen/A'],
    ['queue', 'ls', 'x'],
    ['notify', 'test', 'ops'],
  ]) {
    const called = await folder.call(words)

    assert.equal(called.code, 2, words.join(' '))
    assert.match(called.err, /too many arguments/)
  }
})

test('help fits a terminal of 80 columns, and uses a wider one', async () => {
  await using folder = await CliFolder.make()
  for (const words of [['--help'], ['list', '--help'], ['watch', '--help'], ['adopt', '--help'], ['sync', '--help']]) {
    for (const columns of [80, 200]) {
      const { out } = await folder.call(words, { terminal: columns })
      const widest = Math.max(...out.split('\n').map((line) => line.length))

      assert.ok(widest <= Math.min(columns, 100), `${words.join(' ')} at ${columns}: ${widest}`)
      assert.ok(columns === 80 || widest > 80 || words[0] === 'watch', `${words.join(' ')} at ${columns}: ${widest}`)
    }
  }
})

test('a repository that is named by hand is called by its name', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Other/A-1B', smallModel('a'))
  await using folder = await CliFolder.watching(hub)

  const synced = await folder.call(['sync', 'Other/A-1B'])
  const failed = await folder.call(['sync', 'Other/A-1B'], { effects: withoutHub() })
  const told = await folder.call(['sync', 'Other/A-1B', '--json'], { effects: withoutHub() })

  assert.match(synced.out, /^polled {4}Other\/A-1B: 1 repository/m)
  assert.match(failed.out, /^failed {4}Other\/A-1B: no connection/m)
  assert.equal((JSON.parse(told.out) as { failed: { repo: string }[] }).failed[0]?.repo, 'Other/A-1B')
})

test('watch ls tells of a foreign folder what list tells, and not to make an archive there', async () => {
  await using folder = await CliFolder.make('archive: .\n')

  const watches = await folder.call(['watch', 'ls'])

  assert.equal(watches.code, 0)
  assert.match(
    watches.err,
    /is not a weightvault archive: weightvault\.json is missing\nhint: Most likely the disk is not/,
  )
})

test('find says of a path that it is not there, not that nobody lists it', async () => {
  await using folder = await CliFolder.make('archive: ./archive\n')
  await folder.call(['init'])
  await mkdir(join(folder.path, 'models'))
  for (const [what, found] of [
    ['/nowhere/model.gguf', 'is not there'],
    ['./model.gguf', 'is not there'],
    ['~/model.gguf', 'is not there'],
    ['models', 'is a folder'],
  ] as const) {
    const called = await folder.call(['find', what])

    assert.equal(called.code, 1, what)
    assert.match(called.err, new RegExp(`${found}\nhint: name a file.*\ncode: FILE_UNKNOWN`), what)
  }
  const named = await folder.call(['find', '--name', 'models'])
  assert.match(named.out, /"models": no listing has it/)
})

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { HANGS_AFTER_MS } from '../support/until.ts'
import { CliFolder } from './cli-harness.ts'

const BIN = join(import.meta.dirname, '../../bin/weightvault.js')

interface Running {
  readonly child: ChildProcess
  /** Resolves once stdout and stderr together match. */
  says(pattern: RegExp): Promise<void>
  /** Exit code (or signal) and output, after the end. */
  ended(): Promise<{ code: number | string | null; out: string; err: string }>
}

/** The real program as a process of its own. */
function start(
  t: TestContext,
  folder: CliFolder,
  words: readonly string[],
  nodeOptions: readonly string[] = [],
  program = BIN,
): Running {
  const env = { PATH: process.env['PATH'], HOME: folder.path }
  const child = spawn(process.execPath, [...nodeOptions, program, ...words], { cwd: folder.path, env })
  t.after(() => child.kill('SIGKILL'))
  const deadline = AbortSignal.timeout(HANGS_AFTER_MS)
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const closed = once(child, 'close', { signal: deadline })
  // Awaited in `ended`; a test that fails before must not fail twice.
  closed.catch(() => {})
  return {
    child,
    async says(pattern) {
      while (!pattern.test(out + err)) {
        assert.equal(child.exitCode, null, `ended without saying ${pattern}: ${out}${err}`)
        const more = AbortSignal.any([deadline])
        await Promise.race([
          once(child.stdout, 'data', { signal: more }),
          once(child.stderr, 'data', { signal: more }),
          closed,
        ])
      }
    },
    async ended() {
      const [code, signal] = (await closed) as [number | null, string | null]
      return { code: code ?? signal, out, err }
    },
  }
}

/** A Hub with one model that takes long to fetch at the configured rate. */
async function slowFolder(hub: SimHub): Promise<CliFolder> {
  hub.world.addRepo('Qwen/Slow-1B', {
    card: { license: 'mit' },
    files: [
      { path: 'config.json', content: '{}\n' },
      { path: 'model.safetensors', content: generated('slow', 40_000_000), lfs: true },
    ],
  })
  return CliFolder.watching(
    hub,
    'budget: { total: 1GB, reserve: 1MB, rate: 100kB/s }\nwatch: [{ org: Qwen, every: 1h }]\n',
  )
}

test('another Node gets one sentence and exit 78', async (t) => {
  await using folder = await CliFolder.make()
  const old =
    'data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"22.12.0"}})'

  const { code, out, err } = await start(t, folder, ['list'], ['--import', old]).ended()

  assert.equal(code, 78)
  assert.equal(out, '')
  assert.match(err, /^weightvault needs Node\.js 24\.11 or newer; this is 22\.12\.0\. .*scripts\/weightvault.*\n$/)
})

test('a package that was packed without a build says so', async (t) => {
  await using folder = await CliFolder.make()
  await mkdir(join(folder.path, 'bin'))
  const copy = join(folder.path, 'bin/weightvault.js')
  await copyFile(BIN, copy)
  await writeFile(join(folder.path, 'package.json'), '{"type":"module"}\n')

  const { code, err } = await start(t, folder, ['list'], [], copy).ended()

  assert.equal(code, 1)
  assert.match(err, /this package was packed without `npm run build`\.\n$/)
})

test('exit codes leave the process, with the error on stderr', async (t) => {
  await using folder = await CliFolder.make()

  const usage = await start(t, folder, ['nope']).ended()
  const missing = await start(t, folder, ['list', '--json']).ended()

  assert.equal(usage.code, 2)
  assert.match(usage.err, /^error: unknown command 'nope'/)
  assert.equal(missing.code, 9)
  assert.equal((JSON.parse(missing.out) as { error: { code: string } }).error.code, 'ARCHIVE_MISSING_MARKER')
})

test('SIGINT in the middle of sync ends with 130, keeps what was fetched, and frees the archive', async (t) => {
  await using hub = await startSimHub()
  await using folder = await slowFolder(hub)
  const sync = start(t, folder, ['sync'])
  await sync.says(/^listed/m)
  await hub.whenRequested(({ origin }) => origin === 'cdn')

  const second = await start(t, folder, ['sync', '--json']).ended()
  sync.child.kill('SIGINT')
  const { code, err } = await sync.ended()
  const after = await folder.call(['queue', 'pause'])

  assert.equal(second.code, 9)
  assert.equal((JSON.parse(second.out) as { error: { code: string } }).error.code, 'ARCHIVE_LOCKED')
  assert.equal(code, 130)
  assert.match(err, /stopped by SIGINT\nhint: nothing is lost: run it again; what was fetched/)
  assert.equal(after.code, 0, after.err)
})

test('run answers status and queue while it works, and SIGTERM ends it with 0', async (t) => {
  await using hub = await startSimHub()
  await using folder = await slowFolder(hub)
  const service = start(t, folder, ['run'])
  await service.says(/^listed/m)
  await hub.whenRequested(({ origin }) => origin === 'cdn')

  const status = await folder.json<{ service: { running: boolean; active: { path: string }[] } }>('status')
  const paused = await folder.json('queue', 'pause')
  const queue = await folder.json<{ paused: boolean }>('queue')
  const resumed = await folder.call(['queue', 'resume'])
  const bumped = await folder.json('queue', 'bump', 'Qwen/Slow-1B')
  const plan = await folder.call(['plan'])
  const write = await folder.call(['sync'])
  service.child.kill('SIGTERM')
  const { code, out } = await service.ended()

  assert.equal(status.service.running, true)
  assert.deepEqual(paused, { paused: true, service: true })
  assert.equal(queue.paused, true)
  assert.equal(resumed.code, 0)
  assert.equal(bumped['repo'], 'Qwen/Slow-1B')
  assert.equal(plan.code, 0, plan.err)
  assert.equal(write.code, 9)
  assert.equal(code, 0)
  assert.match(out, /Stopped; everything fetched is safe\.\n$/)
})

test('events --follow shows events as they come, and its interruption is its end', async (t) => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: { license: 'mit' }, files: [{ path: 'config.json', content: '{}\n' }] })
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  const people = start(t, folder, ['events', '--follow'])
  const scripts = start(t, folder, ['events', '--follow', '--json', '--since', '0', '--type', 'repo-published'])
  await people.says(/A-1B was found in the first poll/)
  await scripts.says(/A-1B/)

  hub.world.addRepo('Qwen/B-1B', { card: { license: 'mit' }, files: [{ path: 'config.json', content: '{1}\n' }] })
  await folder.call(['sync'])
  await people.says(/B-1B was published/)
  await scripts.says(/B-1B/)
  people.child.kill('SIGINT')
  scripts.child.kill('SIGTERM')
  const [shown, lines] = await Promise.all([people.ended(), scripts.ended()])

  assert.equal(shown.code, 0)
  assert.equal(shown.err, '')
  assert.equal(lines.code, 0)
  assert.deepEqual(
    lines.out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { repo: string }).repo),
    ['Qwen/A-1B', 'Qwen/B-1B'],
  )
})

test('a pipe that closes early ends the process quietly', async (t) => {
  await using hub = await startSimHub()
  const files = Array.from({ length: 2000 }, (_, at) => ({ path: `f${at}.txt`, content: `${at}` }))
  hub.world.addRepo('Qwen/Many-1B', { card: { license: 'mit' }, files })
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync', '--check'])
  const show = start(t, folder, ['show', 'Qwen/Many-1B', '--json'])
  show.child.stdout!.once('data', () => show.child.stdout!.destroy())

  const { code, err } = await show.ended()

  assert.equal(err, '')
  assert.equal(code, 0)
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { configText } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { spawnProgram } from '../support/spawn-program.ts'
import { HANGS_AFTER_MS } from '../support/until.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Where no registry answers, npm tries for minutes. */
const INSTALL_WITHIN_MS = 40_000

function newFolder(t: TestContext, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `weightvault-${name}-`))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A command with the pinned Node first on its path, as `npm` of a person who installed it would run. */
function run(command: string, args: readonly string[], cwd: string, timeout = HANGS_AFTER_MS) {
  const path = `${dirname(process.execPath)}:${process.env['PATH']}`
  return spawnSync(command, args, { cwd, encoding: 'utf8', timeout, env: { ...process.env, PATH: path } })
}

/** Builds and packs a copy of the checkout, so that nothing in it is touched. Returns the path of the tarball. */
function buildPackage(t: TestContext): string {
  const copy = newFolder(t, 'build')
  for (const name of readdirSync(ROOT)) {
    if (name === 'node_modules' || name === 'dist' || name === 'tests' || name.startsWith('.git')) continue
    if (name === 'archive') continue
    cpSync(join(ROOT, name), join(copy, name), { recursive: true, preserveTimestamps: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  // A lock that looks newer than what is installed would be installed anew, through the link, over the checkout's own.
  utimesSync(join(copy, 'package-lock.json'), 0, 0)
  const built = run('npm', ['run', 'build'], copy)
  assert.equal(built.status, 0, built.stdout + built.stderr)
  const packed = run('npm', ['pack', '--json'], copy)
  assert.equal(packed.status, 0, packed.stderr)
  const [{ filename, files }] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }]
  assertContents(files.map(({ path }) => path))
  return join(copy, filename)
}

function assertContents(paths: readonly string[]): void {
  for (const needed of [
    'bin/weightvault.js',
    'dist/main.js',
    'dist/lib/hash-files-worker.js',
    'LICENSE',
    'README.md',
  ]) {
    assert.ok(paths.includes(needed), needed)
  }
  const odd = paths.filter((path) =>
    /^(src|tests|scripts|tools|node_modules)\/|\.ts$|\.env|weightvault\.yaml$|\.db$/.test(path),
  )
  assert.deepEqual(odd, [], 'only what a user needs is packed')
}

/** With npm; where no registry answers, by hand: unpacked beside the dependencies of the checkout. */
function install(t: TestContext, tarball: string): string {
  const folder = newFolder(t, 'install')
  const installed = run(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball],
    folder,
    INSTALL_WITHIN_MS,
  )
  if (installed.status === 0) return join(folder, 'node_modules', '.bin', 'weightvault')
  t.diagnostic(
    `NOT TESTED: npm could not install the dependencies here (${installed.stderr.split('\n')[0]}); unpacked by hand`,
  )
  const target = join(folder, 'by-hand', 'node_modules', 'weightvault')
  mkdirSync(target, { recursive: true })
  assert.equal(run('tar', ['-xzf', tarball, '--strip-components=1', '-C', target], folder).status, 0)
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    const link = join(folder, 'by-hand', 'node_modules', name)
    if (!existsSync(link)) symlinkSync(join(ROOT, 'node_modules', name), link)
  }
  return join(target, 'bin', 'weightvault.js')
}

test('the built package works where it is installed, far from the checkout', async (t) => {
  const program = install(t, buildPackage(t))
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a', 900_000))
  const folder = newFolder(t, 'home')
  const call = (...args: string[]) => spawnProgram(program, args, folder)

  assert.deepEqual(await call('--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
  const init = await call('init')
  assert.equal(init.code, 0, init.stdout + init.stderr)
  assert.ok(existsSync(join(folder, 'weightvault.yaml')))
  assert.ok(existsSync(join(folder, 'archive', 'weightvault.json')))
  const list = await call('list')
  assert.equal(list.code, 0, list.stdout + list.stderr)
  const own = newFolder(t, 'own')
  writeFileSync(join(own, 'weightvault.yaml'), configText(hub))
  const synced = await spawnProgram(program, ['sync'], own)
  assert.equal(synced.code, 0, synced.stdout + synced.stderr)
  assert.equal((await spawnProgram(program, ['verify'], own)).code, 0)
})

test('a Node that is too old gets one sentence and exit 78', async (t) => {
  const found = spawnSync('sh', ['-c', 'command -v node'], {
    encoding: 'utf8',
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  })
  const old = found.stdout.trim()
  const version = old === '' ? '' : spawnSync(old, ['--version'], { encoding: 'utf8' }).stdout.trim()
  if (old === '' || Number(/^v(\d+)/.exec(version)?.[1]) >= 24) {
    t.diagnostic(`NOT TESTED: no Node older than 24 is installed here (${version === '' ? 'none at all' : version})`)
    return
  }

  const ended = spawnSync(old, [join(ROOT, 'bin', 'weightvault.js'), 'list'], { encoding: 'utf8' })

  assert.equal(ended.status, 78)
  assert.equal(ended.stdout, '')
  assert.match(ended.stderr, /^weightvault needs Node\.js 24\.\d+ or newer; this is \d+\.[^\n]+\n$/)
})

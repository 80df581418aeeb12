import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { displayWidth } from '../../src/cli/display-width.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec } from '../support/sim-hub/types.ts'
import { CliFolder, closingStream, withoutHub } from './cli-harness.ts'

const EVIL_PATH = 'evil\u001b[2J\u202e\n.txt'

function model(seed: string, bytes = 40_000): RepoSpec {
  return {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'config.json', content: `{"seed":"${seed}"}\n` },
      { path: 'model.safetensors', content: generated(seed, bytes), lfs: true },
    ],
  }
}

function quantised(seed: string): RepoSpec {
  const quants = ['Q4_K_M', 'Q8_0']
  const files = quants.map((quant) => ({
    path: `M-${quant}.gguf`,
    content: generated(seed + quant, 20_000),
    lfs: true,
  }))
  return { card: { license: 'other', license_name: 'qwen-research' }, files }
}

test('every reading command refuses a folder that is no archive, with 9 and what to do', async () => {
  await using folder = await CliFolder.make('archive: ./archive\n')
  for (const words of [
    ['list'],
    ['show', 'a/b'],
    ['licenses'],
    ['licenses', 'a/b'],
    ['status'],
    ['events'],
    ['why', 'a/b'],
    ['queue'],
  ]) {
    const called = await folder.call(words)

    assert.equal(called.code, 9, words.join(' '))
    assert.match(called.err, /ARCHIVE_MISSING_MARKER/)
    assert.match(called.err, /hint: .*init/)
  }
})

test('a folder that is not there is no unmounted disk, and the watch list needs no archive', async () => {
  await using folder = await CliFolder.make('archive: ./archive\n')

  const list = await folder.call(['list'])
  const watches = await folder.call(['watch', 'ls'])
  await mkdir(join(folder.path, 'archive'))
  const empty = await folder.call(['list'])

  assert.equal(list.code, 9)
  assert.match(list.err, /there is no archive at .*archive/)
  assert.match(list.err, /hint: .*init.*--config or --archive/)
  assert.equal(watches.code, 0, watches.err)
  assert.match(watches.out, /org:Qwen .*not polled yet/)
  assert.match(watches.err, /there is no archive/)
  assert.match(empty.err, /Most likely the disk is not mounted/)
})

test('before the first poll plan and verify say that there is nothing yet, and doctor asks no Hub for nothing', async () => {
  await using folder = await CliFolder.make('archive: ./archive\nwatch: []\n')
  await folder.call(['init'])

  const plan = await folder.call(['plan', '--offline'])
  const verify = await folder.call(['verify'])
  const doctor = await folder.call(['doctor'], { effects: withoutHub() })

  assert.match(plan.out, /^Nothing is known yet: no watch has been polled/)
  assert.match(verify.out, /nothing is archived yet/)
  assert.match(doctor.out, /hub +ok +not asked: nothing is watched/)
})

test('the nearest name comes first among those that were perhaps meant', async () => {
  await using hub = await startSimHub()
  for (const name of ['Qwen/A-Very-Long-X-GGUF', 'Qwen/B-X-GGUF', 'Qwen/C-X']) hub.world.addRepo(name, model(name))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync', '--check'])

  const { err } = await folder.call(['show', 'Qwen/X'])

  assert.match(err, /did you mean Qwen\/C-X, Qwen\/B-X-GGUF, Qwen\/A-Very-Long-X-GGUF\?/)
})

test('a name that was misspelt in sync leaves no event, and a new head counts once', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using folder = await CliFolder.watching(hub)

  const unknown = await folder.call(['sync', 'Foo/Bar'])
  const events = await folder.json<{ events: unknown[] }>('events')
  const checked = await folder.json<{ changes: number }>('sync', '--check')

  assert.equal(unknown.code, 1)
  assert.match(unknown.err, /REPO_UNKNOWN/)
  assert.deepEqual(events.events, [])
  assert.equal(checked.changes, 1)
})

test('a bad configuration ends with 3 and names file, line and key', async () => {
  await using folder = await CliFolder.make('archive: ./archive\nwatch:\n  - { org: Qwen, evry: 10m }\n')

  const called = await folder.call(['list', '--json'])

  const { error } = JSON.parse(called.out) as { error: { code: string; message: string } }
  assert.equal(called.code, 3)
  assert.equal(error.code, 'CONFIG_INVALID')
  assert.match(error.message, /weightvault\.yaml:3:\d+: watch\[0\]\.evry.*did you mean "every"/)
})

test('sync fails with 8 and says so when the Hub is unreachable', async () => {
  await using folder = await CliFolder.make('archive: ./archive\n')

  const called = await folder.call(['sync', '--log-level', 'silent'], { effects: withoutHub() })

  assert.equal(called.code, 8)
  assert.match(called.out, /failed {4}org:Qwen: .*HUB_UNREACHABLE/)
})

test('list, show and why name what they do not know, and what is like it', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Qwen3-4B', model('a'))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])

  const alike = await folder.call(['show', 'Qwen/Qwen3'])
  const unwatched = await folder.call(['show', 'Other/Thing'])
  const commit = await folder.call(['show', 'Qwen/Qwen3-4B@1234567'])
  const branch = await folder.call(['show', 'Qwen/Qwen3-4B@refs/pr/1'])
  const path = await folder.call(['why', 'Qwen/Qwen3-4B', 'nope.bin'])
  const none = await folder.call(['list', '--text', 'nothing'])

  assert.deepEqual(
    [alike, unwatched, commit, branch, path].map(({ code }) => code),
    [1, 1, 1, 1, 1],
  )
  assert.match(alike.err, /did you mean Qwen\/Qwen3-4B\?/)
  assert.match(unwatched.err, /nothing watches it.*watch add Other\/Thing/)
  assert.match(commit.err, /SNAPSHOT_UNKNOWN/)
  assert.match(branch.err, /7 to 40 of its hex digits/)
  assert.match(path.err, /FILE_UNKNOWN/)
  assert.equal(none.code, 0)
  assert.match(none.out, /No repository fits/)
})

test('plan shows what would be fetched and why, --check ends with 20, and nothing is downloaded', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('Qwen/B-GGUF', quantised('b'))
  await using folder = await CliFolder.watching(hub, 'watch:\n  - { org: Qwen, every: 1h, keep: { quants: [Q8_0] } }\n')

  const plan = await folder.call(['plan', '--check', '--json'])

  assert.equal(plan.code, 20)
  const data = JSON.parse(plan.out) as {
    take: { repo: string; path: string; size: number; reason: string; commit: string }[]
    skip: { path: string; reason: string }[]
    bytesToFetch: number
    bytesHeld: number
    fitsBudget: boolean
  }
  assert.deepEqual(
    data.skip.map(({ path, reason }) => [path, reason]),
    [['M-Q4_K_M.gguf', 'quant-not-wanted']],
  )
  assert.ok(
    data.take.some(({ repo, path, size }) => repo === 'Qwen/A-1B' && path === 'model.safetensors' && size === 40_000),
  )
  assert.equal(
    data.bytesToFetch,
    data.take.reduce((sum, { size }) => sum + size, 0),
  )
  assert.equal(data.bytesHeld, 0)
  assert.equal(data.fitsBudget, true)
  assert.equal(hub.bytesServed(), 0)

  hub.clearRequests()
  await folder.call(['plan'])
  const offline = await folder.call(['plan', '--offline'])

  assert.equal(hub.requests.length, 0, 'the last poll is younger than every')
  assert.match(offline.out, /Qwen\/A-1B/)
  assert.match(offline.out, /Skipped\n.*\n.*Q4_K_M is not in keep\.quants/)
})

test('sync archives, and list, show, why, status, verify and events tell it in the promised shapes', async () => {
  await using hub = await startSimHub()
  const head = hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('Qwen/B-GGUF', quantised('b'))
  await using folder = await CliFolder.watching(hub)

  const sync = await folder.json<{ sealed: unknown[]; failed: unknown[]; fetchedFiles: number }>('sync')
  const again = await folder.json<{ fetchedFiles: number; newEvents: number }>('sync')
  const { repos } = await folder.json<{ repos: Record<string, unknown>[] }>('list')
  const shown = await folder.json<{ files: Record<string, unknown>[]; licenses: unknown[] }>('show', 'Qwen/A-1B')
  const why = await folder.json('why', `Qwen/A-1B@${head.slice(0, 7)}`, 'model.safetensors')
  const status = await folder.json('status')
  const verify = await folder.json('verify')
  const { events } = await folder.json<{ events: Record<string, unknown>[] }>('events', '--since', '0')

  assert.equal(sync.sealed.length, 2)
  assert.deepEqual(sync.failed, [])
  assert.equal(again.fetchedFiles, 0)
  assert.equal(again.newEvents, 0)
  assert.deepEqual(
    repos.map(({ repo, upstream, license, state, formats, quants }) => ({
      repo,
      upstream,
      license,
      state,
      formats,
      quants,
    })),
    [
      {
        repo: 'Qwen/A-1B',
        upstream: 'ok',
        license: 'apache-2.0',
        state: 'sealed',
        formats: ['safetensors'],
        quants: [],
      },
      {
        repo: 'Qwen/B-GGUF',
        upstream: 'ok',
        license: 'qwen-research',
        state: 'sealed',
        formats: ['gguf'],
        quants: ['Q4_K_M', 'Q8_0'],
      },
    ],
  )
  const [snapshot] = repos[0]!['snapshots'] as Record<string, unknown>[]
  assert.equal(snapshot!['coverage'], 'all')
  assert.equal(snapshot!['commit'], head)
  assert.equal(repos[0]!['bytesHeld'], repos[0]!['bytesListed'])
  const weights = shown.files.find(({ path }) => path === 'model.safetensors')!
  assert.equal(weights['sha256'], (await hub.world.file('Qwen/A-1B', 'model.safetensors')).sha256)
  assert.equal(weights['held'], true)
  assert.deepEqual(weights['attestedBy'], ['hub-lfs-oid'])
  assert.equal(shown.licenses.length, 1)
  assert.equal(why['held'], true)
  assert.equal(why['reason'], 'wanted')
  assert.deepEqual(status['service'], { running: false })
  assert.deepEqual(
    { ...verify, contradicted: [] },
    {
      checkedFiles: verify['checkedFiles'],
      checkedBytes: verify['checkedBytes'],
      ok: true,
      corrupt: [],
      missing: [],
      unreadable: [],
      contradicted: [],
    },
  )
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, at) => at + 1),
  )
  assert.deepEqual(Object.keys(events[0]!), [
    'seq',
    'id',
    'type',
    'severity',
    'repo',
    'at',
    'before',
    'after',
    'detail',
  ])
})

test('list filters, pages, and says where the next page starts', async () => {
  await using hub = await startSimHub()
  for (const name of ['A-1B', 'B-2B', 'C-3B']) hub.world.addRepo(`Qwen/${name}`, model(name))
  hub.world.addRepo('Qwen/D-GGUF', quantised('d'))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync', '--check'])
  const names = async (...words: string[]): Promise<unknown[]> =>
    (await folder.json<{ repos: { repo: string }[] }>('list', ...words)).repos.map(({ repo }) => repo)

  assert.deepEqual(await names('--format', 'GGUF'), ['Qwen/D-GGUF'])
  assert.deepEqual(await names('--quant', 'q8_0', '--license', 'QWEN-research'), ['Qwen/D-GGUF'])
  assert.deepEqual(await names('--larger', '40kB', '--text', 'b-2'), ['Qwen/B-2B'])
  assert.deepEqual(await names('--state', 'sealed'), [])
  assert.deepEqual(await names('--after', 'Qwen/B-2B', '--limit', '1'), ['Qwen/C-3B'])

  const page = await folder.call(['list', '--limit', '2'])

  assert.match(page.out, /more: weightvault list --after Qwen\/B-2B/)
  assert.match(page.out, /2 repositories, 0 sealed/)
  assert.match((await folder.call(['list', '--after', 'Zwen/Z'])).out, /^No repository comes after that one\.$/m)
})

test('sync ends with 10 at the budget, and why and plan say what waits', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a', 50_000))
  await using folder = await CliFolder.watching(
    hub,
    'budget: { total: 10kB, reserve: 1MB }\nwatch: [{ org: Qwen, every: 1h }]\n',
  )

  const sync = await folder.call(['sync'])
  const why = await folder.call(['why', 'Qwen/A-1B', 'model.safetensors'])
  const small = await folder.call(['why', 'Qwen/A-1B', 'config.json'])
  const plan = await folder.call(['plan', '--check'])

  assert.equal(sync.code, 10)
  assert.match(sync.out, /The budget is reached/)
  assert.match(why.out, /Waiting: it does not fit into budget\.total/)
  assert.match(small.out, /Held: SHA-256 [0-9a-f]{64}/)
  assert.match(plan.out, /1 file, 50\.0 kB wanted beside that do not fit/)
  assert.equal(plan.code, 0, 'what does not fit is not fetched')
})

test('sync --check ends with 20 when something is new, then with 0', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using folder = await CliFolder.watching(hub)

  const first = await folder.call(['sync', '--check'])
  const second = await folder.call(['sync', '--check'])

  assert.deepEqual([first.code, second.code], [20, 0])
  assert.equal(hub.bytesServed(), 0)
})

test('verify ends with 6 and names corrupt and missing files', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.addRepo('Qwen/B-1B', model('b'))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  const corrupt = (await hub.world.file('Qwen/A-1B', 'model.safetensors')).sha256
  const missing = (await hub.world.file('Qwen/B-1B', 'model.safetensors')).sha256
  const blob = (sha256: string): string => join(folder.path, 'archive/blobs/sha256', sha256.slice(0, 2), sha256)
  await chmod(blob(corrupt), 0o640)
  const bytes = await readFile(blob(corrupt))
  bytes[100]! ^= 1
  await writeFile(blob(corrupt), bytes)
  await rm(blob(missing))

  const verify = await folder.call(['verify', '--json'])
  const people = await folder.call(['verify', 'Qwen/A-1B'])

  assert.equal(verify.code, 6)
  const data = JSON.parse(verify.out) as { ok: boolean; corrupt: unknown[]; missing: unknown[] }
  assert.equal(data.ok, false)
  assert.deepEqual(data.corrupt, [{ repo: 'Qwen/A-1B', path: 'model.safetensors', sha256: corrupt }])
  assert.deepEqual(data.missing, [{ repo: 'Qwen/B-1B', path: 'model.safetensors', sha256: missing }])
  assert.equal(people.code, 6)
  // The bad bytes are in quarantine by now.
  assert.match(people.out, /missing {2}Qwen\/A-1B model\.safetensors/)
  assert.match(people.out, /damaged: 1 blob missing \(in 1 file\); /)
  const place = `blobs/sha256/${corrupt.slice(0, 2)}/${corrupt}`
  assert.ok(people.out.includes('Nothing was deleted. The next sync fetches it again'), people.out)
  assert.ok(people.out.includes(`at ${place}.`), people.out)
  assert.match((await folder.call(['status'])).out, /damage +found 2 times, last .*"weightvault verify"/)
  assert.match((await folder.call(['status'])).out, /; 2 blobs not repaired yet/)
  assert.match((await folder.call(['doctor'])).out, /damage +warn +found 2 times/)
  const events = await folder.call(['events', '--type', 'fixity-failed'])
  assert.match(events.out, /archived bytes of Qwen\/A-1B do not match their SHA-256 any more: model\.safetensors/)
  assert.match(events.out, /archived bytes of Qwen\/B-1B are gone from the disk: model\.safetensors/)
  assert.equal((await folder.call(['sync'])).code, 0)
  assert.equal((await folder.call(['verify'])).code, 0)
  assert.match((await folder.call(['status'])).out, /damage +found 2 times, last .*; all of it is repaired/)
  assert.match((await folder.call(['doctor'])).out, /damage +ok +found 2 times/)
})

test('hostile names in a real archive reach no terminal, at any width', async () => {
  await using hub = await startSimHub()
  const spec = model('a')
  const evil = {
    ...spec,
    card: { license: '\u001b[31mmit\u202e' },
    files: [...spec.files, { path: EVIL_PATH, content: 'x' }],
  }
  hub.world.addRepo('Qwen/Evil-1B', evil)
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])

  for (const terminal of [40, 80, 160, undefined]) {
    for (const words of [
      ['list'],
      ['show', 'Qwen/Evil-1B'],
      ['why', 'Qwen/Evil-1B'],
      ['plan'],
      ['events'],
      ['queue'],
      ['status'],
    ]) {
      const called = await folder.call([...words, '--no-color'], terminal === undefined ? {} : { terminal })

      // oxlint-disable-next-line no-control-regex
      const shown = called.out.replaceAll(/\r?\u001b\[\d+[AJ]/g, '')
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(shown, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/, words.join(' '))
    }
  }
  const list = await folder.call(['list', '--no-color'], { terminal: 80 })
  for (const line of list.out.split('\n')) assert.ok(displayWidth(line) <= 80, line)
  const { files } = await folder.json<{ files: { path: string }[] }>('show', 'Qwen/Evil-1B')
  assert.ok(
    files.some(({ path }) => path === EVIL_PATH),
    'JSON has the name as it is',
  )
})

test('colours are for terminals, and NO_COLOR and --no-color switch them off', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  const isColorful = async (words: string[], options: Parameters<CliFolder['call']>[1]): Promise<boolean> =>
    (await folder.call(words, options)).out.includes('\u001b[')

  assert.equal(await isColorful(['list'], { terminal: 80 }), true)
  assert.equal(await isColorful(['list'], {}), false)
  assert.equal(await isColorful(['list', '--no-color'], { terminal: 80 }), false)
  assert.equal(await isColorful(['list'], { terminal: 80, env: { NO_COLOR: '1' } }), false)
  assert.equal(await isColorful(['list', '--json'], { terminal: 80 }), false)
})

test('a reader that goes away ends the command quietly', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  const pieces: string[] = []

  const called = await folder.call(['show', 'Qwen/A-1B'], { effects: { stdout: closingStream(pieces, 1) } })

  assert.deepEqual(called, { code: 0, out: '', err: '' })
  assert.equal(pieces.length, 1)
})

test('init writes a configuration once, makes an archive every command can read, and finds caches', async () => {
  await using folder = await CliFolder.make()
  const blobs = join(folder.path, 'hf/hub/models--Qwen--X/blobs')
  await mkdir(blobs, { recursive: true })
  await writeFile(join(blobs, 'aa'), 'x'.repeat(1500))
  const env = { HF_HOME: join(folder.path, 'hf'), HF_TOKEN: 'hf_secret_token_value' }

  const first = await folder.call(['init'], { env })
  const text = await readFile(join(folder.path, 'weightvault.yaml'), 'utf8')
  await folder.configure(`${text}# mine\n`)
  const second = await folder.call(['init', '--json'], { env })
  const list = await folder.call(['list'])

  assert.equal(first.code, 0, first.err)
  assert.match(first.out, /weightvault\.yaml written/)
  assert.match(first.out, /token +found \(env HF_TOKEN\)/)
  assert.match(first.out, /cache +.*hub: 1 repository, 1\.50 kB/)
  assert.doesNotMatch(first.out + first.err + second.out, /hf_secret/)
  assert.equal(second.code, 0, second.out)
  assert.equal((JSON.parse(second.out) as { configWritten: boolean }).configWritten, false)
  assert.match(await readFile(join(folder.path, 'weightvault.yaml'), 'utf8'), /# mine\n$/)
  assert.equal(list.code, 0, list.err)
  assert.match(list.out, /knows no repository yet/)
})

test('init --archive writes that folder into the file, and says so where a file means another one', async () => {
  await using folder = await CliFolder.make()

  const first = await folder.call(['init', '--archive', 'weights'])
  const list = await folder.call(['list'])
  const other = await folder.call(['init', '--archive', 'others'])

  assert.equal(first.code, 0, first.err)
  assert.doesNotMatch(first.out, /still says/)
  assert.match(await readFile(join(folder.path, 'weightvault.yaml'), 'utf8'), /^archive: "\.\/weights"$/m)
  assert.equal(list.code, 0, list.err)
  assert.match(other.out, /the configuration still says .*weights; edit "archive" in it, or pass --archive/)
})

test('doctor says what is wrong and what to do, and ends with the exit code of what it found first', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  await using folder = await CliFolder.watching(hub)
  await folder.call(['init'])

  const healthy = await folder.call(['doctor'])
  const unreachable = await folder.call(['doctor', '--json'], { effects: withoutHub() })
  await folder.configure('archive: ./archive\nbudget: { reserve: 9000TB }\n')
  const full = await folder.call(['doctor'], { effects: withoutHub() })
  await folder.configure('archive: ./elsewhere\n')
  const elsewhere = await folder.call(['doctor'])
  await folder.configure('archive: ./archive\nbudget: { reserve: 5 bananas }\n')
  const broken = await folder.call(['doctor'])
  const help = await folder.call(['doctor', '--help'])

  assert.equal(healthy.code, 0, healthy.out)
  assert.match(healthy.out, /hub +ok +http/)
  assert.equal(unreachable.code, 8)
  const { checks } = JSON.parse(unreachable.out) as {
    checks: { name: string; status: string; advice: string | null }[]
  }
  assert.match(checks.find(({ name }) => name === 'hub')!.advice!, /check the network/)
  assert.equal(full.code, 9)
  assert.match(full.out, /disk: free some space/)
  assert.equal(elsewhere.code, 9)
  assert.match(elsewhere.out, /ARCHIVE_MISSING_MARKER/)
  assert.equal(broken.code, 3)
  assert.match(broken.out, /budget\.reserve.*CONFIG_INVALID/s)
  for (const code of [3, 8, 9]) assert.match(help.out, new RegExp(`^ +${code}  `, 'm'))
  assert.deepEqual((await readdir(folder.path)).sort(), ['archive', 'weightvault.yaml'], 'doctor makes nothing')
})

test('watch add and rm change the file, and say when the service notices', async () => {
  await using folder = await CliFolder.make('# mine\narchive: ./archive\nwatch:\n  - org: Qwen # first\n')

  const added = await folder.call(['watch', 'add', 'user:unsloth', '--match', 'Qwen3*', '--quants', 'Q8_0,Q4_K_M'])
  const again = await folder.call(['watch', 'add', 'user:unsloth', '--match', 'Qwen3*'])
  const text = await readFile(join(folder.path, 'weightvault.yaml'), 'utf8')
  const bad = await folder.call(['watch', 'add', 'Qwen/A', '--every', '10 parsecs'])
  const removed = await folder.call(['watch', 'rm', 'user:unsloth'])
  const gone = await folder.call(['watch', 'rm', 'user:unsloth'])

  assert.match(added.out, /Added user:unsloth.*\n.*running service notices/)
  assert.match(again.out, /watched already/)
  assert.match(text, /# mine\n[\s\S]*org: Qwen # first\n[\s\S]*user: unsloth[\s\S]*Q8_0/)
  assert.equal(bad.code, 2)
  assert.match(bad.err, /every: /)
  assert.equal(removed.code, 0)
  assert.equal(gone.code, 2)
  assert.doesNotMatch(await readFile(join(folder.path, 'weightvault.yaml'), 'utf8'), /unsloth/)
})

test('why tells how often a file was tried, the last error and the next try', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', model('a'))
  hub.world.purgeLfs('Qwen/A-1B', 'model.safetensors')
  await using folder = await CliFolder.watching(hub)

  const sync = await folder.call(['sync', '--log-level', 'silent'])
  const why = await folder.call(['why', 'Qwen/A-1B', 'model.safetensors'])
  const data = await folder.json<{ held: boolean; job: { attempts: number; lastCode: string } }>(
    'why',
    'Qwen/A-1B',
    'model.safetensors',
  )

  assert.equal(sync.code, 8)
  assert.match(sync.out, /failed {4}Qwen\/A-1B model\.safetensors: .*\([A-Z_]+\)/)
  assert.match(why.out, /Tried 1 time, last error [A-Z_]+, next try in \d+/)
  assert.equal(data.held, false)
  assert.equal(data.job.attempts, 1)
  assert.match(data.job.lastCode, /^[A-Z_]+$/)
})

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { provenBlobs } from '../support/held-files.ts'
import { configText, Sandbox, WATCH_QWEN } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'

suite('exit codes of sync', { concurrency: 3 }, () => {
  test('0 when all is well; the second time nothing is fetched', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    await using sandbox = await Sandbox.make(hub)
    const first = await sandbox.json(['sync'])
    assert.deepEqual([first.code, first.data.fetchedFiles, first.data.sealed.length], [0, 3, 1])
    hub.clearRequests()
    const served = hub.bytesServed()

    const second = await sandbox.json(['sync'])

    assert.deepEqual([second.code, second.data.fetchedFiles, second.data.fetchedBytes], [0, 0, 0])
    assert.deepEqual([hub.requests.length, hub.bytesServed()], [1, served])
  })

  test('1 for a repo nobody shows, with what to do', async () => {
    await using hub = await startSimHub()
    await using sandbox = await Sandbox.make(hub)

    const { code, data } = await sandbox.json(['sync', 'Qwen/Nothing-1B'])

    assert.deepEqual([code, data.error.code], [1, 'REPO_UNKNOWN'])
    assert.match(data.error.message, /Qwen\/Nothing-1B/)
    assert.match(data.error.hint ?? '', /HF_TOKEN/)
  })

  test('2 for a wrong call, before anything is made', async () => {
    await using hub = await startSimHub()
    await using sandbox = await Sandbox.make(hub)

    for (const args of [['sync', '--nonsense'], ['sync', 'not a repo'], ['sync', 'Qwen/A@main'], ['snyc']]) {
      assert.equal((await sandbox.run(args)).code, 2, args.join(' '))
    }
    assert.equal(hub.requests.length, 0)
    await assert.rejects(sandbox.read('weightvault.json'), { code: 'ENOENT' })
  })

  test('3 for a broken configuration, naming file, line and key, and for a token the Hub does not take', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    await using sandbox = await Sandbox.make(hub)
    const refused = await sandbox.json(['sync'], { env: { HF_TOKEN: 'hf_notvalid' } })
    assert.deepEqual([refused.code, refused.data.error.code], [3, 'CREDENTIALS_INVALID'])
    assert.ok(!JSON.stringify(refused.data).includes('notvalid'))
    await sandbox.configure(configText(hub, 'budget: { total: 5 bananas }\n'))

    const broken = await sandbox.run(['sync'])

    assert.equal(broken.code, 3)
    assert.match(broken.stderr, /weightvault\.yaml:4:\d+.*budget\.total/s)
  })

  test('8 when files of a gated repo wait, and the message says which repo and what to do', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/Gated-1B', { ...smallModel('g'), gated: 'auto' })
    hub.world.addRepo('Qwen/Open-1B', smallModel('o'))
    await using sandbox = await Sandbox.make(hub)

    const { code, stdout } = await sandbox.run(['sync'])

    assert.equal(code, 8)
    const lines = stdout.split('\n').filter((line) => line.includes('Qwen/Gated-1B') && !line.startsWith('listed'))
    assert.equal(lines.length, 1, 'a refusal of the repository is told once')
    assert.match(lines[0]!, /^failed +Qwen\/Gated-1B: the repository is gated: ask for access.*\(REPO_GATED\)$/)
    const { data } = await sandbox.json(['list'])
    assert.deepEqual(
      data.repos.map(({ repo, state, upstream }) => `${repo} ${state} ${upstream}`),
      ['Qwen/Gated-1B fetching gated', 'Qwen/Open-1B sealed ok'],
    )
  })

  test('8 when the Hub cannot be reached, and what is archived stays usable', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    await using sandbox = await Sandbox.make(hub)
    await sandbox.run(['sync'])
    await hub.setOnline(false)

    const { code, data } = await sandbox.json(['sync'])

    assert.equal(code, 8)
    assert.deepEqual(
      data.failed.map((failure) => [failure.repo, failure.code]),
      [['org:Qwen', 'HUB_UNREACHABLE']],
    )
    assert.equal((await sandbox.run(['verify'])).code, 0)
  })

  test('9 when the reserve forbids, 10 when the budget does; metadata comes all the same', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', smallModel('a', 300_000))
    await using sandbox = await Sandbox.make(hub, WATCH_QWEN.replace('100GB', '20KB'))

    const poor = await sandbox.json(['sync'])
    assert.deepEqual([poor.code, poor.data.stoppedBy, poor.data.fetchedFiles], [10, 'budget', 2])
    await sandbox.configure(configText(hub, WATCH_QWEN.replace('1MB', '900TB')))
    const full = await sandbox.json(['sync'])
    assert.deepEqual([full.code, full.data.stoppedBy, full.data.fetchedFiles], [9, 'reserve', 0])
    await sandbox.configure(configText(hub))
    const rich = await sandbox.json(['sync'])

    assert.deepEqual([rich.code, rich.data.fetchedFiles, rich.data.sealed.length], [0, 1, 1])
  })

  test('20 when --check finds something new; nothing is fetched, and a second look finds the same work', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    await using sandbox = await Sandbox.make(hub)

    assert.equal((await sandbox.run(['sync', '--check'])).code, 20)
    assert.equal(hub.bytesServed(), 0)
    assert.equal((await sandbox.run(['sync', '--check'])).code, 0)
    const after = await sandbox.json(['sync'])
    assert.deepEqual([after.code, after.data.sealed.length], [0, 1])
    hub.world.commit('Qwen/A-1B', { set: [{ path: 'config.json', content: '{"new":1}\n' }] })
    assert.equal((await sandbox.run(['sync', '--check'])).code, 20)
  })

  test('130 on Ctrl-C: what arrived is kept, and the next sync goes on from there', async () => {
    await using hub = await startSimHub({ pieceBytes: 'large' })
    const size = 24 * 1024 * 1024
    hub.world.addRepo('Qwen/A-1B', {
      files: [{ path: 'model.safetensors', content: generated('big', size), lfs: true }],
    })
    const slow = hub.faults.add({ origin: 'cdn', stallAtOffset: size / 2 })
    await using sandbox = await Sandbox.make(hub)
    const program = sandbox.start(['sync'])
    await hub.whenRequested(({ origin }) => origin === 'cdn')
    await sandbox.whenPartialHas(8 * 1024 * 1024)
    program.kill('SIGINT')

    const { code, stdout, stderr } = await program.ended

    assert.equal(code, 130)
    assert.match(stdout + stderr, /kept/)
    slow.remove()
    const served = hub.bytesServed()
    const after = await sandbox.json(['sync'])
    assert.deepEqual([after.code, after.data.sealed.length], [0, 1])
    assert.ok(hub.bytesServed() - served <= size - 8 * 1024 * 1024, `${hub.bytesServed() - served} bytes more`)
    assert.equal(provenBlobs(sandbox.root).length, 1)
  })

  test('9 for a folder that is no archive: a disk that is not mounted stays empty', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    await using sandbox = await Sandbox.make(hub)
    await mkdir(sandbox.root)
    await writeFile(join(sandbox.root, 'note.txt'), 'somebody else')

    const { code, data } = await sandbox.json(['sync'])

    assert.deepEqual([code, data.error.code], [9, 'ARCHIVE_MISSING_MARKER'])
    assert.equal(hub.requests.length, 0)
    await assert.rejects(sandbox.read('weightvault.lock'), { code: 'ENOENT' })
  })
})

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { provenBlobs } from '../support/held-files.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { EVERY_MINUTE, RunningService } from '../support/running-service.ts'
import { configText, Sandbox, WATCH_QWEN } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const SIZE = 24 * MIB

/** A Hub whose only large file stops arriving in its middle. */
async function stallingHub(): Promise<{ hub: SimHub; heal: () => void }> {
  const hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/Big-8B', {
    files: [
      { path: 'config.json', content: '{}\n' },
      { path: 'model.safetensors', content: generated('big', SIZE), lfs: true },
    ],
  })
  const stalled = hub.faults.add({ origin: 'cdn', stallAtOffset: SIZE / 2 })
  return { hub, heal: () => stalled.remove() }
}

suite('the service as a process', { concurrency: 3 }, () => {
  test('the first SIGTERM ends it with exit 0 while a transfer is silent, and no arrived byte is fetched again', async () => {
    const { hub, heal } = await stallingHub()
    await using _hub = hub
    await using sandbox = await Sandbox.make(hub)
    const service = sandbox.start(['run'])
    await sandbox.whenPartialHas(8 * MIB)
    service.kill('SIGTERM')

    const ended = await service.ended

    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    assert.match(ended.stdout, /safe/)
    heal()
    const served = hub.bytesServed()
    const { code, data } = await sandbox.json(['sync'])
    assert.deepEqual([code, data.sealed.length], [0, 1])
    assert.ok(hub.bytesServed() - served <= SIZE - 8 * MIB, `${hub.bytesServed() - served} bytes more`)
    assert.equal(provenBlobs(sandbox.root).length, 2)
  })

  test('a second signal stops it at once, and that loses nothing either', async () => {
    const { hub, heal } = await stallingHub()
    await using _hub = hub
    await using sandbox = await Sandbox.make(hub)
    for (const { signals, codes } of [
      // Two signals that wait may reach different threads: either may be heard last, and that one ends the process.
      { signals: ['SIGHUP', 'SIGINT'], codes: [129, 130] },
      { signals: ['SIGINT', 'SIGTERM'], codes: [130, 143] },
    ] as const) {
      hub.clearRequests()
      const service = sandbox.start(['run'])
      await hub.whenRequested(({ origin }) => origin === 'cdn')
      for (const signal of signals) service.kill(signal)
      const { code } = await service.ended
      assert.ok(
        codes.some((expected) => expected === code),
        `${signals.join()} ended it with ${code}`,
      )
    }

    heal()

    assert.equal((await sandbox.run(['sync'])).code, 0)
    assert.equal(provenBlobs(sandbox.root).length, 2)
  })

  test('a second process is refused with exit 9, and everything that reads or steers works beside it', async () => {
    const { hub, heal } = await stallingHub()
    await using _hub = hub
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    await using sandbox = await Sandbox.make(hub)
    const service = sandbox.start(['run'])
    await sandbox.whenPartialHas(8 * MIB)

    for (const command of ['sync', 'run']) {
      const { code, data } = await sandbox.json([command])
      assert.deepEqual([code, data.error.code], [9, 'ARCHIVE_LOCKED'], command)
      assert.match(data.error.message, new RegExp(String(service.child.pid)))
    }
    for (const args of [
      ['list'],
      ['show', 'Qwen/A-1B'],
      ['why', 'Qwen/Big-8B'],
      ['plan', '--offline'],
      ['events'],
      ['queue'],
    ]) {
      const ended = await sandbox.run(args)
      assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
    }
    const status = await sandbox.run(['status'])
    assert.equal(status.code, 0)
    assert.match(status.stdout, /running for/)
    assert.match(status.stdout, /model\.safetensors/)
    assert.equal((await sandbox.run(['queue', 'bump', 'Qwen/Big-8B'])).code, 0)
    assert.equal((await sandbox.run(['queue', 'bump', 'Qwen/Nothing'])).code, 1)

    assert.equal((await sandbox.run(['queue', 'pause'])).code, 0)
    hub.world.addRepo('Qwen/Later-1B', smallModel('later'))
    heal()
    await until('the new repo is listed', async () =>
      (await sandbox.events()).some(({ repo }) => repo === 'Qwen/Later-1B'),
    )
    const { data: paused } = await sandbox.json(['list'])
    assert.notEqual(paused.repos.find(({ repo }) => repo === 'Qwen/Later-1B')?.state, 'sealed')
    assert.equal((await sandbox.run(['queue', 'resume'])).code, 0)
    await until('it is sealed after the pause', async () =>
      (await sandbox.events()).some(({ type, repo }) => type === 'snapshot-sealed' && repo === 'Qwen/Later-1B'),
    )
    service.kill('SIGTERM')
    assert.equal((await service.ended).code, 0)
  })

  test('watch add beside it is noticed; a broken configuration is reported, and the old one stays', async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    hub.world.addRepo('unsloth/B-GGUF', smallModel('b'))
    await using sandbox = await Sandbox.make(hub)
    const service = sandbox.start(['run'])
    await service.whenPrinted(/sealed .*Qwen\/A-1B/)

    assert.equal((await sandbox.run(['watch', 'add', 'unsloth/B-GGUF'])).code, 0)
    await service.whenPrinted(/sealed .*unsloth\/B-GGUF/)
    const good = await readFile(sandbox.configFile, 'utf8')
    await writeFile(sandbox.configFile, `${good}budget: [\n`)
    await service.whenPrinted(/configuration not usable/)
    hub.world.addRepo('Qwen/C-1B', smallModel('c'))
    await service.whenPrinted(/sealed .*Qwen\/C-1B/)
    service.kill('SIGTERM')

    assert.equal((await service.ended).code, 0)
  })

  test('without a Hub it says so plainly, points to the demo, and keeps running', async () => {
    await using hub = await startSimHub()
    await hub.setOnline(false)
    await using sandbox = await Sandbox.make(hub)
    const service = sandbox.start(['run'])

    await service.whenPrinted(/unreachable.*npm run demo/s)
    service.kill('SIGTERM')

    assert.equal((await service.ended).code, 0)
  })
})

suite('the service over hours', { concurrency: 2 }, () => {
  test('a Hub that is away at the start is one event; its return is one event, and the work is done', async () => {
    const clock = new HurriedClock()
    await using hub = await startSimHub({ now: clock.now })
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    hub.world.addRepo('unsloth/B-1B', smallModel('b'))
    await hub.setOnline(false)
    const yaml = `${EVERY_MINUTE}  - { user: unsloth, every: 10m }\n`
    await using service = await RunningService.start(hub, clock, yaml)
    const start = clock.now()

    await service.when('hours of trying', () => clock.now() - start > 2 * 3_600_000)
    assert.deepEqual(
      service.events.map(({ type }) => type),
      ['hub-unreachable'],
    )
    assert.ok(service.progress.waitingFor.some((reason) => /unreachable/.test(reason) && /npm run demo/.test(reason)))
    await hub.setOnline(true)
    await service.whenSeen('snapshot-sealed', 2)

    assert.equal(service.events.filter(({ type }) => type === 'hub-unreachable').length, 1)
    assert.equal(service.events.filter(({ type }) => type === 'hub-reachable').length, 1)
    await service.stop()
  })

  test('news of a day are noticed without a restart: a release, a replaced file, a changed licence, a loss', async () => {
    const clock = new HurriedClock()
    await using hub = await startSimHub({ now: clock.now })
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    hub.world.addRepo('Qwen/B-1B', smallModel('b'))
    await using service = await RunningService.start(hub, clock, WATCH_QWEN.replace('1s', '10m'))
    await service.whenSeen('snapshot-sealed', 2)

    hub.world.addRepo('Qwen/New-1B', smallModel('new'))
    await service.whenSeen('snapshot-sealed', 3)
    hub.world.commit('Qwen/A-1B', { set: [{ path: 'model.safetensors', content: generated('a2', 50_000), lfs: true }] })
    await service.whenSeen('files-replaced')
    hub.world.commit('Qwen/A-1B', { card: { license: 'other', license_name: 'closed' } })
    await service.whenSeen('license-changed')
    hub.world.deleteRepo('Qwen/B-1B')
    await service.whenSeen('repo-unavailable')
    await service.whenSeen('snapshot-sealed', 5)
    await service.stop()

    assert.deepEqual(
      service.events.map(({ seq }) => seq),
      service.events.map((_, at) => at + 1),
    )
  })

  test('a configuration that is changed again and again is taken each time, until it is broken', async () => {
    const clock = new HurriedClock()
    await using hub = await startSimHub({ now: clock.now })
    hub.world.addRepo('Qwen/A-1B', smallModel('a'))
    const metadata = EVERY_MINUTE.replace('every: 1m', 'every: 1m, keep: { files: metadata }')
    await using service = await RunningService.start(hub, clock, metadata)
    await service.whenSeen('snapshot-sealed', 1)
    const file = `${service.folder}/weightvault.yaml`

    await writeFile(file, configText(hub, EVERY_MINUTE))
    await service.whenSeen('snapshot-sealed', 2)
    await writeFile(file, 'watch: 7\n')
    hub.world.addRepo('Qwen/B-1B', smallModel('b'))
    await service.whenSeen('snapshot-sealed', 3)

    assert.equal(provenBlobs(service.root).length, 6)
    await service.stop()
  })
})

import assert from 'node:assert/strict'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { journalEvents, provenBlobs } from '../support/held-files.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { mountTmpfs, type SmallDisk } from '../support/mount-tmpfs.ts'
import { EVERY_MINUTE, RunningService } from '../support/running-service.ts'
import { Sandbox, WATCH_QWEN } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub, SimHubOptions } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'

const MIB = 1024 * 1024
const NO_RESERVE = EVERY_MINUTE.replace('reserve: 1MB', 'reserve: 0B')

async function hubWith(files: number, bytes: number, options?: SimHubOptions): Promise<SimHub> {
  const hub = await startSimHub({ pieceBytes: 'large', ...options })
  for (let at = 0; at < files; at += 1) {
    hub.world.addRepo(`Qwen/M${at}-1B`, {
      files: [
        { path: 'config.json', content: `{"at":${at}}\n` },
        { path: 'model.safetensors', content: generated(`m${at}`, bytes + at), lfs: true },
      ],
    })
  }
  return hub
}

/** A sandbox whose whole folder is on the small disk. */
function onDisk(hub: SimHub, disk: SmallDisk, yaml = NO_RESERVE): Promise<Sandbox> {
  return Sandbox.make(hub, yaml, disk.at)
}

async function assertSound(sandbox: Sandbox, repos: number): Promise<void> {
  const { data } = await sandbox.json(['list'])
  assert.equal(data.repos.filter(({ state }) => state === 'sealed').length, repos)
  assert.equal((await sandbox.run(['verify'])).code, 0)
  assert.equal(provenBlobs(sandbox.root).length, repos * 2)
  const events = await sandbox.events()
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, at) => at + 1),
  )
  assert.equal(journalEvents(sandbox.root).length, events.length)
}

/** Writes until the disk takes no more, whatever else is writing to it at the same time. */
function fillUp(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (let written = 0; written < 1e9;) written += writeSync(file, Buffer.alloc(256 * 1024))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}

suite('a disk that is not there', { concurrency: 2 }, () => {
  test('an emptied or replaced folder is refused at the start, and nothing is written into it', async () => {
    await using hub = await hubWith(2, 20_000)
    await using sandbox = await Sandbox.make(hub)
    assert.equal((await sandbox.run(['sync'])).code, 0)
    renameSync(sandbox.root, `${sandbox.root}-away`)
    mkdirSync(sandbox.root)

    for (const args of [['sync'], ['run'], ['list'], ['queue', 'pause']]) {
      const { code, data } = await sandbox.json(args)
      assert.deepEqual([code, data.error.code], [9, 'ARCHIVE_MISSING_MARKER'], args.join(' '))
      assert.match(`${data.error.message} ${data.error.hint}`, /mount/i)
      assert.deepEqual(readdirSync(sandbox.root), [], args.join(' '))
    }
    rmdirSync(sandbox.root)
    renameSync(`${sandbox.root}-away`, sandbox.root)
    assert.equal((await sandbox.run(['sync'])).code, 0)
    await assertSound(sandbox, 2)
  })

  test('a folder that is emptied in the middle of a sync ends it with exit 9; the empty one stays empty', async () => {
    await using hub = await hubWith(12, 600_000)
    hub.faults.add({ origin: 'cdn', slowDrip: { bytes: 20_000, everyMs: 2 } })
    await using sandbox = await Sandbox.make(hub)
    const program = sandbox.start(['sync', '--json'])
    await hub.whenRequested(({ origin }) => origin === 'cdn')
    renameSync(sandbox.root, `${sandbox.root}-away`)
    mkdirSync(sandbox.root)

    const { code, stdout } = await program.ended

    assert.equal(code, 9, stdout)
    assert.match(stdout, /ARCHIVE_MISSING_MARKER/)
    assert.deepEqual(readdirSync(sandbox.root), [])
    rmdirSync(sandbox.root)
    renameSync(`${sandbox.root}-away`, sandbox.root)
    hub.faults.clear()
    assert.equal((await sandbox.run(['sync'])).code, 0)
    await assertSound(sandbox, 12)
  })

  test('the service pauses while another folder is in the place of the archive, and goes on when it is back', async () => {
    const clock = new HurriedClock()
    await using hub = await hubWith(2, 20_000, { now: clock.now })
    await using service = await RunningService.start(hub, clock)
    await service.whenSeen('snapshot-sealed', 2)
    renameSync(service.root, `${service.root}-away`)
    mkdirSync(service.root)
    hub.world.addRepo('Qwen/Later-1B', smallModel('later'))
    const since = clock.now()

    await service.when('an hour without the disk', () => clock.now() - since > 3_600_000)
    assert.deepEqual(readdirSync(service.root), [])
    assert.ok(service.progress.waitingFor.some((reason) => /marker|archive/i.test(reason)))
    rmdirSync(service.root)
    renameSync(`${service.root}-away`, service.root)
    await service.whenSeen('snapshot-sealed', 3)

    await service.stop()
  })

  test('a disk that is unmounted under a sync is not written to any more', async (t) => {
    const disk = mountTmpfs(t, 'size=64m')
    if (disk === undefined) return
    await using hub = await hubWith(6, 600_000)
    hub.faults.add({ origin: 'cdn', slowDrip: { bytes: 20_000, everyMs: 2 } })
    await using sandbox = await Sandbox.make(hub, WATCH_QWEN.replace('reserve: 1MB', 'reserve: 0B'))
    const root = join(disk.at, 'archive')
    const program = sandbox.start(['sync', '--json', '--archive', root])
    await hub.whenRequested(({ origin }) => origin === 'cdn')
    disk.detach()

    const { code, stdout } = await program.ended

    assert.equal(code, 9, stdout)
    assert.deepEqual(readdirSync(disk.at), [])
  })
})

suite('a disk that takes no writes', { concurrency: 2 }, () => {
  test('read-only: sync is refused with exit 9, reading works, and it goes on when it is writable', async (t) => {
    const disk = mountTmpfs(t, 'size=32m')
    if (disk === undefined) return
    await using hub = await hubWith(2, 20_000)
    await using sandbox = await onDisk(hub, disk)
    assert.equal((await sandbox.run(['sync'])).code, 0)
    disk.remount('ro')

    const { code, data } = await sandbox.json(['sync'])

    assert.deepEqual([code, data.error.code], [9, 'ARCHIVE_READ_ONLY'])
    for (const args of [['list'], ['show', 'Qwen/M0-1B'], ['status'], ['verify']]) {
      const ended = await sandbox.run(args)
      assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
    }
    disk.remount('rw')
    assert.equal((await sandbox.run(['sync'])).code, 0)
    await assertSound(sandbox, 2)
  })

  test('filled up in the middle of a sync: exit 9, and one sync completes it later', async (t) => {
    const disk = mountTmpfs(t, 'size=64m')
    if (disk === undefined) return
    await using hub = await hubWith(8, 1_000_000)
    hub.faults.add({ origin: 'cdn', slowDrip: { bytes: 20_000, everyMs: 2 } })
    await using sandbox = await onDisk(hub, disk)
    const program = sandbox.start(['sync', '--json'])
    await hub.whenRequested(({ origin }) => origin === 'cdn')
    const filler = join(disk.at, 'filler')
    fillUp(filler)

    const { code, stdout } = await program.ended

    assert.equal(code, 9, stdout)
    rmSync(filler)
    hub.faults.clear()
    assert.equal((await sandbox.run(['sync'])).code, 0)
    await assertSound(sandbox, 8)
  })

  test('full: sync ends with exit 9 and says so; with more space one sync completes', async (t) => {
    const disk = mountTmpfs(t, 'size=12m')
    if (disk === undefined) return
    await using hub = await hubWith(6, 3 * MIB)
    await using sandbox = await onDisk(hub, disk)

    const full = await sandbox.run(['sync'])
    assert.equal(full.code, 9, full.stdout + full.stderr)
    assert.match(full.stdout + full.stderr, /reserve|space|full/i)
    assert.equal((await sandbox.run(['list'])).code, 0)
    assert.equal((await sandbox.run(['verify'])).code, 0)
    disk.remount('size=64m')

    const more = await sandbox.run(['sync'])

    assert.equal(more.code, 0, more.stdout + more.stderr)
    await assertSound(sandbox, 6)
  })

  test('full, also for temporary files: verify reads all and tells the damage, noted or not', async (t) => {
    const disk = mountTmpfs(t, 'size=32m')
    if (disk === undefined) return
    await using hub = await hubWith(3, 300_000)
    await using sandbox = await onDisk(hub, disk)
    assert.equal((await sandbox.run(['sync'])).code, 0)
    const [name = ''] = provenBlobs(sandbox.root)
    rmSync(join(sandbox.root, 'blobs/sha256', name.slice(0, 2), name))
    const filler = join(disk.at, 'filler')
    fillUp(filler)
    const env = { TMPDIR: disk.at }

    for (const slackKiB of [0, 48]) {
      truncateSync(filler, statSync(filler).size - slackKiB * 1024)
      const { code, stdout, stderr } = await sandbox.start(['verify'], { env }).ended
      assert.equal(code, 6, `${slackKiB} KiB: ${stdout}${stderr}`)
      assert.match(stdout, /damaged: 1 blob missing/)
      if (slackKiB === 48) assert.match(stdout, /not noted +the catalog does not know.*space/)
    }
    rmSync(filler)

    assert.equal((await sandbox.run(['verify'])).code, 6)
    assert.equal((await sandbox.run(['sync'])).code, 0)
    assert.equal((await sandbox.run(['verify'])).code, 0)
  })

  for (const slackKiB of [0, 200, 1500]) {
    test(`filled by others to ${slackKiB} KiB: whatever cannot be written, nothing is damaged`, async (t) => {
      await fillAndFree(t, slackKiB)
    })
  }

  test('the service pauses on a full disk, keeps answering, and resumes by itself when there is space', async (t) => {
    const disk = mountTmpfs(t, 'size=12m')
    if (disk === undefined) return
    const clock = new HurriedClock()
    await using hub = await hubWith(6, 3 * MIB, { now: clock.now })
    await using service = await RunningService.start(hub, clock, NO_RESERVE, disk.at)
    const since = clock.now()
    await service.when('an hour on a full disk', () => clock.now() - since > 3_600_000)
    const sealed = service.events.filter(({ type }) => type === 'snapshot-sealed').length
    assert.ok(sealed < 6)
    fillUp(join(disk.at, 'filler'))
    // The catalog's log may still have room for some writes.
    await service.whenSeen('disk-low', 2)
    const later = clock.now()
    await service.when('an hour without a byte', () => clock.now() - later > 3_600_000)

    rmSync(join(disk.at, 'filler'))
    disk.remount('size=64m')
    await service.whenSeen('snapshot-sealed', 6)
    await service.stop()

    assert.equal(provenBlobs(service.root).length, 12)
    assert.deepEqual(readdirSync(join(service.root, 'partial')), [])
    // That nothing fits, and that the disk takes no write at all, are each told once.
    const told = service.events.filter(({ type }) => type === 'disk-low').map(({ after }) => after)
    assert.deepEqual(new Set(told), new Set(['DISK_FULL', 'disk-low']))
    assert.equal(told.length, 2)
  })

  test('a disk that fills up under running downloads of the service costs none of them their turn', async (t) => {
    const disk = mountTmpfs(t, 'size=64m')
    if (disk === undefined) return
    const clock = new HurriedClock()
    await using hub = await hubWith(6, MIB, { now: clock.now })
    const slow = hub.faults.add({ origin: 'cdn', slowDrip: { bytes: 10_000, everyMs: 5 } })
    await using service = await RunningService.start(hub, clock, NO_RESERVE, disk.at)
    await service.when('downloads run', () => hub.bytesServed() > 200_000)
    const filler = join(disk.at, 'filler')
    fillUp(filler)
    const since = clock.now()
    await service.when('an hour on a full disk', () => clock.now() - since > 3_600_000)

    rmSync(filler)
    slow.remove()
    await service.whenSeen('snapshot-sealed', 6)
    await service.stop()

    assert.equal(provenBlobs(service.root).length, 12)
  })
})

function freeBytes(disk: SmallDisk): number {
  const { bavail, bsize } = statfsSync(disk.at)
  return bavail * bsize
}

/** Something else takes the disk but for a little; then it is freed. */
async function fillAndFree(t: TestContext, slackKiB: number): Promise<void> {
  const disk = mountTmpfs(t, 'size=32m')
  if (disk === undefined) return
  await using hub = await hubWith(3, 300_000)
  await using sandbox = await onDisk(hub, disk)
  assert.equal((await sandbox.run(['sync', '--check'])).code, 20)
  const filler = join(disk.at, 'filler')
  writeFileSync(filler, Buffer.alloc(Math.max(0, freeBytes(disk) - slackKiB * 1024)))

  const full = await sandbox.run(['sync'])

  assert.ok(full.code === 9 || (full.code === 0 && slackKiB >= 1500), `${full.code}: ${full.stdout}${full.stderr}`)
  for (const args of [['list'], ['show', 'Qwen/M0-1B'], ['verify']]) {
    const ended = await sandbox.run(args)
    assert.equal(ended.code, 0, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
  }
  rmSync(filler)
  const after = await sandbox.run(['sync'])
  assert.equal(after.code, 0, after.stdout + after.stderr)
  await assertSound(sandbox, 3)
}

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ArchiveError } from '../../src/domain/errors.ts'
import type { LoggedEvent } from '../../src/domain/events.ts'
import { DiskPause, isFsyncFailure, isRefusalOfDisk, isSecondFsyncFailure } from '../../src/pipeline/disk-pause.ts'
import { bindProgress } from '../../src/pipeline/run-pass.ts'
import { BALLAST_BYTES } from '../../src/store/ballast.ts'
import { generated } from '../support/content/generated.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { mountTmpfs } from '../support/mount-tmpfs.ts'
import { RunningService } from '../support/running-service.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { RepoSpec } from '../support/sim-hub/types.ts'
import { TestVault } from '../support/test-vault.ts'
import { until } from '../support/until.ts'

const MIB = 1024 * 1024
const YAML = `budget: { total: 100GB, reserve: 0B }
watch:
  - { org: Qwen, every: 1m }
`

function refusal(code: 'DISK_FULL' | 'DISK_FAILED' | 'ARCHIVE_READ_ONLY', details = {}): ArchiveError {
  return new ArchiveError(code, 'the disk refused', { details })
}

function manyFiles(count: number, bytes: number): RepoSpec {
  return {
    card: {},
    files: Array.from({ length: count }, (_, at) => ({
      path: `part-${at}.bin`,
      content: generated(`part ${at}`, bytes),
      lfs: false,
    })),
  }
}

function diskLow(events: readonly LoggedEvent[]): LoggedEvent[] {
  return events.filter((event) => event.type === 'disk-low')
}

test('a refusal is told once for a pause, and again for the next one', async () => {
  await using hub = await startSimHub()
  await using vault = await TestVault.open(hub)
  const deps = bindProgress(vault.archive, vault.progress)
  const pause = new DiskPause()

  for (let times = 0; times < 3; times += 1)
    await pause.refused('jobs', deps, refusal('DISK_FULL', { errno: 'ENOSPC' }))
  await pause.resumed('jobs', deps)
  await pause.refused('jobs', deps, refusal('DISK_FAILED', { errno: 'EMFILE' }))
  await pause.resumed('jobs', deps)
  await pause.resumed('jobs', deps)

  const told = await vault.eventsOf('disk-low')
  assert.deepEqual(
    told.map((event) => [event.after, event.severity, event.detail['errno']]),
    [
      ['DISK_FULL', 'warning', 'ENOSPC'],
      ['DISK_FAILED', 'critical', 'EMFILE'],
    ],
  )
})

test('what the catalog could not take at first is told when the disk takes work again', async () => {
  await using hub = await startSimHub()
  await using vault = await TestVault.open(hub)
  const deps = bindProgress(vault.archive, vault.progress)
  const broken = {
    ...deps,
    catalog: Object.create(deps.catalog, {
      appendEvents: { value: () => Promise.reject(refusal('ARCHIVE_READ_ONLY')) },
    }) as typeof deps.catalog,
  }
  const pause = new DiskPause()

  await pause.refused('jobs', broken, refusal('ARCHIVE_READ_ONLY', { errno: 'EROFS' }))
  assert.equal((await vault.eventsOf('disk-low')).length, 0)
  await pause.resumed('jobs', deps)

  assert.deepEqual(
    (await vault.eventsOf('disk-low')).map((event) => event.after),
    ['ARCHIVE_READ_ONLY'],
  )
})

test('one failed fsync is the fault of its file, a second within the hour that of the disk', () => {
  const failed = refusal('DISK_FAILED', { errno: 'EIO', syscall: 'fsync' })
  assert.ok(isFsyncFailure(failed))
  assert.ok(!isFsyncFailure(refusal('DISK_FULL', { errno: 'ENOSPC', syscall: 'fsync' })))
  assert.ok(!isFsyncFailure(refusal('DISK_FAILED', { errno: 'EIO', syscall: 'write' })))
  let nowMs = 0
  const deps = { blobs: {} as never, clock: { now: () => nowMs, sleep: () => Promise.resolve() } }

  assert.equal(isSecondFsyncFailure(deps), false)
  nowMs += 59 * 60_000
  assert.equal(isSecondFsyncFailure(deps), true)
  nowMs += 61 * 60_000
  assert.equal(isSecondFsyncFailure(deps), false)
})

test('our own reserve is no refusal of the disk', () => {
  assert.ok(isRefusalOfDisk(refusal('DISK_FULL', { errno: 'ENOSPC' })))
  assert.ok(!isRefusalOfDisk(refusal('DISK_FULL', { isReserve: true })))
})

test('a disk that others fill pauses the service, gives up the ballast to say so, and work goes on when there is room', async (t) => {
  const disk = mountTmpfs(t, 'size=160m')
  if (disk === undefined) return
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now })
  await using service = await RunningService.start(hub, clock, YAML, disk.at)
  const ballast = join(service.root, 'ballast.bin')
  await service.when('the ballast is there', () => existsSync(ballast) && statSync(ballast).size === BALLAST_BYTES)
  const filler = join(disk.at, 'filler')
  fill(filler)
  hub.world.addRepo('Qwen/Many-1B', manyFiles(600, 100_000))

  await service.whenSeen('disk-low')

  assert.equal(existsSync(ballast), false)
  writeFileSync(filler, '')
  disk.remount('size=400m')
  await service.whenSeen('snapshot-sealed')
  await service.when('the ballast is there again', () => existsSync(ballast))
  const [event] = diskLow(service.events)
  assert.equal(event?.after, 'DISK_FULL')
})

/** Takes all room that is left. */
function fill(path: string): void {
  const chunk = Buffer.alloc(MIB)
  try {
    for (;;) writeFileSync(path, chunk, { flag: 'a' })
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  }
}

/** Lets a folder be read only, as a file system with errors does; undo with `umount`. Says why it cannot. */
function makeReadOnly(path: string): string | undefined {
  for (const args of [
    ['--bind', path, path],
    ['-o', 'remount,bind,ro', path],
  ]) {
    const done = spawnSync('mount', args, { encoding: 'utf8' })
    if (done.status !== 0) return done.stderr || String(done.error?.message)
  }
  return undefined
}

test('a disk that turns read-only pauses the service, and work goes on when it may be written again', async (t) => {
  const clock = new HurriedClock()
  await using hub = await startSimHub({ now: clock.now })
  hub.world.addRepo('Qwen/A-1B', manyFiles(2, 1000))
  await using service = await RunningService.start(hub, clock, YAML)
  await service.whenSeen('snapshot-sealed')
  const partial = join(service.root, 'partial')
  t.after(() => spawnSync('umount', ['-l', partial]))
  const refused = makeReadOnly(partial)
  if (refused !== undefined) return t.diagnostic(`NOT TESTED: no folder can be made read-only here (${refused})`)
  hub.world.addRepo('Qwen/B-1B', manyFiles(20, 1000))
  await service.whenSeen('disk-low')

  assert.equal(spawnSync('umount', ['-l', partial]).status, 0)

  await service.whenSeen('snapshot-sealed', 2)
  assert.deepEqual(
    diskLow(service.events).map((event) => event.after),
    ['ARCHIVE_READ_ONLY'],
  )
})

test('without open files to be had nothing is lost, and the next pass goes on', async (t) => {
  // Descriptors are counted for a whole process, so this one takes them all itself.
  const limit = Number(spawnSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).stdout)
  if (!(limit <= 65_536)) return t.diagnostic(`NOT TESTED: ${limit} files may be open here`)
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Many-1B', manyFiles(50, 1000))
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  const taken: number[] = []
  const running = vault.sync()
  running.catch(() => undefined)
  await until('files are asked for', () => hub.requests.some((request) => request.path.includes('/resolve')))
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EMFILE')
  }
  await running.catch((error: unknown) => assert.ok(error instanceof ArchiveError, String(error)))
  for (const fd of taken) closeSync(fd)

  await vault.sync()

  const row = await vault.archive.catalog.repoRow({ type: 'model', name: 'Qwen/Many-1B' as never })
  assert.equal(row?.newest?.state, 'sealed')
})

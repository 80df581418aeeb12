import assert from 'node:assert/strict'
import { constants } from 'node:os'
import { test } from 'node:test'
import type { BlobStore } from '../../src/blob-port.ts'
import type { SmallContent, StoredSmall } from '../../src/intake-port.ts'
import type { Clock } from '../../src/clock-port.ts'
import { ArchiveError } from '../../src/domain/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { diskError } from '../../src/lib/fs-durable.ts'
import { DiskPause } from '../../src/pipeline/disk-pause.ts'
import { runJobLoop } from '../../src/pipeline/job-loop.ts'
import { newRun } from '../../src/pipeline/job-run.ts'
import { bindProgress } from '../../src/pipeline/run-pass.ts'
import { SmallLane } from '../../src/pipeline/small-lane.ts'
import { generated } from '../support/content/generated.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'
import { until } from '../support/until.ts'

/** How often the run of jobs looks for more while something runs. */
const LOOK_AGAIN_MS = 2000
const SIZES = { small: 1000, large: 400_000 }

const REFUSALS = {
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EROFS: 'ARCHIVE_READ_ONLY',
  EIO: 'DISK_FAILED',
  EMFILE: 'DISK_FAILED',
} as const

interface Refusal {
  readonly errno: keyof typeof REFUSALS
  readonly syscall: string
  /** How often it is met before the disk takes work again. */
  readonly times: number
}

/** A store whose disk refuses to write file contents some times. */
function refusingStore(blobs: BlobStore, { errno, syscall, times }: Refusal): BlobStore {
  let left = times
  const write = async <T>(work: () => Promise<T>): Promise<T> => {
    if (left === 0) return work()
    left -= 1
    throw diskError(
      Object.assign(new Error(`${errno}: refused`), { code: errno, errno: -constants.errno[errno], syscall }),
      'partial/x',
    )
  }
  const openPartial: BlobStore['openPartial'] = (...given) => write(() => blobs.openPartial(...given))
  const openIntake: BlobStore['openIntake'] = () => {
    const intake = blobs.openIntake()
    const storeOne = async (content: SmallContent): Promise<StoredSmall | Error> => {
      const work = async () => (await intake.store([content]))[0] ?? new Error('no result')
      // The repository has small files of its own, too.
      return content.bytes.length === SIZES.small ? write(work).catch((error: Error) => error) : work()
    }
    return {
      expect: (count) => intake.expect(count),
      take: (...given) => intake.take(...given),
      store: (contents) => Promise.all(contents.map(storeOne)),
      [Symbol.asyncDispose]: () => intake[Symbol.asyncDispose](),
    }
  }
  return withReplaced(blobs, { openPartial, openIntake })
}

function withReplaced(blobs: BlobStore, replaced: Partial<BlobStore>): BlobStore {
  return new Proxy(blobs, {
    get(target, name: keyof BlobStore) {
      const member = replaced[name] ?? target[name]
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

/** The loop of the service over one repository, until it is sealed. Returns what was told of the disk, and how often it waited. */
async function sealDespite(size: number, refusal: Refusal): Promise<{ told: string[]; waits: number }> {
  const hurried = new HurriedClock()
  const clock: Clock = {
    now: hurried.now,
    // No time passes while a job runs, however long that takes: an hour would change what an fsync means.
    sleep: (ms, signal) => (ms === LOOK_AGAIN_MS ? systemClock.sleep(2, signal) : hurried.sleep(ms, signal)),
  }
  await using hub = await startSimHub({ now: hurried.now })
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: generated('m', size), lfs: true }] })
  await using vault = await TestVault.open(hub, undefined, clock)
  await vault.sync({ checkOnly: true })
  const bound = bindProgress(vault.archive, vault.progress)
  const deps = { ...bound, blobs: refusingStore(bound.blobs, refusal) }
  const stop = new AbortController()
  const running = runJobLoop(deps, new DiskPause(), stop.signal)
  await Promise.race([
    running,
    until('the repository is sealed', async () => (await vault.eventsOf('snapshot-sealed')).length > 0),
  ])
  stop.abort()
  await assert.rejects(running, { name: 'AbortError' })
  return {
    told: (await vault.eventsOf('disk-low')).map((event) => String(event.after)),
    waits: vault.progress.waitingFor.length,
  }
}

for (const [errno, code] of Object.entries(REFUSALS) as [keyof typeof REFUSALS, string][]) {
  for (const [kind, size] of Object.entries(SIZES)) {
    test(`${errno} of a ${kind} file is a pause that is told once and ends by itself`, async () => {
      const { told, waits } = await sealDespite(size, { errno, syscall: 'write', times: 3 })

      assert.deepEqual([told, waits], [[code], 3])
    })
  }
}

for (const [kind, size] of Object.entries(SIZES)) {
  test(`one failed fsync of a ${kind} file is no pause: that file alone is fetched again`, async () => {
    const { told, waits } = await sealDespite(size, { errno: 'EIO', syscall: 'fsync', times: 1 })

    assert.deepEqual([told, waits], [[], 0])
  })

  test(`a second failed fsync of a ${kind} file within the hour is a pause that is told`, async () => {
    const { told, waits } = await sealDespite(size, { errno: 'EIO', syscall: 'fsync', times: 2 })

    assert.deepEqual([told, waits], [['DISK_FAILED'], 1])
  })
}

test('a refusal of a small file that comes while the room for more is measured holds', async (t) => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: generated('m', SIZES.small), lfs: true }] })
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  const bound = bindProgress(vault.archive, vault.progress)
  const [asked, isMounted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const assertMounted = (): Promise<void> => {
    asked.resolve()
    return isMounted.promise
  }
  const run = newRun({ ...bound, blobs: withReplaced(bound.blobs, { assertMounted }) }, undefined, t.signal)
  await using lane = new SmallLane(run)
  const refilling = lane.refill()
  await asked.promise
  const refusal = new ArchiveError('DISK_FULL', 'no space left')
  run.result.stoppedBy = refusal
  isMounted.resolve()

  assert.equal(await refilling, false)
  assert.equal(run.result.stoppedBy, refusal)
  assert.equal(run.result.fetchedFiles, 0)
})

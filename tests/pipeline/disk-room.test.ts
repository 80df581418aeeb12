import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PipelineDeps } from '../../src/pipeline/deps.ts'
import {
  limitsOf,
  measureRoom,
  refusalOf,
  takeRoom,
  unmeasuredRoom,
  type DiskRoom,
} from '../../src/pipeline/disk-room.ts'
import { ArchiveError } from '../../src/domain/errors.ts'
import type { ContentKey } from '../../src/domain/listing.ts'

interface Disk {
  nowMs: number
  blobBytes: number
  freeBytes: number
  quarantineBytes: number
  partials: ReadonlyMap<ContentKey, number>
  unwanted: readonly ContentKey[]
  isMounted: boolean
  measured: number
}

function diskOf(facts: Partial<Disk> = {}): { disk: Disk; deps: PipelineDeps } {
  const disk: Disk = {
    nowMs: 0,
    blobBytes: 0,
    freeBytes: 1e9,
    quarantineBytes: 0,
    partials: new Map(),
    unwanted: [],
    isMounted: true,
    measured: 0,
    ...facts,
  }
  const deps = {
    clock: { now: () => disk.nowMs },
    settings: { budgetBytes: 1000, reserveBytes: 100 },
    catalog: {
      totals: async () => ({ blobBytes: disk.blobBytes }),
      unwantedKeys: async () => disk.unwanted,
    },
    blobs: {
      async assertMounted() {
        disk.measured += 1
        if (!disk.isMounted) throw new ArchiveError('ARCHIVE_MISSING_MARKER', 'gone', { hint: 'mount it' })
      },
      freeBytes: async () => disk.freeBytes,
      quarantineBytes: async () => disk.quarantineBytes,
      partialSizes: async () => disk.partials,
    },
  }
  return { disk, deps: deps as unknown as PipelineDeps }
}

const [KEY, OTHER] = [keyOf('a'), keyOf('b')]
const nothing = new Map<ContentKey, number>()

function keyOf(digit: string): ContentKey {
  return `sha256-${digit.repeat(64).slice(0, 64)}` as ContentKey
}

/** What fits after a new measurement. */
async function measured(deps: PipelineDeps, running: ReadonlyMap<ContentKey, number> = nothing): Promise<DiskRoom> {
  const room = unmeasuredRoom()
  assert.equal(await measureRoom(deps, room, running), undefined)
  return room
}

test('the budget counts blobs, what runs, what is set aside, and unfinished files that nobody wants', async () => {
  const { disk, deps } = diskOf({ blobBytes: 300 })

  assert.equal(limitsOf(await measured(deps, new Map([[KEY, 100]]))).maxBytes, 600)
  disk.quarantineBytes = 50
  disk.partials = new Map([[OTHER, 30]])
  assert.equal(limitsOf(await measured(deps, new Map([[KEY, 100]]))).maxBytes, 550)
  disk.unwanted = [OTHER]
  const room = await measured(deps, new Map([[KEY, 100]]))

  assert.equal(limitsOf(room).maxBytes, 520)
  assert.equal(refusalOf(deps.settings, room, 521).code, 'BUDGET_REACHED')
})

test('the reserve is kept: bytes of running downloads are not counted twice, others not at all', async () => {
  const { disk, deps } = diskOf({ freeBytes: 250, partials: new Map([[KEY, 50]]) })

  assert.equal(limitsOf(await measured(deps, new Map([[KEY, 60]]))).maxBytes, 140)
  const idle = await measured(deps)
  assert.equal(limitsOf(idle).maxBytes, 150)
  assert.equal(limitsOf(idle).maxBytesOf.get(KEY), 200, 'of what is begun only the rest is needed')
  disk.partials = new Map([[KEY, 5000]])
  const room = await measured(deps)

  assert.equal(limitsOf(room).maxBytes, 150)
  assert.equal(refusalOf(deps.settings, room, 151).code, 'DISK_FULL')
})

test('takeRoom takes what a download still needs', async () => {
  const { deps } = diskOf({ freeBytes: 600, partials: new Map([[KEY, 50]]) })
  const room = await measured(deps)

  takeRoom(room, { key: KEY, size: 60 })
  assert.deepEqual([room.budgetLeft, room.diskLeft], [940, 490])
  takeRoom(room, { key: OTHER, size: 60 })
  assert.deepEqual([room.budgetLeft, room.diskLeft], [880, 430])
})

test('measureRoom refuses when another disk is mounted than the one that was opened', async () => {
  const { deps } = diskOf({ isMounted: false })

  assert.equal((await measureRoom(deps, unmeasuredRoom(), nothing))?.code, 'ARCHIVE_MISSING_MARKER')
})

test('measureRoom measures once a second, not for each of many small files, and when the clock was set back', async () => {
  const { disk, deps } = diskOf()
  const room = unmeasuredRoom()

  for (let at = 0; at < 50; at += 1) assert.equal(await measureRoom(deps, room, nothing), undefined)
  assert.equal(disk.measured, 1)
  for (const nowMs of [1000, -5000]) {
    disk.nowMs = nowMs
    disk.isMounted = false
    assert.equal((await measureRoom(deps, room, nothing))?.code, 'ARCHIVE_MISSING_MARKER')
    disk.isMounted = true
    assert.equal(await measureRoom(deps, room, nothing), undefined)
  }
})

test('of what is downloaded now the disk is asked only where it matters: for large contents', async () => {
  const { disk, deps } = diskOf()
  const asked: (boolean | undefined)[] = []
  const blobs = {
    ...deps.blobs,
    partialSizes: async (isLeftOut?: (key: ContentKey) => boolean) => {
      asked.push(isLeftOut?.(KEY), isLeftOut?.(OTHER), isLeftOut?.(keyOf('c')))
      return disk.partials
    },
  }
  const running = new Map([
    [KEY, 256 * 1024],
    [OTHER, 256 * 1024 + 1],
  ])

  await measured({ ...deps, blobs }, running)

  assert.deepEqual(asked, [true, false, false])
})

test('of many unfinished files the largest are looked at one by one, as a lease does', async () => {
  const keys = Array.from({ length: 300 }, (_, index) => keyOf(index.toString(16).padStart(3, '0')))
  const partials = new Map(keys.map((key, index) => [key, 1 + index]))
  const { deps } = diskOf({ freeBytes: 150, partials })

  const { maxBytesOf } = limitsOf(await measured(deps))

  assert.deepEqual([...maxBytesOf.keys()].toSorted(), keys.slice(200).toSorted())
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PipelineDeps } from '../../src/pipeline/deps.ts'
import { takeRoom, unmeasuredRoom } from '../../src/pipeline/disk-room.ts'
import { ArchiveError } from '../../src/domain/errors.ts'

interface Disk {
  nowMs: number
  blobBytes: number
  freeBytes: number
  partialBytes: number
  isMounted: boolean
  measured: number
}

function diskOf(facts: Partial<Disk> = {}): { disk: Disk; deps: PipelineDeps } {
  const disk = { nowMs: 0, blobBytes: 0, freeBytes: 1e9, partialBytes: 0, isMounted: true, measured: 0, ...facts }
  const deps = {
    clock: { now: () => disk.nowMs },
    settings: { budgetBytes: 1000, reserveBytes: 100 },
    catalog: { totals: async () => ({ blobBytes: disk.blobBytes }) },
    blobs: {
      async assertMounted() {
        disk.measured += 1
        if (!disk.isMounted) throw new ArchiveError('ARCHIVE_MISSING_MARKER', 'gone', { hint: 'mount it' })
      },
      freeBytes: async () => disk.freeBytes,
      partialBytes: async () => disk.partialBytes,
    },
  }
  return { disk, deps: deps as unknown as PipelineDeps }
}

test('takeRoom refuses what the budget does not take, counting what runs and what was admitted since', async () => {
  const { disk, deps } = diskOf({ blobBytes: 300 })
  const room = unmeasuredRoom()

  assert.equal(await takeRoom(deps, room, 400, 100), undefined)
  disk.blobBytes = 350
  const refused = await takeRoom(deps, room, 300, 500)

  assert.equal(refused?.code, 'BUDGET_REACHED')
})

test('takeRoom refuses what would touch the reserve; bytes of running downloads are not counted twice', async () => {
  const { deps } = diskOf({ freeBytes: 250, partialBytes: 50 })

  assert.equal((await takeRoom(deps, unmeasuredRoom(), 151, 50))?.code, 'DISK_FULL')
  assert.equal(await takeRoom(deps, unmeasuredRoom(), 150, 50), undefined)
})

test('takeRoom refuses when another disk is mounted than the one that was opened', async () => {
  const { deps } = diskOf({ isMounted: false })

  assert.equal((await takeRoom(deps, unmeasuredRoom(), 1, 0))?.code, 'ARCHIVE_MISSING_MARKER')
})

test('takeRoom measures once a second, not for each of many small files', async () => {
  const { disk, deps } = diskOf()
  const room = unmeasuredRoom()

  for (let at = 0; at < 50; at += 1) assert.equal(await takeRoom(deps, room, 10, at * 10), undefined)
  assert.equal(disk.measured, 1)
  disk.nowMs = 1000
  disk.isMounted = false

  assert.equal((await takeRoom(deps, room, 10, 0))?.code, 'ARCHIVE_MISSING_MARKER')
})

test('takeRoom measures again before it refuses, and when the clock was set back', async () => {
  const { disk, deps } = diskOf({ blobBytes: 900 })
  const room = unmeasuredRoom()

  assert.equal((await takeRoom(deps, room, 200, 0))?.code, 'BUDGET_REACHED')
  disk.blobBytes = 0
  assert.equal(await takeRoom(deps, room, 200, 0), undefined)
  disk.nowMs = -5000
  disk.isMounted = false

  assert.equal((await takeRoom(deps, room, 1, 0))?.code, 'ARCHIVE_MISSING_MARKER')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assert as check, boolean, nat, property, tuple } from 'fast-check'
import { MemoryArena, type ArenaRange } from '../../src/store/memory-arena.ts'

const BYTES = 64 * 4096

test('ranges that are in use never share a byte, and everything freed can be used again', () => {
  check(
    property(array(tuple(nat(40_000), boolean()), { maxLength: 200 }), (steps) => {
      const arena = new MemoryArena(BYTES)
      const used: ArenaRange[] = []
      for (const [length, frees] of steps) {
        const oldest = frees ? used.shift() : undefined
        if (oldest !== undefined) arena.free(oldest)
        const range = arena.allocate(length)
        if (range === undefined) continue
        const end = range.offset + Math.max(1, length)
        assert.ok(end <= BYTES)
        assert.ok(
          used.every((other) => end <= other.offset || range.offset >= other.offset + Math.max(1, other.length)),
        )
        used.push(range)
      }
      for (const range of used) arena.free(range)
      assert.ok(arena.allocate(BYTES), 'all of it is free again')
    }),
  )
})

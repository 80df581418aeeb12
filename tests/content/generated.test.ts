import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Content } from '../support/content/content.ts'
import { gitOidOf, lfsPointer, sha256Of } from '../support/content/digests.ts'
import { generated, joined, literal } from '../support/content/generated.ts'

const MIB = 1 << 20

function whole(content: Content): Buffer {
  return Buffer.from(content.read(0, content.size))
}

test('generated refuses a size that is no exact byte count', () => {
  for (const size of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => generated('a', size), RangeError)
})

test('generated, literal and joined refuse a read outside the file', () => {
  const files = [generated('a', 10), literal('0123456789'), joined([literal('01234'), generated('a', 5)])]

  for (const file of files) {
    for (const [offset, length] of [
      [0, 11],
      [10, 1],
      [-1, 2],
      [0.5, 1],
      [2, -1],
    ] as const) {
      assert.throws(() => file.read(offset, length), RangeError)
    }
    assert.equal(file.read(10, 0).length, 0)
  }
})

test('generated gives the same bytes for the same seed, whatever the order and size of the reads', () => {
  const size = 3 * MIB + 12_345
  const expected = whole(generated('seed', size))

  const again = generated('seed', size)
  const offsets = [2 * MIB - 3, 65_536 - 8, 65_536 + 7, 0, 1, MIB, size - 1]

  for (const offset of offsets) {
    for (const length of [1, 15, 70_000, MIB + 1]) {
      const take = Math.min(length, size - offset)
      assert.ok(expected.subarray(offset, offset + take).equals(again.read(offset, take)), `${offset}+${take}`)
    }
  }
})

test('generated never changes: stored digests depend on these bytes', () => {
  assert.equal(
    sha256Of(generated('weightvault', MIB + 5)),
    '4a238a2c349ed8f4086ebc3e9c867ac831702445dd409003cf8f31bdddb56ca4',
  )
})

test('generated repeats no 64 KiB block and shares nearly no byte with another seed', () => {
  const size = 8 * MIB
  const seen = new Set<string>()
  for (const seed of ['a', 'b', 7]) {
    const bytes = whole(generated(seed, size))
    for (let at = 0; at < size; at += 65_536) {
      seen.add(
        createHash('sha1')
          .update(bytes.subarray(at, at + 65_536))
          .digest('hex'),
      )
    }
  }
  assert.equal(seen.size, (3 * size) / 65_536)

  const [a, b] = [whole(generated('a', 60_000)), whole(generated('b', 60_000))]
  const equal = a.filter((byte, index) => byte === b[index]).length
  assert.ok(equal < 1_000, `${equal} of 60000 bytes are equal`)
})

test('generated keeps an earlier read valid after a later one', () => {
  const file = generated('seed', 2 * MIB)
  const first = file.read(0, 1000)
  const copy = Buffer.from(first)

  file.read(MIB, 1000)

  assert.ok(copy.equals(first))
})

test('generated reads far beyond 4 GiB', () => {
  const file = generated('big', 5e12)

  const [near, far] = [file.read(0, 65_536), file.read(4e12 - (4e12 % 65_536), 65_536)]

  assert.notDeepEqual(Buffer.from(near), Buffer.from(far))
})

test('joined reads across the borders of its parts', () => {
  const parts = [literal('head'), generated('x', 100_000), literal(''), literal('tail')]
  const expected = Buffer.concat(parts.map(whole))

  const file = joined(parts)

  assert.ok(expected.equals(file.read(0, file.size)))
  assert.ok(expected.subarray(2, 100_006).equals(file.read(2, 100_004)))
  assert.equal(Buffer.from(file.read(file.size - 4, 4)).toString(), 'tail')
})

test('joined is not misled by a part that reuses its buffer', () => {
  const buffer = Buffer.alloc(2)
  const reusing: Content = { size: 4, read: (offset, length) => buffer.fill(48 + offset).subarray(0, length) }

  const bytes = joined([literal('a'), reusing, literal('b'), reusing]).read(3, 4)

  assert.equal(Buffer.from(bytes).toString(), '22b0')
})

test('sha256Of, gitOidOf and lfsPointer give published values', () => {
  assert.equal(sha256Of(literal('')), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  assert.equal(gitOidOf(literal('')), 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391')
  // openai-community/gpt2 model.safetensors as the Hub lists it.
  const sha256 = '248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707'
  assert.equal(lfsPointer(sha256, 548_105_171).length, 134)
  assert.equal(gitOidOf(literal(lfsPointer(sha256, 548_105_171))), '44b36d6e32d13c8fb28b0feab0ac8bfefa7efeda')
})

test('sha256Of streams: a file of several chunks hashes like its bytes', () => {
  const file = generated('chunks', 2 * MIB + 3)

  assert.equal(sha256Of(file), createHash('sha256').update(whole(file)).digest('hex'))
})

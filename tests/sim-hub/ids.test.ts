import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { generated } from '../support/sim-hub/generated.ts'
import { gitBlobId, gitBlobIdOf, lfsPointerText, sha256Of } from '../support/sim-hub/git-ids.ts'
import { fileIds, storeFile } from '../support/sim-hub/stored-file.ts'

/** Real tree entries: pointer oid, SHA-256, size, pointer size. */
const REAL_ENTRIES = [
  [
    '24d611671cc195518e373e5d9255f60505ba71f0',
    'c6ee154714f28ac46cbb60b29b62376d1f1ee9a515c9dd878f2ccbe0209ea295',
    35752119320,
    136,
  ],
  [
    '67741b04f23bfdb46501f748ce27865ec82eccfb',
    '87a7830d63fcf43bf241c3c5242e96e62dd3fdc29224ca26fed8ea333db72de4',
    19989343,
    133,
  ],
  [
    '61c7352ebef8c1885f7f893d74e5afb7871988c9',
    'adee7bcb930aed22e0677e58d4873b48dadb1ed8001cb5c6a0487286eadb3478',
    3996199712,
    135,
  ],
  [
    'e663c1e26c3e19799a7a7383ce2ea9de194fb115',
    '322e194ff79741c7baa497c240f677f54b201b0efab44ca8e50f122b39123482',
    16464440224,
    136,
  ],
  [
    'dfcd6f97b641f0447db5697eca1f4e227c84449c',
    'db6f444b43d318c92f360a13a25561a6a65b10c0631b8ed305a426dbaa6c380e',
    5276436216,
    135,
  ],
] as const

test('lfsPointerText gives the oids and pointer sizes of real tree entries', () => {
  for (const [oid, sha256, size, pointerSize] of REAL_ENTRIES) {
    const pointer = Buffer.from(lfsPointerText(sha256, size))

    assert.equal(pointer.length, pointerSize)
    assert.equal(gitBlobId(pointer), oid)
  }
})

test('gitBlobId is what git computes', () => {
  assert.equal(gitBlobId(Buffer.alloc(0)), 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391')
  assert.equal(gitBlobId(Buffer.from('hello\n')), 'ce013625030ba8dba906f756967f9e9ca394464a')
})

test('generated is the same bytes at any offset, other bytes for another seed, and no two blocks alike', async () => {
  const size = 3 * 1024 * 1024 + 17
  const whole = Buffer.from(generated(7, size).read(0, size))

  for (const [offset, length] of [
    [0, 9],
    [1024 * 1024 - 3, 7],
    [5, 2 * 1024 * 1024],
    [size - 1, 1],
  ] as const) {
    assert.deepEqual(Buffer.from(generated(7, size).read(offset, length)), whole.subarray(offset, offset + length))
  }
  const block = (index: number) => whole.subarray(index * 1024 * 1024, (index + 1) * 1024 * 1024)
  assert.notDeepEqual(block(0), block(1))
  assert.notDeepEqual(Buffer.from(generated(8, 64).read(0, 64)), whole.subarray(0, 64))
  assert.throws(() => generated(7, size).read(size - 1, 2), RangeError)
  assert.equal(await sha256Of(generated(7, size)), createHash('sha256').update(whole).digest('hex'))
  assert.equal(await gitBlobIdOf(generated(7, size)), gitBlobId(whole))
})

test('storeFile decides by size and name what is LFS, and an empty file never is', async () => {
  const isLfs = (path: string, size: number) => storeFile({ path, content: generated(1, size) }).isLfs

  assert.equal(isLfs('model.safetensors', 1), true)
  assert.equal(isLfs('sub/x-Q8_0.GGUF', 1), true)
  assert.equal(isLfs('tokenizer.json', 1), true)
  assert.equal(isLfs('my-tokenizer.json', 1), false)
  assert.equal(isLfs('vocab.json', 10 * 1024 * 1024 - 1), false)
  assert.equal(isLfs('vocab.json', 10 * 1024 * 1024), true)
  assert.equal(isLfs('model.safetensors', 0), false)
  assert.equal(storeFile({ path: 'config.json', content: '{}', lfs: true }).isLfs, true)
  const trusted = await fileIds(storeFile({ path: 'a.gguf', content: generated(1, 4e14), sha256: 'a'.repeat(64) }))
  assert.equal(trusted.lfs?.sha256, 'a'.repeat(64))
})

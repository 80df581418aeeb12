import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { parseBlockChecks, printBlockChecks, writeBlockChecks } from '../../src/store/block-checks.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { makeStore, PIECE_BYTES, temporaryFolder } from './store-fixture.ts'

const { sha256 } = digestsOf(Buffer.from('some blob'))
const CHECKS = { size: 2500, blockBytes: 1000, crcs: Uint32Array.of(0, 0xffffffff, 0x00c0ffee) }

test('block checks are read as they were written', async (t) => {
  const { store, layout } = await makeStore(t)

  assert.equal(await store.blockChecks(sha256), undefined)
  await writeBlockChecks(layout, sha256, CHECKS)
  await writeBlockChecks(layout, sha256, CHECKS)

  assert.deepEqual(await store.blockChecks(sha256), CHECKS)
})

for (const method of ['hardlink', 'copy'] as const) {
  test(`what is taken in by ${method} has the checks of its blocks`, async (t) => {
    const { store } = await makeStore(t)
    const bytes = randomBytes(300 * PIECE_BYTES + 4321)
    const found = join(temporaryFolder(t), 'found.safetensors')
    writeFileSync(found, bytes)
    const digests = { ...digestsOf(bytes), gitOid: undefined }

    assert.equal(await store.takeIn(found, digests, method, t.signal), method)

    const crcs = Array.from({ length: 301 }, (_, at) => crc32(bytes.subarray(at * PIECE_BYTES, (at + 1) * PIECE_BYTES)))
    const checks = await store.blockChecks(digests.sha256)
    assert.deepEqual(checks, { size: bytes.length, blockBytes: PIECE_BYTES, crcs: Uint32Array.from(crcs) })
  })
}

test('the checks of a blob are there before its name is', async (t) => {
  const { store, layout } = await makeStore(t)
  const bytes = randomBytes(PIECE_BYTES + 1)
  await using partial = await store.openPartial(keyOf(bytes), bytes.length, t.signal)
  await partial.append(bytes, t.signal)
  const digests = await partial.finish(t.signal)
  mkdirSync(layout.blob(digests.sha256), { recursive: true })

  await assert.rejects(store.publish(keyOf(bytes), digests, t.signal), { code: 'FIXITY_FAILED' })

  assert.equal((await store.blockChecks(digests.sha256))?.crcs.length, 2)
})

test('writeBlockChecks that fails leaves nothing behind', async (t) => {
  const { layout } = await makeStore(t)
  mkdirSync(layout.blockChecks(sha256), { recursive: true })

  await assert.rejects(writeBlockChecks(layout, sha256, CHECKS), { code: 'EISDIR' })

  assert.deepEqual(readdirSync(layout.partial), [])
})

test('parseBlockChecks believes nothing that is torn, changed or of another blob', async (t) => {
  const text = printBlockChecks(sha256, CHECKS)
  const other = digestsOf(Buffer.from('another')).sha256
  const lies = [
    '',
    text.slice(0, -1),
    text.slice(0, text.indexOf('end')),
    text.replace('ffffffff', 'fffffffe'),
    text.replace(' 2500 ', ' 3500 '),
    text.replace(' 1000\n', ' 0\n'),
    text.replace('00000000\n', ''),
    printBlockChecks(sha256, { ...CHECKS, size: 3001 }),
    `${text}\n`,
  ]

  for (const lie of lies) assert.equal(parseBlockChecks(lie, sha256), undefined, lie)
  assert.equal(parseBlockChecks(text, other), undefined)
  assert.deepEqual(parseBlockChecks(text, sha256), CHECKS)

  const { store, layout } = await makeStore(t)
  mkdirSync(dirname(layout.blockChecks(sha256)), { recursive: true })
  writeFileSync(layout.blockChecks(sha256), text.slice(0, -3))
  assert.equal(await store.blockChecks(sha256), undefined)
})

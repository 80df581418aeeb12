import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { parseBlockChecks, printBlockChecks, writeBlockChecks } from '../../src/store/block-checks.ts'
import { digestsOf } from '../contracts/blob-digests.ts'
import { makeStore } from './store-fixture.ts'

const { sha256 } = digestsOf(Buffer.from('some blob'))
const CHECKS = { size: 2500, blockBytes: 1000, crcs: Uint32Array.of(0, 0xffffffff, 0x00c0ffee) }

test('block checks are read as they were written', async (t) => {
  const { store, layout } = await makeStore(t)

  assert.equal(await store.blockChecks(sha256), undefined)
  await writeBlockChecks(layout, sha256, CHECKS)
  await writeBlockChecks(layout, sha256, CHECKS)

  assert.deepEqual(await store.blockChecks(sha256), CHECKS)
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

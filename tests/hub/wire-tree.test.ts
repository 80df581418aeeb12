import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeTreeEntry } from '../../src/hub/wire-tree.ts'

const OID = '61c7352ebef8c1885f7f893d74e5afb7871988c9'
const SHA = 'adee7bcb930aed22e0677e58d4873b48dadb1ed8001cb5c6a0487286eadb3478'
const LFS = {
  type: 'file',
  path: 'a.bin',
  oid: OID,
  size: 9,
  lfs: { oid: SHA, size: 9, pointerSize: 135 },
  xetHash: SHA,
}

function kind(change: Record<string, unknown>): string {
  return decodeTreeEntry({ ...LFS, ...change }).kind
}

function file(change: Record<string, unknown>) {
  const entry = decodeTreeEntry({ ...LFS, ...change })
  if (entry.kind !== 'file') throw new Error(JSON.stringify(entry))
  return entry.file
}

test('decodeTreeEntry refuses sizes that are not exact', () => {
  const sizes = JSON.parse('[9007199254740993,1e400,-1,1.5,"123",null]') as unknown[]

  for (const size of [...sizes, undefined]) {
    assert.equal(kind({ size, lfs: undefined }), 'refused', String(size))
    assert.equal(kind({ lfs: { oid: SHA, size } }), 'refused', String(size))
  }
  assert.equal(file({ size: 0, lfs: undefined }).size, 0)
})

test('decodeTreeEntry refuses an LFS size that differs from the size', () => {
  assert.equal(kind({ lfs: { oid: SHA, size: 8 } }), 'refused')
  assert.equal(kind({ lfs: 'yes' }), 'refused')
})

test('decodeTreeEntry refuses malformed digests', () => {
  for (const oid of [SHA.slice(1), `${SHA}0`, SHA.toUpperCase(), '../../../etc/x', `${SHA}\n`, 7, {}]) {
    assert.equal(kind({ lfs: { oid, size: 9 } }), 'refused', JSON.stringify(oid))
  }
  for (const oid of [OID.slice(1), `${OID}0`, OID.toUpperCase(), 'main', 7]) {
    assert.equal(kind({ oid }), 'refused', JSON.stringify(oid))
  }
})

test('decodeTreeEntry keeps a withheld digest as unknown', () => {
  const redacted = file({ lfs: { oid: '*'.repeat(64), size: 9 } })

  assert.deepEqual([redacted.isLfs, redacted.lfsOid], [true, undefined])
  assert.equal(file({ oid: '*'.repeat(40) }).gitOid, undefined)
  assert.equal(file({ oid: undefined, lfs: undefined }).gitOid, undefined)
  assert.equal(file({ lfs: { oid: '0'.repeat(64), size: 9 } }).lfsOid, '0'.repeat(64))
})

test('decodeTreeEntry refuses what is no file, naming it', () => {
  for (const type of ['submodule', 'symlink', 'commit', undefined, 7, '__proto__']) {
    assert.equal(kind({ type }), 'refused', String(type))
  }
  for (const value of [null, 'a', 7, []]) assert.equal(decodeTreeEntry(value).kind, 'refused')
  assert.equal(kind({ type: 'directory' }), 'folder')
})

test('decodeTreeEntry refuses what is no path, and bounds what it repeats of it', () => {
  for (const path of ['', '.', '..', 'a//b', 'a/./b', 'a/', './a', undefined, 7]) {
    assert.equal(kind({ path }), 'refused', String(path))
  }
  const long = decodeTreeEntry({ ...LFS, path: 'x'.repeat(1_000_000) })
  assert.equal(long.kind === 'refused' ? long.entry.path.length : 0, 500)
})

test('decodeTreeEntry keeps hostile names byte for byte', () => {
  const names = ['../../../etc/passwd', '/etc/cron.d/x', 'C:\\Windows', 'a\u0000b', '\ud800.bin', '__proto__', 'CON']

  for (const path of names) assert.equal(file({ path }).path, path)
})

test('decodeTreeEntry records the Xet hash only when it is one', () => {
  assert.equal(file({}).xetHash, SHA)
  for (const xetHash of ['x', SHA.toUpperCase(), 7, null]) assert.equal(file({ xetHash }).xetHash, undefined)
})

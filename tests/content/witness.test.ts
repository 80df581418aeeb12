import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { z } from 'zod'
import { witnessFiles, witnessText } from '../../scripts/make-witness.ts'
import type { WitnessFile } from '../../scripts/make-witness.ts'
import { gitOidOf, lfsPointer, sha256Of } from '../support/content/digests.ts'
import { fixtureBytes, fixtureRows, fixtureText } from '../support/content/fixture-file.ts'
import { literal } from '../support/content/generated.ts'
import { QWEN3_COMMIT, QWEN3_REPO, qwen3Files } from '../support/content/qwen3-revision.ts'

const MANIFESTS = new URL('../../manifests/', import.meta.url)

function jsonOf(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, MANIFESTS), 'utf8'))
}

function published(): WitnessFile[] {
  return (jsonOf('witness.json') as { files: WitnessFile[] }).files
}

test('witness.schema.json refuses what is no witness file', () => {
  const schema = z.fromJSONSchema(jsonOf('witness.schema.json') as z.core.JSONSchema.JSONSchema)
  const good = { repo: 'Qwen/Qwen3-0.6B', path: 'LICENSE', sha256: 'a'.repeat(64), source: 'somewhere' }
  const isValid = (file: Record<string, unknown>) =>
    schema.safeParse({ format: 'weightvault-witness/1', files: [file] }).success

  assert.ok(isValid(good))
  assert.ok(isValid({ ...good, size: 0, revision: 'b'.repeat(40) }))
  for (const wrong of [
    { sha256: 'A'.repeat(64) },
    { sha256: 'a'.repeat(63) },
    { revision: 'main' },
    { size: -1 },
    { size: 1.5 },
    { size: '5' },
    { repo: 'Qwen' },
    { repo: '../x' },
    { path: '' },
    { source: '' },
    { etag: 'x' },
  ]) {
    assert.ok(!isValid({ ...good, ...wrong }), JSON.stringify(wrong))
  }
  for (const key of Object.keys(good)) {
    const without = Object.fromEntries(Object.entries(good).filter(([name]) => name !== key))
    assert.ok(!isValid(without), `without ${key}`)
  }
  assert.ok(!schema.safeParse({ format: 'weightvault-witness/2', files: [] }).success)
})

test('witness.json follows its schema and is what scripts/make-witness.ts writes', () => {
  const schema = z.fromJSONSchema(jsonOf('witness.schema.json') as z.core.JSONSchema.JSONSchema)

  const result = schema.safeParse(jsonOf('witness.json'))

  assert.deepEqual(result.error?.issues.slice(0, 3) ?? [], [])
  assert.equal(readFileSync(new URL('witness.json', MANIFESTS), 'utf8'), witnessText(witnessFiles()))
})

test('witness.json contradicts itself nowhere: one digest a file and commit, one size a digest', () => {
  const digests = new Map<string, string>()
  const sizes = new Map<string, number>()
  for (const { repo, path, revision, sha256, size } of published()) {
    const key = `${repo} ${path} ${revision ?? 'any'}`
    assert.ok(!digests.has(key), `${key} is listed twice`)
    digests.set(key, sha256)
    if (size === undefined) continue
    assert.equal(sizes.get(sha256) ?? size, size, `${sha256} has two sizes`)
    sizes.set(sha256, size)
  }
})

test('witness.json is sorted, one entry a line, and holds every source', () => {
  const files = published()
  const lines = readFileSync(new URL('witness.json', MANIFESTS), 'utf8').split('\n')

  const keys = files.map((file) => `${file.repo}\0${file.path}\0${file.revision ?? ''}`)
  assert.ok(keys.every((key, index) => index === 0 || (keys[index - 1] ?? '') < key))
  assert.equal(lines.filter((line) => line.includes('"sha256":')).length, files.length)
  const has = (repo: string, path: string) => files.some((file) => file.repo === repo && file.path === path)
  assert.ok(has('Qwen/Qwen3.5-9B', 'model.safetensors-00004-of-00004.safetensors'))
  assert.ok(has('Qwen/Qwen3-Embedding-4B-GGUF', 'Qwen3-Embedding-4B-Q4_K_M.gguf'))
  assert.ok(has('unsloth/Qwen3.5-9B-GGUF', 'Qwen3.5-9B-Q4_K_M.gguf'))
  assert.ok(has('Qwen/Qwen-7B', 'LICENSE'))
  assert.ok(has(QWEN3_REPO, 'model.safetensors'))
  assert.ok(files.length > 300)
})

test('the rebuilt files of Qwen/Qwen3-0.6B equal their witness', () => {
  const witnesses = new Map(
    published()
      .filter((file) => file.repo === QWEN3_REPO && file.revision === QWEN3_COMMIT)
      .map((file) => [file.path, file]),
  )

  for (const [path, content] of qwen3Files()) {
    const witness = witnesses.get(path)
    assert.equal(witness?.sha256, sha256Of(content), path)
    assert.equal(witness?.size, content.size, path)
  }
  assert.equal(qwen3Files().size, 8)
})

test('the recorded pointer ids of LFS files follow from their recorded SHA-256 and size', () => {
  let checked = 0
  for (const row of fixtureRows('qwen/qwen-files.csv')) {
    const [sha256, size, gitOid] = [row.get('sha256'), Number(row.get('size')), row.get('git_oid')]
    if (row.get('is_lfs') !== '1' || !sha256 || !size || !gitOid) continue
    assert.equal(gitOidOf(literal(lfsPointer(sha256, size))), gitOid, `${row.get('repo_id')} ${row.get('path')}`)
    checked += 1
  }
  assert.ok(checked > 100, `${checked} files`)
})

test('the licence texts in tests/fixtures have the digests their facts name', () => {
  const facts = JSON.parse(fixtureText('licenses.json')) as { texts: { file: string | null; sha256: string }[] }

  const held = facts.texts.filter((text) => text.file !== null)
  for (const { file, sha256 } of held) assert.equal(sha256Of(literal(fixtureBytes(file ?? ''))), sha256, file ?? '')
  assert.equal(held.length, 6)
})

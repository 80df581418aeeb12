import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { exampleFiles } from '../../scripts/make-example.ts'
import type { CommitId } from '../../src/domain/digest.ts'
import { DECISION_REASONS } from '../../src/domain/decision.ts'
import { printListing } from '../../src/domain/listing.ts'
import { ATTESTORS, printManifest } from '../../src/domain/manifest.ts'
import { GATE_VALUES, REPO_TYPES } from '../../src/domain/repo.ts'
import { readMarker } from '../../src/store/marker.ts'
import { createRecordStore } from '../../src/store/record-store.ts'
import { gitFile, lfsFile, listing, manifest, manifestFile, model } from '../domain/builders.ts'
import { QWEN3_COMMIT } from '../support/content/qwen3-revision.ts'

const MANIFESTS = fileURLToPath(new URL('../../manifests/', import.meta.url))
const EXAMPLE = join(MANIFESTS, 'example')

type Json = Record<string, unknown>

function readJson(path: string): Json {
  return JSON.parse(readFileSync(join(MANIFESTS, path), 'utf8')) as Json
}

function validatorOf(name: 'listing' | 'manifest' | 'archive') {
  const schema = z.fromJSONSchema(readJson(`${name}.v1.schema.json`))
  return (value: unknown): string => schema.safeParse(value).error?.message ?? ''
}

/** A copy with one field set; the path is dotted, and `undefined` removes the field. */
function withField(value: unknown, path: string, field: unknown): unknown {
  const copy = JSON.parse(JSON.stringify(value)) as Json
  const keys = path.split('.')
  const last = keys.pop() ?? ''
  const target = keys.reduce<Json>((at, key) => at[key] as Json, copy)
  if (field === undefined) delete target[last]
  else target[last] = field
  return copy
}

test('listing.v1.schema.json refuses what is no listing', () => {
  const problem = validatorOf('listing')
  const good = JSON.parse(
    printListing(listing([gitFile('a'), lfsFile('m.gguf')], { refused: [{ path: '', reason: 'x' }] })),
  )

  assert.equal(problem(good), '')
  for (const [path, value] of [
    ['format', 'weightvault-listing/2'],
    ['commit', 'main'],
    ['repo.name', '../x'],
    ['repo.hubId', 'A'.repeat(24)],
    ['repo.type', 'bucket'],
    ['gated', true],
    ['observedAt', 'yesterday'],
    ['files.0.size', -1],
    ['files.0.size', 1.5],
    ['files.0.size', '5'],
    ['files.0.gitOid', '*'.repeat(40)],
    ['files.0.isLfs', undefined],
    ['files.1.lfsOid', null],
    ['refused', undefined],
  ] as const) {
    assert.notEqual(problem(withField(good, path, value)), '', `${path} = ${JSON.stringify(value)}`)
  }
  assert.equal(problem(withField(good, 'laterField', 1)), '')
})

test('manifest.v1.schema.json refuses what is no manifest, above all a held file without a digest', () => {
  const problem = validatorOf('manifest')
  const good = JSON.parse(
    printManifest(manifest([manifestFile('a'), manifestFile('b', { held: false, sha256: null, attestedBy: [] })])),
  )

  assert.equal(problem(good), '')
  for (const [path, value] of [
    ['files.0.sha256', null],
    ['files.0.sha256', 'a'.repeat(63)],
    ['files.0.attestedBy', ['me']],
    ['files.0.held', 'yes'],
    ['files.0.reason', 'because'],
    ['files.1.attestedBy', ['witness']],
    ['files.1.gitOid', undefined],
    ['revision', 0],
    ['coverage', 'most'],
    ['listingSha256', undefined],
    ['sealedAt', 1],
  ] as const) {
    assert.notEqual(problem(withField(good, path, value)), '', `${path} = ${JSON.stringify(value)}`)
  }
  assert.equal(problem(withField(good, 'files.0.laterField', 1)), '')
})

test('archive.v1.schema.json refuses what is no marker', () => {
  const problem = validatorOf('archive')
  const good = readJson('example/weightvault.json')

  assert.equal(problem(good), '')
  for (const [path, value] of [
    ['format', 'weightvault-archive/2'],
    ['archiveId', 'x'],
    ['archiveId', undefined],
    ['createdAt', ''],
  ] as const) {
    assert.notEqual(problem(withField(good, path, value)), '', path)
  }
})

test('the schemas know the words of the code', () => {
  const words = (schema: Json): string => JSON.stringify(schema)
  const enumOf = (values: readonly unknown[]): string => `"enum":${JSON.stringify(values)}`

  assert.ok(words(readJson('manifest.v1.schema.json')).includes(enumOf(DECISION_REASONS)))
  assert.ok(words(readJson('manifest.v1.schema.json')).includes(enumOf(ATTESTORS)))
  assert.ok(words(readJson('listing.v1.schema.json')).includes(enumOf(GATE_VALUES)))
  assert.ok(words(readJson('listing.v1.schema.json')).includes(enumOf(REPO_TYPES)))
})

test('manifests/example is what scripts/make-example.ts writes, and nothing else', () => {
  const written = exampleFiles()

  const found = globSync('**/*', { cwd: EXAMPLE, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(EXAMPLE.length + 1))
  assert.deepEqual(found.sort(), [...written.keys()].sort())
  for (const [path, bytes] of written) assert.ok(readFileSync(join(EXAMPLE, path)).equals(bytes), path)
})

test('manifests/example is an archive that the program, the schemas and sha256sum accept', async () => {
  const { name } = model('Qwen/Qwen3-0.6B')
  const id = QWEN3_COMMIT as CommitId
  const records = createRecordStore({ root: EXAMPLE })

  const stored = await records.readListing(name, id)
  const sealed = await records.readManifest(name, id)

  assert.equal((await readMarker(EXAMPLE)).formatVersion, 1)
  assert.equal(stored?.sha256, sealed?.listingSha256)
  assert.equal(stored?.listing.files.length, sealed?.files.length)
  assert.equal(validatorOf('listing')(readJson(`example/listings/${name}/${id}.json`)), '')
  assert.equal(validatorOf('manifest')(readJson(`example/manifests/${name}/${id}.json`)), '')
  const held = sealed?.files.filter((file) => file.held) ?? []
  assert.equal(held.length, 4)
  for (const { sha256, size } of held) {
    const bytes = readFileSync(join(EXAMPLE, 'blobs/sha256', sha256?.slice(0, 2) ?? '', sha256 ?? ''))
    assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256)
    assert.equal(bytes.length, size)
  }
  const sums = `../manifests/${name}/${id}.sha256`
  const checked = execFileSync('sha256sum', ['-c', '--strict', sums], { cwd: join(EXAMPLE, 'files') }).toString()
  assert.equal(checked.match(/: OK$/gm)?.length, held.length)
})

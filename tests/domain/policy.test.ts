import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { KeepPolicy } from '../../src/domain/decision.ts'
import type { Sibling } from '../../src/domain/listing.ts'
import { decideFiles, policyKeyOf } from '../../src/domain/policy.ts'
import { isSmallFile } from '../../src/domain/weight-file.ts'
import { gitFile, keep, lfsFile } from './builders.ts'

/** Path → reason of every decision, with `-` before what is not taken. */
function reasons(files: readonly Sibling[], changes: Partial<KeepPolicy> = {}): Record<string, string> {
  const decisions = decideFiles(files, keep(changes))
  return Object.fromEntries(decisions.map(({ path, take, reason }) => [path, take ? reason : `-${reason}`]))
}

test('decideFiles takes no bytes that could not be proven or whose name is none', () => {
  assert.deepEqual(
    reasons([
      lfsFile('model.safetensors', { lfsOid: undefined }),
      gitFile('config.json', { gitOid: undefined }),
      gitFile('a//b'),
      lfsFile('..'),
      lfsFile('../x.safetensors'),
      gitFile('a\u0000b'),
      gitFile('\ud800.bin'),
    ]),
    {
      'model.safetensors': '-digest-unknown',
      'config.json': '-digest-unknown',
      'a//b': '-unsafe-name',
      '..': '-unsafe-name',
      '\ud800.bin': '-unsafe-name',
      // Archived, although never made on disk under that name.
      '../x.safetensors': 'wanted',
      'a\u0000b': 'small-file',
    },
  )
})

test('decideFiles wants a shard set whole as soon as one of it is wanted', () => {
  const shards = ['00001', '00002', '00003'].map((number) => lfsFile(`model-${number}-of-00003.safetensors`))

  assert.deepEqual(reasons(shards, { include: ['*-00002-*'] }), {
    'model-00001-of-00003.safetensors': 'shard-set',
    'model-00002-of-00003.safetensors': 'wanted',
    'model-00003-of-00003.safetensors': 'shard-set',
  })
  assert.deepEqual(Object.values(reasons(shards, { exclude: ['*-00002-*'] })), ['wanted', 'shard-set', 'wanted'])
  assert.deepEqual(Object.values(reasons(shards, { exclude: ['*'] })), ['-excluded', '-excluded', '-excluded'])
})

test('decideFiles makes no sets of small files', () => {
  const files = [gitFile('words-00001-of-00002.json'), gitFile('words-00002-of-00002.json')]

  assert.deepEqual(Object.values(reasons(files, { exclude: ['*-00002-*'] })), ['small-file', '-excluded'])
})

test('decideFiles does not believe in a set member it cannot prove', () => {
  const files = [lfsFile('m-00001-of-00002.gguf'), lfsFile('m-00002-of-00002.gguf', { lfsOid: undefined })]

  assert.deepEqual(reasons(files), { 'm-00001-of-00002.gguf': 'wanted', 'm-00002-of-00002.gguf': '-digest-unknown' })
})

test('decideFiles keeps oddly named shards together by their index', () => {
  const files = [
    gitFile('model.safetensors.index.json'),
    lfsFile('layers-0.safetensors'),
    lfsFile('outside.safetensors'),
    lfsFile('other/alone.safetensors'),
  ]

  assert.deepEqual(reasons(files, { include: ['layers-*'] }), {
    'model.safetensors.index.json': 'small-file',
    'layers-0.safetensors': 'wanted',
    'outside.safetensors': 'shard-set',
    'other/alone.safetensors': '-not-included',
  })
})

test('decideFiles filters quantisations and formats, and says by what', () => {
  const files = [
    lfsFile('X-Q8_0.gguf'),
    lfsFile('X-Q4_K_M.gguf'),
    lfsFile('mmproj-F16.gguf'),
    lfsFile('model.safetensors'),
    lfsFile('weights.dat', { size: 1e10 }),
    gitFile('README.md'),
  ]
  const changes = { formats: ['gguf'], quants: ['Q8_0'] }

  assert.deepEqual(reasons(files, changes), {
    'X-Q8_0.gguf': 'wanted',
    'X-Q4_K_M.gguf': '-quant-not-wanted',
    'mmproj-F16.gguf': 'wanted',
    'model.safetensors': '-format-not-wanted',
    'weights.dat': '-format-not-wanted',
    'README.md': 'small-file',
  })
  const [, quant, , format] = decideFiles(files, keep(changes))
  assert.equal(quant?.detail, 'Q4_K_M is not in keep.quants (Q8_0)')
  assert.equal(format?.detail, 'safetensors is not in keep.formats (gguf)')
})

test('decideFiles takes of "metadata" the small files only, and of no repo what is excluded', () => {
  const files = [
    gitFile('README.md'),
    gitFile('secret.json'),
    lfsFile('model.safetensors'),
    lfsFile('tokenizer.json', { size: 1e7 }),
  ]

  assert.deepEqual(reasons(files, { files: 'metadata', exclude: ['secret*'] }), {
    'README.md': 'small-file',
    'secret.json': '-excluded',
    'model.safetensors': '-metadata-only',
    'tokenizer.json': 'small-file',
  })
  assert.deepEqual(reasons(files, { include: [] }), {
    'README.md': 'small-file',
    'secret.json': 'small-file',
    'model.safetensors': '-not-included',
    'tokenizer.json': 'small-file',
  })
})

test('decideFiles keeps only the small files of a repo above max_repo', () => {
  const files = [gitFile('README.md'), lfsFile('a.gguf', { size: 60 }), lfsFile('b.gguf', { size: 41 })]

  assert.deepEqual(reasons(files, { maxRepoBytes: 100 }), {
    'README.md': 'small-file',
    'a.gguf': '-repo-too-large',
    'b.gguf': '-repo-too-large',
  })
  // The limit itself fits, and what the policy does not want anyway does not count.
  assert.deepEqual(Object.values(reasons(files, { maxRepoBytes: 101 })), ['small-file', 'wanted', 'wanted'])
  assert.equal(reasons(files, { maxRepoBytes: 60, exclude: ['b*'] })['a.gguf'], 'wanted')
  assert.match(decideFiles(files, keep({ maxRepoBytes: 100 }))[1]?.detail ?? '', /101 bytes.*\(100\)/)
})

test('decideFiles answers for every file, in order, with a sentence, and never splits a set it can prove', () => {
  const path = fc.constantFrom(
    'm-00001-of-00002.gguf',
    'm-00002-of-00002.gguf',
    'X-Q8_0.gguf',
    'README.md',
    'model.safetensors',
    'a//b',
    '../x.bin',
  )
  const file = fc.tuple(path, fc.integer({ min: 0, max: 1e12 })).map(([name, size]) => lfsFile(name, { size }))
  const glob = fc.array(fc.constantFrom('*', '*.gguf', 'm-00001*', 'README*'), { maxLength: 2 })
  const policy = fc.record({ include: glob, exclude: glob, maxRepoBytes: fc.option(fc.nat(1e12), { nil: undefined }) })
  fc.assert(
    fc.property(fc.uniqueArray(file, { selector: ({ path: name }) => name }), policy, (files, changes) => {
      const decisions = decideFiles(files, keep(changes))
      assert.deepEqual(
        decisions.map((decision) => decision.path),
        files.map((one) => one.path),
      )
      assert.ok(decisions.every((decision) => decision.detail.length > 0))
      const shards = decisions.filter((decision) => decision.path.startsWith('m-0000'))
      assert.ok(new Set(shards.map((decision) => decision.take)).size <= 1)
      const large = files.filter((one, at) => decisions[at]?.take === true && !isSmallFile(one))
      const bytes = large.reduce((sum, one) => sum + one.size, 0)
      assert.ok(changes.maxRepoBytes === undefined || bytes <= changes.maxRepoBytes)
    }),
  )
})

test('policyKeyOf tells two policies apart by every field', () => {
  const policies = [
    keep(),
    keep({ files: 'metadata' }),
    keep({ formats: [] }),
    keep({ formats: ['gguf'] }),
    keep({ quants: ['gguf'] }),
    keep({ include: [] }),
    keep({ exclude: ['*'] }),
    keep({ maxRepoBytes: 0 }),
    keep({ maxRepoBytes: 1 }),
  ]

  assert.equal(new Set(policies.map(policyKeyOf)).size, policies.length)
  assert.equal(policyKeyOf(keep()), policyKeyOf(keep()))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  effectiveLicense,
  isOwnerOrName,
  parseRepoArgument,
  parseRepoName,
  printRepo,
  splitRepoName,
} from '../../src/domain/repo.ts'
import { fixtureRows } from '../support/content/fixture-file.ts'
import { model } from './builders.ts'

test('parseRepoName refuses what could be more than two folder names', () => {
  for (const text of [
    '',
    'Qwen',
    '/',
    'Qwen/',
    '/A',
    'Qwen/A/B',
    '../x',
    'Qwen/..',
    'Qwen/.',
    './A',
    'Qwen/.git',
    '.git/A',
    'Qwen/A..B',
    'Qwen/A--B',
    'Qwen/A-',
    'Qwen/A.',
    'Qwen/-A',
    'Qwen/A B',
    'Qwen/A\n',
    'Qwen/A\0',
    'Qwen\\A/B',
    'C:/A',
    'Qwen/A%2e',
    'Qwen/é',
    'Qwen/\u202eA',
    'Qwen/A@main',
    `Qwen/${'x'.repeat(97)}`,
    `${'x'.repeat(97)}/A`,
    undefined,
    null,
    7,
    ['Qwen', 'A'],
  ]) {
    assert.equal(parseRepoName(text), undefined, JSON.stringify(text))
  }
})

test('parseRepoName takes every name of the Qwen organisation', () => {
  const rows = fixtureRows('qwen/qwen-lineup.csv')
  for (const row of rows) assert.equal(parseRepoName(row.get('repo_id')), row.get('repo_id'))
  assert.ok(rows.length > 300)
  assert.equal(parseRepoName('a/_b'), 'a/_b')
  assert.equal(parseRepoName(`${'x'.repeat(96)}/y`), `${'x'.repeat(96)}/y`)
  assert.deepEqual(splitRepoName(model('Qwen/Qwen3.5-4B').name), { owner: 'Qwen', repo: 'Qwen3.5-4B' })
})

test('isOwnerOrName takes one part only', () => {
  assert.ok(isOwnerOrName('Qwen'))
  for (const text of ['', 'Qwen/A', '..', 'a b', '*', 'Qwen\n']) assert.ok(!isOwnerOrName(text), text)
})

test('parseRepoArgument refuses what names no repository', () => {
  for (const text of [
    '',
    'Qwen',
    'hf://',
    'hf://Qwen',
    'Qwen/A@',
    'Qwen/A/wrong/main',
    'https://huggingface.co/Qwen',
    'https://huggingface.co/api/models/Qwen/A',
    'ftp://huggingface.co/Qwen/A',
    'file:///etc/passwd',
    'javascript://Qwen/A',
    'https://',
    '../../etc/passwd',
    'Qwen/..',
    'datasets/Qwen',
    `Qwen/A@${'x'.repeat(1000)}`,
  ]) {
    assert.equal(parseRepoArgument(text), undefined, text)
  }
})

test('parseRepoArgument reads each way to write a repository', () => {
  const qwen = model('Qwen/Qwen3.5-4B')
  const written: readonly (readonly [string, string | undefined])[] = [
    ['Qwen/Qwen3.5-4B', undefined],
    ['  Qwen/Qwen3.5-4B ', undefined],
    ['hf://Qwen/Qwen3.5-4B', undefined],
    ['https://huggingface.co/Qwen/Qwen3.5-4B', undefined],
    ['https://huggingface.co/Qwen/Qwen3.5-4B/', undefined],
    ['https://huggingface.co/Qwen/Qwen3.5-4B?library=transformers#files', undefined],
    ['http://127.0.0.1:8421/Qwen/Qwen3.5-4B', undefined],
    ['Qwen/Qwen3.5-4B@main', 'main'],
    ['Qwen/Qwen3.5-4B@refs/pr/1', 'refs/pr/1'],
    ['hf://Qwen/Qwen3.5-4B@abc1234', 'abc1234'],
    ['https://huggingface.co/Qwen/Qwen3.5-4B/tree/main', 'main'],
    ['https://huggingface.co/Qwen/Qwen3.5-4B/blob/abc1234/config.json', 'abc1234'],
    ['https://huggingface.co/Qwen/Qwen3.5-4B/resolve/v1/config.json', 'v1'],
    ['https://huggingface.co/Qwen/Qwen3.5-4B/commit/abc1234', 'abc1234'],
    ['https://huggingface.co/Qwen/Qwen3.5-4B/commits/main', 'main'],
  ]
  for (const [text, revision] of written) {
    assert.deepEqual(parseRepoArgument(text), { ref: qwen, revision }, text)
  }
  assert.deepEqual(parseRepoArgument('datasets/Qwen/P-MMEval')?.ref, { type: 'dataset', name: 'Qwen/P-MMEval' })
  assert.deepEqual(parseRepoArgument('https://huggingface.co/spaces/Qwen/Demo')?.ref.type, 'space')
})

test('printRepo writes what parseRepoArgument reads', () => {
  const part = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,30}$/).filter(isOwnerOrName)
  fc.assert(
    fc.property(part, part, fc.constantFrom('model', 'dataset', 'space'), (owner, name, type) => {
      fc.pre(!['datasets', 'spaces'].includes(owner))
      const ref = { ...model(`${owner}/${name}`), type }
      assert.deepEqual(parseRepoArgument(printRepo(ref)), { ref, revision: undefined })
    }),
  )
})

test('effectiveLicense prefers the name of a licence that the card only calls "other"', () => {
  const of = (license?: string, license_name?: string) =>
    effectiveLicense({ license, license_name, license_link: undefined })

  assert.equal(of('other', 'qwen-research'), 'qwen-research')
  assert.equal(of('other'), 'other')
  assert.equal(of('apache-2.0', 'qwen'), 'apache-2.0')
  assert.equal(of(undefined, 'qwen'), 'qwen')
  assert.equal(of(), undefined)
})

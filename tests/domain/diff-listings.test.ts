import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { diffListings, nameEvents, updateEvents } from '../../src/domain/diff-listings.ts'
import type { Sibling } from '../../src/domain/listing.ts'
import { commit, gitFile, lfsFile, listing, oid, sha } from './builders.ts'

const NEXT = { commit: commit('c'), observedAt: '2026-09-02T10:00:00.000Z' }

function update(before: readonly Sibling[], after: readonly Sibling[]) {
  return updateEvents(listing(before), listing(after, NEXT))
}

test('diffListings does not call withheld digests a replacement', () => {
  const told = lfsFile('model.safetensors')
  const withheld = lfsFile('model.safetensors', { lfsOid: undefined })

  // The pointer's git id is the same, so the content is.
  assert.deepEqual(diffListings([told], [withheld]).replaced, [])
  assert.deepEqual(diffListings([withheld], [told]).replaced, [])
  assert.equal(diffListings([withheld], [{ ...told, gitOid: oid('9') }]).replaced.length, 1)
})

test('diffListings notices another size under the same digest', () => {
  assert.equal(diffListings([lfsFile('m.gguf')], [lfsFile('m.gguf', { size: 7 })]).replaced.length, 1)
  assert.equal(diffListings([gitFile('a')], [gitFile('a', { size: 0 })]).replaced.length, 1)
})

test('diffListings compares by path, size and digest', () => {
  const before = [gitFile('a'), gitFile('b'), lfsFile('m.gguf'), gitFile('gone')]
  const after = [
    gitFile('new'),
    lfsFile('m.gguf', { lfsOid: sha('b'), gitOid: oid('5'), size: 7 }),
    gitFile('b', { gitOid: oid('3') }),
    gitFile('a'),
  ]

  const diff = diffListings(before, after)

  assert.deepEqual(diff.added, ['new'])
  assert.deepEqual(diff.removed, ['gone'])
  assert.deepEqual(diff.replaced, [
    { path: 'm.gguf', sizeBefore: 1e9, sizeAfter: 7, digestBefore: sha('a'), digestAfter: sha('b') },
    { path: 'b', sizeBefore: 1000, sizeAfter: 1000, digestBefore: oid('2'), digestAfter: oid('3') },
  ])
})

test('diffListings of a listing with itself is empty, and turned round it swaps added and removed', () => {
  const file = fc
    .tuple(fc.constantFrom('a', 'b', 'c', '__proto__', 'd/e'), fc.constantFrom('1', '2'), fc.nat(3))
    .map(([path, digit, size]) => gitFile(path, { gitOid: oid(digit), size }))
  const files = fc.uniqueArray(file, { selector: ({ path }) => path })
  fc.assert(
    fc.property(files, files, (a, b) => {
      assert.deepEqual(diffListings(a, a), { added: [], removed: [], replaced: [] })
      const [there, back] = [diffListings(a, b), diffListings(b, a)]
      assert.deepEqual([...there.added].sort(), [...back.removed].sort())
      assert.equal(there.replaced.length, back.replaced.length)
      assert.equal(there.added.length - there.removed.length, b.length - a.length)
    }),
  )
})

test('updateEvents raises nothing for a first listing or the same commit', () => {
  assert.deepEqual(updateEvents(undefined, listing([gitFile('a')])), [])
  assert.deepEqual(updateEvents(listing([gitFile('a')]), listing([gitFile('b')])), [])
})

test('updateEvents warns of weights that changed under their name', () => {
  const [updated, replaced, ...more] = update(
    [lfsFile('m.safetensors'), gitFile('README.md')],
    [lfsFile('m.safetensors', { lfsOid: sha('b') }), gitFile('README.md')],
  )

  assert.deepEqual(more, [])
  assert.deepEqual([updated?.type, updated?.severity], ['repo-updated', 'notice'])
  assert.deepEqual([replaced?.type, replaced?.severity], ['files-replaced', 'warning'])
  assert.deepEqual([replaced?.before, replaced?.after, replaced?.at], [commit('b'), NEXT.commit, NEXT.observedAt])
  assert.equal(replaced?.detail['changes'], 1)
})

test('updateEvents tells a README-only commit from one that touches weights', () => {
  const readme = [gitFile('README.md'), lfsFile('m.gguf')]
  const [card] = update(readme, [gitFile('README.md', { gitOid: oid('3') }), lfsFile('m.gguf')])
  const [added] = update(readme, [...readme, lfsFile('n.gguf')])
  const [removed] = update(readme, [gitFile('README.md')])
  const [nothing] = update(readme, readme)

  assert.deepEqual([card?.severity, card?.detail['cardOnly'], card?.detail['weightsChanged']], ['info', true, false])
  assert.deepEqual(
    [added?.severity, added?.detail['cardOnly'], added?.detail['weightsChanged']],
    ['notice', false, true],
  )
  assert.deepEqual([removed?.severity, removed?.detail['weightsChanged']], ['notice', true])
  assert.deepEqual([nothing?.severity, nothing?.detail['changes'], nothing?.detail['cardOnly']], ['info', 0, false])
})

test('updateEvents keeps an event small whatever the commit is', () => {
  const many = Array.from({ length: 5000 }, (_, index) => lfsFile(`m-${index}.gguf`))

  const [updated] = update([], many)
  const [, replaced] = update(
    many,
    many.map((file) => ({ ...file, lfsOid: sha('b') })),
  )

  assert.equal(updated?.detail['changes'], 5000)
  assert.ok(JSON.stringify(updated).length < 20_000)
  assert.equal(replaced?.detail['changes'], 5000)
  assert.ok(JSON.stringify(replaced).length < 40_000)
})

test('nameEvents raises one event with every hostile name of a listing', () => {
  const files = ['../x', 'CON', 'ok.txt', 'a\u0000b'].map((path) => gitFile(path))
  const events = nameEvents(listing(files, { refused: [{ path: 'sub', reason: 'is a submodule' }] }))

  assert.equal(events.length, 1)
  assert.deepEqual([events[0]?.type, events[0]?.severity, events[0]?.detail['count']], ['unsafe-name', 'warning', 4])
  const names = events[0]?.detail['names'] as { path: string; verdict: string }[]
  assert.deepEqual(
    names.map(({ path, verdict }) => `${path} ${verdict}`),
    ['../x keep-only', 'CON escape', 'a\u0000b keep-only', 'sub refuse'],
  )
})

test('nameEvents flags names that are one where letter case or Unicode form does not count', () => {
  for (const pair of [
    ['README.md', 'readme.md'],
    ['caf\u00e9', 'cafe\u0301'],
    ['straße', 'strasse'],
    ['\u212aey', 'key'],
    ['ﬁle', 'file'],
  ]) {
    const [event] = nameEvents(listing(pair.map((path) => gitFile(path))))
    assert.equal(event?.detail['count'], 1, pair.join(' '))
  }
  assert.deepEqual(nameEvents(listing([gitFile('a'), gitFile('b/a'), gitFile('B/b')])), [])
})

test('nameEvents flags no collisions of names that are never made on disk', () => {
  const [event] = nameEvents(listing([gitFile('../A'), gitFile('../a')]))

  assert.equal(event?.detail['count'], 2)
})

test('nameEvents flags a path that is a file and a folder at once, with what lies in it', () => {
  const [event] = nameEvents(listing([gitFile('a'), gitFile('a/b')]))

  const names = event?.detail['names'] as { path: string; verdict: string }[]
  assert.deepEqual(names.map(({ path, verdict }) => `${path} ${verdict}`).sort(), ['a collision', 'a/b collision'])
})

test('nameEvents lists at most fifty names and counts all', () => {
  const [event] = nameEvents(listing(Array.from({ length: 3000 }, (_, index) => gitFile(`../${index}`))))

  assert.equal(event?.detail['count'], 3000)
  assert.equal((event?.detail['names'] as unknown[] | undefined)?.length, 50)
})

test('updateEvents tells old and new SHA-256 and size of what was replaced, ours where the Hub promises none', () => {
  const [updated] = updateEvents(
    listing([lfsFile('m.gguf'), gitFile('config.json')]),
    listing([lfsFile('m.gguf', { lfsOid: sha('b'), size: 7 }), gitFile('config.json', { gitOid: oid('9') })], NEXT),
    { heldSha256: new Map([['config.json', sha('c')]]) },
  )

  assert.deepEqual(updated?.detail['replaced'], [
    {
      path: 'm.gguf',
      sizeBefore: 1e9,
      sizeAfter: 7,
      digestBefore: sha('a'),
      digestAfter: sha('b'),
      sha256Before: sha('a'),
      sha256After: sha('b'),
    },
    {
      path: 'config.json',
      sizeBefore: 1000,
      sizeAfter: 1000,
      digestBefore: oid('2'),
      digestAfter: oid('9'),
      sha256Before: sha('c'),
      sha256After: null,
    },
  ])
})

test('updateEvents tells a renamed file from one that went and another that came', () => {
  const [updated] = update(
    [gitFile('old.json'), gitFile('gone.json', { gitOid: oid('7') })],
    [gitFile('new.json'), gitFile('other.json', { gitOid: oid('8') })],
  )

  assert.deepEqual(updated?.detail['renamed'], [{ from: 'old.json', to: 'new.json' }])
  assert.deepEqual(updated?.detail['added'], ['new.json', 'other.json'])
  assert.deepEqual(updated?.detail['removed'], ['old.json', 'gone.json'])
})

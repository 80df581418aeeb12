import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseSha256 } from '../../src/domain/digest.ts'
import { contentKeyOf, printListing, promiseText, type Listing } from '../../src/domain/listing.ts'
import { printManifest, printSha256Sums, type Manifest } from '../../src/domain/manifest.ts'
import { gitFile, lfsFile, listing, manifest, manifestFile, oid, sha } from './builders.ts'

const HOSTILE = ['../x', 'a\nb', 'a\u0000b', '\ud800', '"quoted"', 'a\\b', '__proto__', '', '\u2028', '</script>']

test('promiseText differs as soon as the Hub promises other bytes, names or refusals', () => {
  const files = [gitFile('a'), lfsFile('m.gguf')]
  const texts = [
    listing(files),
    listing([gitFile('b'), lfsFile('m.gguf')]),
    listing([gitFile('a', { size: 1001 }), lfsFile('m.gguf')]),
    listing([gitFile('a', { gitOid: oid('3') }), lfsFile('m.gguf')]),
    listing([gitFile('a'), lfsFile('m.gguf', { lfsOid: sha('b') })]),
    listing([gitFile('a'), lfsFile('m.gguf', { lfsOid: undefined })]),
    listing([gitFile('a'), lfsFile('m.gguf', { isLfs: false })]),
    listing([gitFile('a')]),
    listing(files, { refused: [{ path: 'x', reason: 'y' }] }),
    listing(files, { refused: [{ path: 'x', reason: 'z' }] }),
    listing([]),
  ].map(promiseText)

  assert.equal(new Set(texts).size, texts.length)
})

test('promiseText does not depend on order, time, tags or the xet hash', () => {
  const first = listing([gitFile('a'), lfsFile('m.gguf'), gitFile('z')])
  const second = listing([gitFile('z'), gitFile('a'), lfsFile('m.gguf', { xetHash: 'x' })], {
    observedAt: '2027-01-01T00:00:00.000Z',
    tags: [],
    cardData: undefined,
    gated: 'auto',
  })

  assert.equal(promiseText(first), promiseText(second))
})

test('printListing writes one file a line, whatever its name, and reads back equal', () => {
  const written = listing(
    HOSTILE.map((path) => gitFile(path)),
    { refused: HOSTILE.map((path) => ({ path, reason: 'r' })) },
  )

  const text = printListing(written)
  const read = JSON.parse(text) as Listing

  assert.equal(promiseText(read), promiseText(written))
  assert.deepEqual(JSON.parse(JSON.stringify(written)), read)
  assert.ok(HOSTILE.every((path) => text.includes(`\n{"path":${JSON.stringify(path)}`)))
  assert.ok(text.endsWith('}\n'))
  assert.deepEqual((JSON.parse(printListing(listing([]))) as Listing).files, [])
})

test('printManifest writes one file a line and reads back equal', () => {
  const written = manifest(HOSTILE.map((path) => manifestFile(path)))

  const text = printManifest(written)

  assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(written)))
  assert.equal(text.split('\n').length, HOSTILE.length + 4)
  assert.deepEqual((JSON.parse(printManifest(manifest([]))) as Manifest).files, [])
  assert.equal(printManifest(written), printManifest({ ...written }))
})

test('printSha256Sums leaves out what is not held or has no name on disk', () => {
  const text = printSha256Sums(
    manifest([
      ...HOSTILE.map((path) => manifestFile(path)),
      manifestFile('CON'),
      manifestFile('skipped.gguf', { held: false }),
      manifestFile('unknown.gguf', { sha256: null }),
      manifestFile('both'),
      manifestFile('both/x'),
      manifestFile('-'),
      manifestFile('kept.txt'),
    ]),
  )

  // "<script>" and the like are escaped when shown; only names that are the same everywhere are here.
  assert.deepEqual(text.split('\n'), [`${sha('a')}  __proto__`, `${sha('a')}  ./-`, `${sha('a')}  kept.txt`, ''])
})

test('sha256sum -c accepts what printSha256Sums wrote, and finds a changed byte', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-sums-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const paths = [
    'README.md',
    'a b/c  d.txt',
    ' leading blank',
    '-',
    '--help',
    '-c',
    '# comment',
    'SHA256 (x) = y',
    'x = y',
    '模型/权重.safetensors',
    '👩‍🔬',
    "it's",
    '$(touch x)',
    'empty',
  ]
  const files = paths.map((path, index) => {
    const bytes = path === 'empty' ? '' : `bytes ${index}`
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), bytes)
    const sha256 = parseSha256(createHash('sha256').update(bytes).digest('hex')) ?? null
    return manifestFile(path, { sha256, size: bytes.length })
  })
  const sums = printSha256Sums(manifest(files))
  const check = () =>
    execFileSync('sha256sum', ['-c', '--strict', '--quiet', '-'], { cwd: folder, input: sums, stdio: 'pipe' })

  assert.equal(sums.split('\n').length, paths.length + 1)
  // Its own list comes on standard input here, so the file "-" would be read as the list without its "./".
  assert.equal(check().toString(), '')
  writeFileSync(join(folder, '-'), 'other bytes')
  assert.throws(check, /1 computed checksum did NOT match/)
})

test('contentKeyOf names the promised bytes, and nothing where the digest is withheld', () => {
  assert.equal(contentKeyOf(lfsFile('m')), `sha256-${sha('a')}`)
  assert.equal(contentKeyOf(lfsFile('m', { lfsOid: undefined })), undefined)
  assert.equal(contentKeyOf(gitFile('a')), `git-${oid('2')}-1000`)
  assert.equal(contentKeyOf(gitFile('a', { size: 0 })), `git-${oid('2')}-0`)
  assert.equal(contentKeyOf(gitFile('a', { gitOid: undefined })), undefined)
  // A SHA-256 that was not asked for is no promise: only an LFS file is proven by it.
  assert.equal(contentKeyOf(gitFile('a', { lfsOid: sha('a'), gitOid: undefined })), undefined)
})

test('printListing and printManifest are JSON for every name and card', () => {
  const path = fc.string({ unit: 'binary' })
  fc.assert(
    fc.property(fc.array(path), fc.dictionary(fc.string(), fc.jsonValue()), (paths, cardData) => {
      const read = JSON.parse(
        printListing(
          listing(
            paths.map((one) => gitFile(one)),
            { cardData },
          ),
        ),
      ) as Listing
      assert.deepEqual(
        read.files.map((file) => file.path),
        paths,
      )
      const sealed = JSON.parse(printManifest(manifest(paths.map((one) => manifestFile(one))))) as Manifest
      assert.equal(sealed.files.length, paths.length)
    }),
  )
})

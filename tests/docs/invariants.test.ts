import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const ROOT = new URL('../../', import.meta.url)

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

const architecture = read('docs/ARCHITECTURE.md')

test('every test that docs/ARCHITECTURE.md names exists', () => {
  const named = [...architecture.matchAll(/`(tests\/[^`]+)`: "([^"]+)"/g)]

  for (const [, file = '', name = ''] of named) {
    assert.ok(existsSync(new URL(file, ROOT)), file)
    assert.ok(read(file).includes(name), `${file} has no test "${name}"`)
  }
  assert.ok(named.length > 35, `${named.length} tests are named`)
})

test('every invariant of docs/ARCHITECTURE.md names a test', () => {
  const section = architecture.slice(
    architecture.indexOf('## Invariants'),
    architecture.indexOf('### Not held by a test yet'),
  )
  const invariants = section.split(/^- /m).slice(1)

  for (const invariant of invariants) assert.match(invariant, /`tests\/[^`]+`: "/, invariant)
  assert.ok(invariants.length > 20)
})

test('the files that the pages name exist', () => {
  for (const page of [
    'docs/ARCHITECTURE.md',
    'docs/hub-api.md',
    'docs/archive-format.md',
    'CONTRIBUTING.md',
    'README.md',
  ]) {
    for (const [, path = ''] of read(page).matchAll(/`((?:src|tests|scripts|config|manifests|docs)\/[\w./-]+)`/g)) {
      assert.ok(existsSync(new URL(path, ROOT)), `${page} names ${path}`)
    }
    for (const [, link = ''] of read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)) {
      assert.ok(existsSync(new URL(link, new URL(page, ROOT))), `${page} links to ${link}`)
    }
  }
})

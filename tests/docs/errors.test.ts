import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { loadCommands } from '../../src/cli/commands.ts'
import { ERROR_CODES } from '../../src/domain/errors.ts'

const ROOT = new URL('../../', import.meta.url)
const TRIED_AGAIN = { now: 'at once', later: 'later, by itself', never: 'not by itself' } as const

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

const sections = read('docs/errors.md')
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const lineEnd = section.indexOf('\n')
    return { code: section.slice(0, lineEnd).trim(), text: section.slice(lineEnd) }
  })

test('docs/errors.md has one section a code, in the order of the table', () => {
  assert.deepEqual(
    sections.map((section) => section.code),
    Object.keys(ERROR_CODES),
  )
})

test('docs/errors.md says of each code what the table says, and what is safe and to do', () => {
  for (const { code, text } of sections) {
    const { exitCode, retry } = ERROR_CODES[code as keyof typeof ERROR_CODES]
    assert.ok(text.includes(`\nExit code ${exitCode}. Tried again ${TRIED_AGAIN[retry]}.\n`), code)
    for (const part of ['What it means', 'What happens by itself', 'What is safe', 'What you do']) {
      assert.match(text, new RegExp(`^- \\*\\*${part}:\\*\\* \\S.{5,}$`, 'm'), `${code}: ${part}`)
    }
  }
})

test('every code is thrown or concluded somewhere', () => {
  const sources = globSync('src/**/*.ts', { cwd: ROOT })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path !== 'src/domain/errors.ts')
    .map(read)
    .join('\n')
  // What no ArchiveError carries: a bug, an abort, and the one thing that an old Node must be able to say.
  const concluded = { INTERNAL: /return 'INTERNAL'/, INTERRUPTED: /return 'INTERRUPTED'/ }
  for (const [code, { exitCode }] of Object.entries(ERROR_CODES)) {
    if (code === 'NODE_TOO_OLD') {
      assert.ok(read('bin/weightvault.js').includes(`process.exitCode = ${exitCode}`), code)
    } else if (code in concluded) {
      assert.match(read('src/domain/errors.ts'), concluded[code as keyof typeof concluded])
    } else {
      assert.ok(sources.includes(`'${code}'`), `nothing throws ${code}`)
    }
  }
})

/** Commands of the design that come later. */
const PLANNED = ['licenses', 'scrub', 'repair', 'find', 'restore', 'adopt', 'serve', 'rebuild', 'notify']

test('no hint and no page tells to run a command that this release does not have', async () => {
  const present = new Set((await loadCommands([])).map((command) => command.name))
  const missing = PLANNED.filter((command) => !present.has(command))
  const paths = [...globSync('src/**/*.ts', { cwd: ROOT }), ...globSync('docs/*.md', { cwd: ROOT }), 'README.md']
  const told = paths.flatMap((path) =>
    [...read(path).matchAll(/weightvault ([a-z]+)/g)]
      .filter(([, command = '']) => missing.includes(command))
      .map(([words]) => `${path}: ${words}`),
  )
  assert.deepEqual(told, [])
  assert.ok(paths.length > 60 && present.size > 10)
})

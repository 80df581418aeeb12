import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HANGS_AFTER_MS } from '../support/until.ts'
import { examplesOf, type Example } from './runnable.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: ROOT })]
const examples = pages.flatMap(examplesOf)

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'wv-docs-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs a block as a person would type it, without a network: the Hub it could ask is a port where nobody listens. */
function run(script: string, folder: string, bin: string) {
  const { PATH = '' } = process.env
  return spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    encoding: 'utf8',
    timeout: HANGS_AFTER_MS,
    env: { PATH: `${bin}${delimiter}${PATH}`, HOME: folder, HF_ENDPOINT: 'http://127.0.0.1:9', LC_ALL: 'C.UTF-8' },
  })
}

function place(t: TestContext, example: Pick<Example, 'place'>): { folder: string; bin: string } {
  const top = temporaryFolder(t)
  const folder = join(top, 'work')
  const bin = join(top, 'bin')
  mkdirSync(folder)
  mkdirSync(bin)
  if (example.place === 'archive') cpSync(join(ROOT, 'manifests/example'), folder, { recursive: true })
  writeFileSync(join(bin, 'weightvault'), `#!/bin/sh\nexec '${process.execPath}' '${ROOT}bin/weightvault.js' "$@"\n`, {
    mode: 0o755,
  })
  return { folder, bin }
}

for (const example of examples) {
  test(`the example at line ${example.line} of ${example.page} works`, (t) => {
    const { folder, bin } = place(t, example)

    const result = run(example.script, folder, bin)

    assert.equal(result.status, 0, `${example.script}\n${result.stdout}\n${result.stderr}`)
    assert.doesNotMatch(result.stdout, /^missing:/m)
  })
}

test('the examples are there, and a damaged archive makes the check fail', (t) => {
  assert.ok(examples.filter((example) => example.place === 'archive').length >= 5)
  assert.ok(examples.filter((example) => example.place === 'cli').length >= 2)
  const check = examplesOf('docs/archive-format.md')[0]
  assert.ok(check)
  const { folder, bin } = place(t, check)
  const [blob = ''] = globSync('blobs/sha256/*/*', { cwd: folder })
  appendFileSync(join(folder, blob), 'x')

  assert.notEqual(run(check.script, folder, bin).status, 0)
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const HANGS_AFTER_MS = 300_000

/** Lets both kinds of thread do something. */
const PROGRAM = `
const [hashFiles, batchWriter] = process.argv.slice(1, 3)
const [root, file] = process.argv.slice(3)
const { HashPool } = await import(hashFiles)
const { BatchWriter } = await import(batchWriter)
await using pool = new HashPool(1)
await pool.hashFile(file, new AbortController().signal)
await using writer = new BatchWriter({ root, memory: new SharedArrayBuffer(4096) })
await writer.commit([], () => undefined)
`

test('threads take what was compiled already from the cache: no file has its types stripped twice', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-threads-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const large = join(folder, 'large')
  writeFileSync(large, Buffer.alloc(1024 * 1024))
  const modules = ['../../src/lib/hash-files.ts', '../../src/store/batch-writer.ts']
  const urls = modules.map((path) => new URL(path, import.meta.url).href)

  const ended = spawnSync(process.execPath, ['--input-type=module', '--eval', PROGRAM, ...urls, folder, large], {
    encoding: 'utf8',
    timeout: HANGS_AFTER_MS,
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
      NODE_DEBUG_NATIVE: 'COMPILE_CACHE',
    },
  })

  assert.equal(ended.status, 0, ended.stderr.slice(-2000))
  const filesOf = (pattern: RegExp): string[] => [...ended.stderr.matchAll(pattern)].map((match) => match[1] ?? '')
  const stripped = filesOf(/no transpile cache for StrippedTypeScript \S+\/src\/(\S+)/g)
  const found = filesOf(/retrieving transpile cache for StrippedTypeScript \S+\/src\/(\S+?)\.\.\.success/g)
  assert.deepEqual(stripped, [...new Set(stripped)])
  for (const name of ['lib/hash-files-worker.ts', 'store/batch-thread.ts', 'store/commit-batch.ts']) {
    assert.ok(found.includes(name), `${name} was not found in the cache by its thread: ${found.join(' ')}`)
  }
})

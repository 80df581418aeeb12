import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')

/** Runs a program that logs and returns its log lines, parsed. */
function logged(program: string): Record<string, unknown>[] {
  const source = `
    import { createLogger } from './src/lib/logger.ts'
    import { ArchiveError } from './src/domain/errors.ts'
    const log = createLogger({ level: 'info' })
    ${program}`
  const words = ['--input-type=module-typescript', '--eval', source]
  const run = spawnSync(process.execPath, words, { encoding: 'utf8', cwd: ROOT })
  assert.equal(run.status, 0, run.stderr)
  return run.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('createLogger cuts tokens and addresses out of fields', () => {
  const [line] = logged("log.info({ token: 'hf_canary', request: { url: 'https://cdn/x?sig=canary' } }, 'asked')")

  assert.ok(!JSON.stringify(line).includes('canary'))
})

test('createLogger shows a bug with its stack and an expected error without', () => {
  const [expected, bug] = logged(
    "log.warn({ err: new ArchiveError('HUB_UNREACHABLE', 'no answer') }, 'a'); log.warn({ err: new Error('bug') }, 'b')",
  )

  const errorOf = (line: Record<string, unknown> | undefined) => line?.['err'] as Record<string, unknown> | undefined
  const expectedError = errorOf(expected)
  assert.deepEqual([expectedError?.['code'], expectedError?.['stack']], ['HUB_UNREACHABLE', undefined])
  assert.match(String(errorOf(bug)?.['stack']), /bug/)
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HANGS_AFTER_MS } from '../support/until.ts'

const CHILD = new URL('./ingest-loop.ts', import.meta.url).pathname
/** The system calls that change names, bytes or durability; Node makes none of the others for these. */
export const TRACED = [
  'mkdir',
  'rename',
  'link',
  'unlink',
  'fsync',
  'fdatasync',
  'fchmod',
  'chmod',
  'pwrite64',
  'ftruncate',
]

export interface TracedRun {
  /** What the child said, line by line. */
  readonly said: string[]
  /** Each traced call with its arguments, file descriptors as paths: `fsync(23</tmp/…/x.part>) = 0`. */
  readonly calls: string[]
}

/** Whether system calls can be traced here; if not, a sentence for the test's report. */
export function whyNotTraced(): string | undefined {
  const tried = spawnSync('strace', ['-f', '--seccomp-bpf', '-e', 'trace=mkdir', '-o', '/dev/null', 'true'], {
    encoding: 'utf8',
  })
  return tried.status === 0
    ? undefined
    : `NOT TESTED: strace does not work here (${tried.error?.message ?? tried.stderr})`
}

/**
 * Fetches and publishes content `index` in a child under strace. One pool thread makes all file calls, so that they are
 * traced, and counted by `when=`, in order.
 * @param inject an `inject=` expression of strace
 * @param traced the calls to be seen
 */
export function runTraced(
  folder: string,
  root: string,
  index: number,
  inject?: string,
  traced: readonly string[] = TRACED,
): TracedRun {
  const output = join(folder, 'trace')
  const options = ['-f', '-y', '-s', '8', '-o', output, '-e', `trace=${traced.join(',')}`]
  if (inject !== undefined) options.push('-e', `inject=${inject}`)
  // Much faster, but strace 6.1 sends no signals then.
  if (!inject?.includes('signal=')) options.unshift('--seccomp-bpf')
  const command = [process.execPath, CHILD, root, String(index), String(index + 1)]
  const run = spawnSync('strace', [...options, ...command], {
    encoding: 'utf8',
    timeout: HANGS_AFTER_MS,
    env: { PATH: process.env['PATH'], UV_THREADPOOL_SIZE: '1', NODE_COMPILE_CACHE: join(folder, 'compiled') },
  })
  assert.equal(run.error, undefined)
  const calls = readFileSync(output, 'utf8')
    .split('\n')
    .map((line) => line.replace(/^\d+ +/, ''))
    .filter((line) => /^\w+\(/.test(line) && !line.includes('compiled'))
  rmSync(output)
  return { said: run.stdout.trimEnd().split('\n'), calls }
}

/**
 * `npm run mutants [TEXT…]`: takes each guard away in a copy of the sources and runs the test that must notice. Exit code
 * 1 when one survives. With TEXT only mutants whose invariant, guard or file holds it.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyMutant } from './apply-mutant.ts'
import { BLOCK_MUTANTS } from './block-mutants.ts'
import { DISK_MUTANTS } from './disk-mutants.ts'
import type { Mutant } from './mutant.ts'
import { NETWORK_MUTANTS } from './network-mutants.ts'
import { SMALL_MUTANTS } from './small-mutants.ts'
import { WIRE_MUTANTS } from './wire-mutants.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What tests read beside the sources. */
const COPIED = ['src', 'tests', 'bin', 'scripts', 'config', 'manifests', 'docs', 'package.json', 'tsconfig.json']
const TEST_DEADLINE_MS = 180_000
const HEAP_MB = 1024

/** A copy of the checkout in which sources may be broken. */
function makeCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), 'weightvault-mutants-'))
  for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** Runs a test file in the copy, with bounded memory and time; every process of it ends with it. */
async function passes(copy: string, test: string): Promise<boolean> {
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, '--test', test], {
    cwd: copy,
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` },
  })
  const { promise, resolve } = Promise.withResolvers<number | null>()
  const endAll = (): void => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // All of them have ended.
    }
  }
  const timer = setTimeout(endAll, TEST_DEADLINE_MS)
  child.on('error', () => resolve(null)).on('exit', resolve)
  const code = await promise
  clearTimeout(timer)
  endAll()
  return code === 0
}

async function isKilled(copy: string, mutant: Mutant): Promise<boolean> {
  const path = join(copy, mutant.file)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, applyMutant(text, mutant))
  try {
    return !(await passes(copy, mutant.test))
  } finally {
    writeFileSync(path, text)
  }
}

const words = process.argv.slice(2)
const chosen = [...DISK_MUTANTS, ...BLOCK_MUTANTS, ...SMALL_MUTANTS, ...WIRE_MUTANTS, ...NETWORK_MUTANTS].filter(
  ({ invariant, guard, file }) => {
    return words.length === 0 || words.some((word) => word === invariant || guard.includes(word) || file.includes(word))
  },
)
const copy = makeCopy()
try {
  for (const test of new Set(chosen.map((mutant) => mutant.test))) {
    if (await passes(copy, test)) continue
    console.log(`FAILED without any change: ${test}; what it says of mutants means nothing`)
    process.exitCode = 1
  }
  let killed = 0
  for (const mutant of chosen) {
    const isDead = await isKilled(copy, mutant)
    killed += Number(isDead)
    if (!isDead) process.exitCode = 1
    console.log(`${isDead ? 'killed  ' : 'SURVIVED'}  ${mutant.invariant.padEnd(4)} ${mutant.guard} (${mutant.test})`)
  }
  console.log(`${killed} of ${chosen.length} mutants killed`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}

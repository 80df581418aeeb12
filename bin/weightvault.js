#!/usr/bin/env node
// @ts-check
// Plain JavaScript without imports of ours: an old Node must get as far as the sentence below.
import { existsSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import v8 from 'node:v8'

// A checkout runs its sources; a package has only what was built from them.
const main = ['../src/main.ts', '../dist/main.js']
  .map((path) => new URL(path, import.meta.url))
  .find((url) => existsSync(url))

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 11)) {
  console.error(
    `weightvault needs Node.js 24.11 or newer; this is ${process.versions.node}. ` +
      'Install Node.js 24 (https://nodejs.org), or in a checkout use scripts/weightvault, which brings its own.',
  )
  process.exitCode = 78
} else if (main === undefined) {
  console.error('weightvault has no program in it: this package was packed without `npm run build`.')
  process.exitCode = 1
} else {
  keepMemorySmall()
  keepCompiledCode()
  await (await import(main.href)).main(process.argv.slice(2))
}

// Compiling our sources costs most of the CPU of a short command. The cache lies in a folder of this user alone, never
// in the shared temporary folder, where somebody else could put code into it first. Where it cannot be written there
// is none.
function keepCompiledCode() {
  try {
    const caches = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
    const folder = join(caches, 'weightvault', 'compiled')
    module.enableCompileCache(folder)
    // Threads have a cache only by this; without one each loads the whole compiler, some 30 MB.
    process.env['NODE_COMPILE_CACHE'] ??= folder
  } catch {
    // This user has no home folder.
  }
}

// V8 lets the space for new objects grow to 48 MiB, which fill with the buffers of a download before it looks for
// garbage, and waits long before it looks through the old ones, growing by 8 MiB at least. Kept small the process needs a
// third less memory. So little is looked through sooner by one thread than it is shared out among four.
function keepMemorySmall() {
  v8.setFlagsFromString('--semi-space-growth-factor=1')
  v8.setFlagsFromString('--no-parallel-scavenge')
  v8.setFlagsFromString('--heap-growing-percent=20')
  v8.setFlagsFromString('--optimize-for-size')
  // The little WebAssembly there is (undici's parser, Node's type stripper) never earns what optimizing it costs: some
  // 10 MB for a moment. Only both together stop it; the first alone optimizes at once.
  v8.setFlagsFromString('--no-wasm-dynamic-tiering')
  v8.setFlagsFromString('--no-wasm-tier-up')
}

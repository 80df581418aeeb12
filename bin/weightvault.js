#!/usr/bin/env node
// @ts-check
// Plain JavaScript without imports of ours: an old Node must get as far as the sentence below.
import { existsSync } from 'node:fs'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 11)) {
  console.error(
    `weightvault needs Node.js 24.11 or newer; this is ${process.versions.node}. ` +
      'Install Node.js 24 (https://nodejs.org), or in a checkout use scripts/weightvault, which brings its own.',
  )
  process.exitCode = 78
} else {
  // A checkout runs its sources; a package has only what was built from them.
  const source = new URL('../src/main.ts', import.meta.url)
  const built = new URL('../dist/main.js', import.meta.url)
  const { main } = await import(existsSync(source) ? source.href : built.href)
  await main(process.argv.slice(2))
}

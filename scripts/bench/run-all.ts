/** `npm run bench [NAME…] [--quick] [--rounds N]`: every benchmark, or those named, one after the other. */
import { readOptions, type Bench } from './bench-entry.ts'
import { catalog } from './catalog-figures.ts'
import { changes } from './changes.ts'
import { cliLatency } from './cli-latency.ts'
import { describeMachine, printResult } from './figures.ts'
import { firstListings } from './first-listings.ts'
import { firstSync } from './first-sync.ts'
import { largeFiles } from './large-files.ts'
import { memoryManyFiles } from './memory-many-files.ts'
import { memoryOneFile } from './memory-one-file.ts'
import { mirror } from './mirror.ts'
import { pollUnchanged } from './poll-unchanged.ts'
import { restoreFiles } from './restore-files.ts'
import { smallFiles } from './small-files.ts'

const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ['poll-unchanged', pollUnchanged],
  ['changes', changes],
  ['first-listings', firstListings],
  ['first-sync', firstSync],
  ['large-files', largeFiles],
  ['memory-one-file', memoryOneFile],
  ['memory-many-files', memoryManyFiles],
  ['small-files', smallFiles],
  ['catalog', catalog],
  ['cli-latency', cliLatency],
  ['restore-files', restoreFiles],
  ['mirror', mirror],
])

const { options, names } = readOptions(process.argv.slice(2))
const unknown = names.filter((name) => !BENCHES.has(name))
if (unknown.length > 0) {
  console.error(`unknown benchmark ${unknown.join(', ')}; there are ${[...BENCHES.keys()].join(', ')}`)
  process.exit(2)
}
for (const line of await describeMachine()) console.log(`- ${line}`)
if (options.quick) console.log('- --quick: small sizes, to see that it works; not to be quoted')
for (const [name, bench] of BENCHES) {
  if (names.length > 0 && !names.includes(name)) continue
  try {
    console.log(`\n${printResult(await bench(options))}`)
  } catch (error) {
    // The others still say something.
    console.log(`\n### ${name}\n\nNOT MEASURED: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}

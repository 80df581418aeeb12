/** Runs scripts/bench/catalog.ts and picks the figures that are promised: `node scripts/bench/catalog-figures.ts`. */
import { fileURLToPath } from 'node:url'
import { runAlone } from './bench-entry.ts'
import { BenchFolder } from './bench-vault.ts'
import type { BenchOptions, BenchResult } from './figures.ts'
import { measureNode } from './measured-process.ts'

const CATALOG_BENCH = fileURLToPath(new URL('catalog.ts', import.meta.url))

/** A catalog with a million files, synchronous=FULL throughout. */
export async function catalog(options: BenchOptions): Promise<BenchResult> {
  const [files, repos] = options.quick ? [50_000, 5000] : [1_000_000, 50_000]
  await using folder = await BenchFolder.make()
  const run = await measureNode([CATALOG_BENCH, String(files), String(repos)], folder.path)
  if (run.exitCode !== 0) throw new Error(`catalog.ts ended with ${run.exitCode}: ${run.stderr.slice(-2000)}`)
  const rows = readRows(run.stdout)
  const pages = rows.filter((row) => row.name.startsWith('list page of'))
  return {
    bench: 'catalog',
    setting:
      `${files} files in listings of 500, ${repos} repositories, synchronous=FULL. All rows: scripts/bench/catalog.ts. ` +
      'A page is the slower of p99 over 100 pages, whatever the filter.',
    figures: [
      {
        figure: 'start (open for writing)',
        unit: 'seconds',
        ours: numberOf(rows, 'start, write'),
        target: { below: 2 },
      },
      {
        figure: 'list page of 50, slowest filter',
        unit: 'milliseconds',
        ours: pages.length === 0 ? undefined : Math.max(...pages.map((row) => worstOf(row.value))),
        target: { below: 10 },
      },
      {
        figure: 'bytes of a file row',
        unit: 'bytes-exact',
        ours: numberOf(rows, 'bytes of a file row on disk'),
        target: { atMost: 200 },
      },
      {
        figure: 'refresh of unchanged rows',
        unit: 'seconds',
        ours: sameRowsSeconds(rows),
        target: { below: 3 },
      },
      { figure: 'peak memory of the whole run', unit: 'bytes', ours: run.peakRssBytes },
    ],
    notes: [['```text', run.stdout.trimEnd(), '```'].join('\n')],
  }
}

interface Row {
  readonly name: string
  readonly value: string
}

/** A name and a value, with at least two spaces between them. */
function readRows(stdout: string): Row[] {
  return stdout.split('\n').flatMap((line) => {
    const found = /^(\S.*?) {2,}(\S.*)$/.exec(line)
    return found?.[1] === undefined || found[2] === undefined ? [] : [{ name: found[1], value: found[2] }]
  })
}

function numberOf(rows: readonly Row[], name: string): number | undefined {
  const value = Number.parseFloat(rows.find((row) => row.name === name)?.value ?? '')
  return Number.isNaN(value) ? undefined : value
}

function sameRowsSeconds(rows: readonly Row[]): number | undefined {
  const row = rows.find(({ name }) => name.startsWith('refresh of') && name.endsWith('same policy'))
  return row === undefined ? undefined : numberOf(rows, row.name)
}

/** The p99 of `p50 0.12  p99 0.34 ms`. */
function worstOf(value: string): number {
  return Number(/p99 ([\d.]+)/.exec(value)?.[1] ?? Number.NaN)
}

if (import.meta.main) await runAlone(catalog)

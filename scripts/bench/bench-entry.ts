import { parseArgs } from 'node:util'
import { describeMachine, printResult, type BenchOptions, type BenchResult } from './figures.ts'

/** One benchmark. It ends with a table, whatever the figures are; it throws only when it could not measure. */
export type Bench = (options: BenchOptions) => Promise<BenchResult>

/** Reads `--quick`, `--rounds N` and the names of benchmarks. @throws on any other flag */
export function readOptions(words: readonly string[]): { readonly options: BenchOptions; readonly names: string[] } {
  const { values, positionals } = parseArgs({
    args: [...words],
    options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string', default: '3' } },
    allowPositionals: true,
  })
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) throw new Error('--rounds takes a number from 1 to 100')
  return { options: { quick: values.quick, rounds: values.quick ? 1 : rounds }, names: positionals }
}

/** Runs one benchmark that was started alone. */
export async function runAlone(bench: Bench): Promise<void> {
  const { options } = readOptions(process.argv.slice(2))
  for (const line of await describeMachine()) console.log(line)
  console.log(`\n${printResult(await bench(options))}`)
}

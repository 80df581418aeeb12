import { arch, cpus, platform, release, totalmem } from 'node:os'
import { readFile } from 'node:fs/promises'

/** How a number is written. Bytes are printed in MB (10^6), seconds with three digits. */
export type Unit =
  | 'count'
  | 'seconds'
  | 'milliseconds'
  | 'bytes'
  | 'bytes-exact'
  | 'bytes-per-second'
  | 'files-per-second'
  | 'requests-per-second'

/** One measured number beside what it is compared with. */
export interface Figure {
  readonly figure: string
  readonly unit: Unit
  /** undefined: this machine could not measure it. */
  readonly ours: number | undefined
  readonly peer?: { readonly name: string; readonly value: number | undefined } | undefined
  /** What is promised; a miss is shown, never an error. */
  readonly target?: { readonly atMost: number } | { readonly below: number } | { readonly atLeast: number } | undefined
}

/** What `sync` may have resident at its peak, whatever it downloads: 150 MB of 10^6 bytes, as figures are printed. */
export const MEMORY_TARGET = { below: 150e6 } as const

/** The figures of one benchmark, and what they were measured with. */
export interface BenchResult {
  readonly bench: string
  /** Sizes and conditions, one sentence. */
  readonly setting: string
  readonly figures: readonly Figure[]
  /** What was left out, and why. */
  readonly notes?: readonly string[] | undefined
}

/** How much is measured. */
export interface BenchOptions {
  /** Small sizes: shows that the benchmark works, not what it measures. */
  readonly quick: boolean
  /** How often each measured call is repeated where that is cheap; the median is shown. */
  readonly rounds: number
}

/** The middle value. @throws on an empty list */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted[Math.floor(sorted.length / 2)]
  if (middle === undefined) throw new Error('nothing was measured')
  return middle
}

/** The middle of what could be measured; undefined when nothing could. */
export function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : median(known)
}

/** Machine, system, Node and our commit of this run, one line each. */
export async function describeMachine(): Promise<string[]> {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const processors = cpus()
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`
  return [
    `${processors.length} cores (${processors[0]?.model ?? 'unknown'}), ${memory}, ${platform()} ${release()} ${arch()}`,
    `Node ${process.versions.node}, weightvault ${version}, ${new Date().toISOString().slice(0, 10)}`,
  ]
}

const HEAD = ['figure', 'ours', 'peer', 'ratio', 'target', ''] as const

/** A Markdown table that is also readable in a terminal. */
export function printResult(result: BenchResult): string {
  const rows = result.figures.map((figure) => [
    figure.figure,
    formatValue(figure.ours, figure.unit),
    figure.peer === undefined ? '' : `${formatValue(figure.peer.value, figure.unit)} (${figure.peer.name})`,
    ratioOf(figure),
    targetOf(figure),
    verdictOf(figure),
  ])
  const widths = HEAD.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => (at === 0 || at === 5 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, at) => (at === 0 || at === 5 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [
    `### ${result.bench}`,
    '',
    result.setting,
    '',
    line(HEAD),
    rule,
    ...rows.map(line),
    ...(result.notes ?? []).flatMap((note) => ['', note]),
    '',
  ].join('\n')
}

function ratioOf({ ours, peer }: Figure): string {
  if (ours === undefined || peer?.value === undefined || peer.value === 0) return ''
  return `${(ours / peer.value).toPrecision(2)}x`
}

function targetOf({ target, unit }: Figure): string {
  if (target === undefined) return ''
  if ('atLeast' in target) return `>= ${formatValue(target.atLeast, unit)}`
  return 'atMost' in target ? `<= ${formatValue(target.atMost, unit)}` : `< ${formatValue(target.below, unit)}`
}

function verdictOf({ ours, target }: Figure): string {
  if (target === undefined) return ''
  if (ours === undefined) return 'not measured'
  if ('atLeast' in target) return ours >= target.atLeast ? 'ok' : 'MISSED'
  const isMet = 'atMost' in target ? ours <= target.atMost : ours < target.below
  return isMet ? 'ok' : 'MISSED'
}

function formatValue(value: number | undefined, unit: Unit): string {
  if (value === undefined) return '?'
  switch (unit) {
    case 'count':
      return Number.isInteger(value) ? String(value) : value.toFixed(2)
    case 'seconds':
      return `${value.toFixed(value < 10 ? 2 : 1)} s`
    case 'milliseconds':
      return `${value.toFixed(value < 10 ? 2 : 0)} ms`
    case 'bytes':
      return `${(value / 1e6).toFixed(0)} MB`
    case 'bytes-exact':
      return `${Number.isInteger(value) ? value : value.toFixed(1)} B`
    case 'bytes-per-second':
      return `${(value / 1e6).toFixed(0)} MB/s`
    case 'files-per-second':
      return `${value.toFixed(0)} files/s`
    case 'requests-per-second':
      return `${value.toFixed(0)} req/s`
  }
}

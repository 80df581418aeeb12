import { formatSize } from '../domain/size-text.ts'

export { formatSize }

/** Text that is not a size, duration or rate; the message says what is allowed and holds no more than the given text. */
export class UnitError extends Error {
  override readonly name = 'UnitError'
}

/** Bytes per unit. Decimal units are powers of 1000, binary ones powers of 1024. */
const SIZE_UNITS: ReadonlyMap<string, bigint> = new Map([
  ['B', 1n],
  ['kB', 1000n],
  ['KB', 1000n],
  ['MB', 1000n ** 2n],
  ['GB', 1000n ** 3n],
  ['TB', 1000n ** 4n],
  ['PB', 1000n ** 5n],
  ['KiB', 1024n],
  ['MiB', 1024n ** 2n],
  ['GiB', 1024n ** 3n],
  ['TiB', 1024n ** 4n],
  ['PiB', 1024n ** 5n],
])

/** Milliseconds per unit. */
const DURATION_UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ms', 1n],
  ['s', 1000n],
  ['m', 60_000n],
  ['h', 3_600_000n],
  ['d', 86_400_000n],
  ['w', 604_800_000n],
])

const SIZE_FORM =
  'a size is a number with kB, MB, GB, TB, PB (powers of 1000) or KiB, MiB, GiB, TiB, PiB (powers of 1024)'
const DURATION_FORM = 'a duration is a number with ms, s, m, h, d or w, such as 15m or 30d'
const RATE_FORM = 'a rate is a size per second, such as 50MB/s'

/**
 * Bytes of `8MiB`, `4TB`, `1.5 GB` or `123` (bytes). Exact: a text that is not a whole number of bytes, or more than a
 * number can hold exactly, is refused.
 * @throws UnitError
 */
export function parseSize(text: string): number {
  const { amount, unit } = splitAmount(text, SIZE_FORM)
  const factor = unit === '' ? 1n : factorOf(SIZE_UNITS, unit, text, SIZE_FORM)
  return exactProduct(amount, factor, text, 'bytes')
}

/**
 * Milliseconds of `500ms`, `10s`, `15m`, `6h`, `30d` or `2w`. The unit is required.
 * @throws UnitError
 */
export function parseDuration(text: string): number {
  const { amount, unit } = splitAmount(text, DURATION_FORM)
  if (unit === '') throw new UnitError(`${quote(text)} has no unit: ${DURATION_FORM}`)
  return exactProduct(amount, factorOf(DURATION_UNITS, unit, text, DURATION_FORM), text, 'milliseconds')
}

/**
 * Bytes per second of `50MB/s`. More than nothing: a rate of zero would wait for ever.
 * @throws UnitError
 */
export function parseRate(text: string): number {
  if (!text.trim().endsWith('/s')) throw new UnitError(`${quote(text)} does not end in "/s": ${RATE_FORM}`)
  const bytesPerSecond = parseSize(text.trim().slice(0, -'/s'.length))
  if (bytesPerSecond === 0) throw new UnitError(`${quote(text)} is no rate: nothing would ever move`)
  return bytesPerSecond
}

/** Bytes per second for people: `50.0 MB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatSize(bytesPerSecond)}/s`
}

/** Milliseconds for people, in its two largest units: `450ms`, `12s`, `3m 20s`, `30d`. Parts below are cut off. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return 'unknown'
  if (ms < 0) return `-${formatDuration(-ms)}`
  if (ms < 1000) return `${Math.floor(ms)}ms`
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ]
  const first = units.findIndex(([, unitMs]) => ms >= unitMs)
  const [name, unitMs] = units[first]!
  const whole = `${Math.floor(ms / unitMs)}${name}`
  const next = units[first + 1]
  const rest = next === undefined ? 0 : Math.floor((ms % unitMs) / next[1])
  return next === undefined || rest === 0 ? whole : `${whole} ${rest}${next[0]}`
}

interface Amount {
  /** The number times `scale`, so that fractions stay exact. */
  readonly scaled: bigint
  readonly scale: bigint
}

function splitAmount(text: string, form: string): { amount: Amount; unit: string } {
  // The bounds keep a hostile text from making a huge number.
  const match = /^(\d{1,18})(?:\.(\d{1,9}))? ?([A-Za-z]{0,8})$/.exec(text.trim())
  if (match === null) throw new UnitError(`${quote(text)} is not understood: ${form}`)
  const fraction = match[2] ?? ''
  return {
    amount: { scaled: BigInt(`${match[1]}${fraction}`), scale: 10n ** BigInt(fraction.length) },
    unit: match[3] ?? '',
  }
}

function factorOf(units: ReadonlyMap<string, bigint>, unit: string, text: string, form: string): bigint {
  const factor = units.get(unit)
  if (factor !== undefined) return factor
  const meant = [...units.keys()].findLast((known) => known.toLowerCase() === unit.toLowerCase())
  if (meant !== undefined) throw new UnitError(`${quote(text)} has no unit we know; did you mean "${meant}"?`)
  throw new UnitError(`${quote(text)} has no unit we know: ${form}`)
}

function exactProduct(amount: Amount, factor: bigint, text: string, what: string): number {
  const product = amount.scaled * factor
  if (product % amount.scale !== 0n) throw new UnitError(`${quote(text)} is not a whole number of ${what}`)
  const result = product / amount.scale
  if (result > BigInt(Number.MAX_SAFE_INTEGER)) throw new UnitError(`${quote(text)} is too large`)
  return Number(result)
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}

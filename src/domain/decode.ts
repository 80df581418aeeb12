/**
 * Small decoders for values that upstream sent: each returns the checked value or undefined, never a repaired one.
 */

/** JSON without a prototype's surprises: what `JSON.parse` makes of an object. */
export type JsonObject = Readonly<Record<string, unknown>>

const ISO_TIME = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?Z$/
const FIRST_YEAR = 2000
const LAST_YEAR = 2100

/** A plain JSON object; lists and null are none. */
export function decodeObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
}

/** A size in bytes: an exact integer from 0 to 2^53-1. 0 is a size; a number JSON could not hold exactly is none. */
export function decodeSize(value: unknown): number | undefined {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return undefined
  return value < 0 || Object.is(value, -0) ? undefined : value
}

/** A count written in decimal digits, as in a header: exact, no sign, no white space. */
export function decodeDigits(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined
  return decodeSize(Number(text))
}

/**
 * An ISO time in UTC with or without fractions, normalised to milliseconds. Undefined for anything else, for days that do
 * not exist, and for years no model was published in.
 */
export function decodeTime(value: unknown): string | undefined {
  const match = typeof value === 'string' && value.length <= 40 ? ISO_TIME.exec(value) : null
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  if (year < FIRST_YEAR || year > LAST_YEAR) return undefined
  const milliseconds = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3))
  const text = new Date(Date.UTC(year, month - 1, day, hour, minute, second, milliseconds)).toISOString()
  // A 31st of February becomes a day in March: then the text is another one.
  return text.startsWith(match[0].slice(0, 19)) ? text : undefined
}

/** A list of strings within bounds; undefined when one item is no string, or a bound is passed. */
export function decodeStrings(
  value: unknown,
  bounds: { readonly count: number; readonly length: number },
): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > bounds.count) return undefined
  return value.every((item) => typeof item === 'string' && item.length <= bounds.length) ? value : undefined
}

/** A JSON object whose text is at most `maxLength` characters and whose nesting is at most `maxDepth`, else undefined. */
export function decodeBoundedObject(value: unknown, maxLength: number, maxDepth: number): JsonObject | undefined {
  const object = decodeObject(value)
  if (object === undefined || !isWithinDepth(object, maxDepth)) return undefined
  return JSON.stringify(object).length <= maxLength ? object : undefined
}

function isWithinDepth(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth === 0) return false
  return Object.values(value).every((child) => isWithinDepth(child, depth - 1))
}

import { shuffled } from './random.ts'

/**
 * JSON as the simulated Hub writes it: keys of every object in a random order, because no client may rely on one, and
 * bigints as plain digits, because upstream may send any number.
 */
export function hostileJson(value: unknown, random: () => number): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return rawJson(item.toString())
    if (typeof item !== 'object' || item === null || Array.isArray(item) || isRawJson(item)) return item
    return Object.fromEntries(shuffled(Object.entries(item), random))
  })
}

/** A private deep copy that keeps bigints and raw numbers. */
export function copyJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || isRawJson(value)) return value
  if (Array.isArray(value)) return value.map(copyJson)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyJson(item)]))
}

interface RawJsonSupport {
  rawJSON(text: string): unknown
  isRawJSON(value: unknown): boolean
}

/** A number exactly as written, such as `1e400`. */
export function rawJson(text: string): unknown {
  return (JSON as unknown as RawJsonSupport).rawJSON(text)
}

function isRawJson(value: unknown): boolean {
  return (JSON as unknown as RawJsonSupport).isRawJSON(value)
}

import { createHash } from 'node:crypto'

/** A complete answer of a JSON route. `next` is the rest of a list: path and query, to be linked under our own origin. */
export interface Answer {
  readonly body: Buffer
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
  readonly next: string | undefined
}

/** An answer of JSON data. */
export function jsonAnswer(data: unknown, headers: Record<string, string> = {}, next?: string): Answer {
  const body = Buffer.from(JSON.stringify(data))
  const digest = createHash('sha1').update(body).digest('base64url')
  return { body, etag: `W/"${digest}"`, headers, next }
}

/** Which part of a list is answered, and where the next one starts. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly cursor: string | undefined
}

/** The items after a cursor, which is opaque to clients: the place of the last item they saw. */
export function pageOf<T>(
  items: readonly T[],
  place: (item: T) => string,
  query: { readonly cursor: string | null; readonly limit: number },
): Page<T> {
  const after = query.cursor === null ? undefined : Buffer.from(query.cursor, 'base64url').toString()
  // What the cursor names may be gone: then the list is as good as at its end, and no client walks in circles.
  const found = after === undefined ? -1 : items.findIndex((item) => place(item) === after)
  const start = after !== undefined && found < 0 ? items.length : found + 1
  const part = items.slice(start, start + query.limit)
  const last = part.at(-1)
  const isMore = last !== undefined && start + part.length < items.length
  return { items: part, cursor: isMore ? Buffer.from(place(last)).toString('base64url') : undefined }
}

/** `limit` of a query: a whole number from 1 to the most we give; the most where it is none. */
export function limitOf(text: string | null, most: number): number {
  const limit = Number(text ?? most)
  return Number.isInteger(limit) && limit >= 1 ? Math.min(limit, most) : most
}

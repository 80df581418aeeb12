/** A request as the routes see it. */
import type { Options } from './options.ts'
import type { Fault } from './fault-types.ts'
import type { WorldState } from './world-state.ts'

export type Caller =
  | { kind: 'anonymous' }
  | { kind: 'bad' }
  | { kind: 'user'; token: string; user: string; grants: ReadonlySet<string> }

export interface HubRequest {
  readonly method: string
  /** Path as sent, percent-encoding kept, without the query. */
  readonly rawPath: string
  /** `rawPath` split at `/`, each part still encoded; the first is what follows the leading slash. */
  readonly segments: readonly string[]
  readonly rawQuery: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly caller: Caller
  /** Body of a POST, at most 8 MiB. */
  readonly body: Buffer
  /** The combined faults that meet this request. */
  readonly fault: Fault
}

/** What routes may use besides the request. */
export interface HubContext {
  readonly state: WorldState
  readonly options: Options
  readonly url: string
  readonly cdnUrl: string
}

/** Percent-decodes once. @returns undefined when the encoding or its UTF-8 is broken */
export function decodeOnce(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Values of an array parameter in both spellings: `key=a&key=b` and `key[]=a`. */
export function arrayParameter(query: URLSearchParams, key: string): string[] {
  return [...query.getAll(key), ...query.getAll(`${key}[]`)]
}

/** Who asks, from the Authorization header. */
export function callerOf(authorization: string | undefined, tokens: Options['tokens']): Caller {
  if (authorization === undefined) return { kind: 'anonymous' }
  const token = /^Bearer (\S+)$/.exec(authorization)?.[1]
  const known = token === undefined ? undefined : tokens.get(token)
  if (token === undefined || known === undefined) return { kind: 'bad' }
  return { kind: 'user', token, user: known.user, grants: known.grants }
}

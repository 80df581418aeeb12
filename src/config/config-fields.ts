import { isIP } from 'node:net'
import { z } from 'zod'
import { type RepoRef, isOwnerOrName, parseRepoArgument, parseRepoName, printRepo } from '../domain/repo.ts'
import type { DailyWindow } from '../domain/settings.ts'
import { isLoopbackHost } from '../lib/http-visitor.ts'
import { UnitError, parseDuration, parseRate, parseSize } from '../lib/units.ts'
import { quoteText } from './config-problem.ts'

// One builder for each kind of value in the file. Each takes what YAML can hold and gives what the program uses; the
// JSON Schema shows the input side. Messages name what is allowed, and never repeat a URL, which may hold a secret.

/** Where a server listens. */
export interface ListenAddress {
  /** A name or an IP address, without brackets. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

const SIZE_EXPECTED = 'Expected a size such as 500GB or 8MiB'

/** Bytes, from `500GB` or 0. A bare number is refused: who writes 500 means gigabytes, and would get bytes. */
export const size = z
  .union([z.string(), z.literal(0)], { error: SIZE_EXPECTED })
  .meta({ examples: ['500GB', '8MiB'] })
  .transform((value, ctx) =>
    read(ctx, () => {
      const bytes = value === 0 ? 0 : parseSize(value)
      if (bytes === 0 || !/^[\s\d._]*$/.test(String(value))) return bytes
      throw new UnitError(`${quoteText(String(value))} has no unit; ${SIZE_EXPECTED.toLowerCase()}`)
    }),
  )

/** Bytes per second, from `50MB/s`. */
export const rate = z
  .string({ error: 'Expected a rate such as 50MB/s' })
  .meta({ examples: ['50MB/s'] })
  .transform((value, ctx) => read(ctx, () => parseRate(value)))

/** Milliseconds, from `10m`; between the two given durations. */
export function duration(least: string, most: string): z.ZodType<number, string> {
  return z
    .string({ error: 'Expected a duration such as 10m or 30d' })
    .meta({ examples: ['10m', '30d'] })
    .transform((value, ctx) =>
      read(ctx, () => {
        const ms = parseDuration(value)
        if (ms >= parseDuration(least) && ms <= parseDuration(most)) return ms
        throw new UnitError(`${quoteText(value)} is outside of what is allowed here: ${least} to ${most}`)
      }),
    )
}

/** A text of 1 to `most` characters on one line. */
export function line(most: number): z.ZodString {
  return z
    .string()
    .min(1, { error: 'Must not be empty' })
    .max(most, { error: `At most ${most} characters` })
    .refine((text) => !/[\p{Cc}\u2028\u2029]/u.test(text), { error: 'Must be one line without control characters' })
}

/** A secret that can stand in an HTTP header: printable ASCII without blanks. An empty text counts as not given. */
export const token = z
  .string()
  .max(1024, { error: 'At most 1024 characters' })
  .refine(isToken, { error: 'Expected one word of printable ASCII characters' })

/** Whether a text can be sent as a bearer token; the empty text can be given, and means none. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]{0,1024}$/.test(text)
}

/** Name of an organisation or user on the Hub. */
export const ownerName = z.string().refine(isOwnerOrName, {
  error: 'Expected the name of an organisation or user as the Hub spells it, such as Qwen',
})

/** `owner/name`, or `datasets/owner/name`. */
export const repoRef = z.string().transform((text, ctx): RepoRef => {
  const ref = parseRepoRef(text)
  if (ref !== undefined) return ref
  const meant = parseRepoArgument(text)
  const hint = meant === undefined || meant.ref.type === 'space' ? '' : `; did you mean "${printRepo(meant.ref)}"?`
  ctx.addIssue({ code: 'custom', message: `Expected owner/name or datasets/owner/name${hint}` })
  return z.NEVER
})

/** Origin and path of a Hub, without a trailing slash. */
export const endpoint = z.string().transform((text, ctx) => {
  const parsed = normaliseEndpoint(text)
  if (typeof parsed === 'string') return parsed
  ctx.addIssue({ code: 'custom', message: parsed.problem })
  return z.NEVER
})

/**
 * A Hub's address as origin and path without a trailing slash. Credentials are refused: they would travel in every
 * request and message; the token has its own key.
 */
export function normaliseEndpoint(text: string): string | { problem: string } {
  const url = URL.parse(text.trim())
  if (url === null) return { problem: 'Expected a URL such as https://huggingface.co' }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { problem: 'Only http: and https: are allowed' }
  if (url.username !== '' || url.password !== '') {
    return { problem: 'Must not hold a user name or password; use hub.token or HF_TOKEN' }
  }
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text)) return { problem: 'Must not hold "?" or "#"' }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** Name or IP address of a server, without a port. */
export const hostName = z
  .string()
  .refine((text) => isIP(text) !== 0 || /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(text), {
    error: 'Expected the name or the IP address of a server, without a port',
  })

/** `127.0.0.1:8420`, `[::1]:8420`, `localhost:8420`; `off` for no server. */
export const listenAddress = z
  .string({ error: 'Expected an address such as 127.0.0.1:8420, or off' })
  .meta({ examples: ['127.0.0.1:8420', 'off'] })
  .transform((text, ctx): ListenAddress | 'off' => {
    if (text === 'off') return 'off'
    const address = parseListenAddress(text)
    if (address !== undefined) return address
    ctx.addIssue({ code: 'custom', message: 'Expected host:port such as 127.0.0.1:8420 or [::1]:8420, or off' })
    return z.NEVER
  })

/** Reads `host:port`; undefined when it is none. A host is an IP address or a name. */
function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  const host = match[1] ?? match[2]!
  if (port > 65_535 || (match[1] !== undefined && isIP(host) !== 6)) return undefined
  return { host, port }
}

/** Whether nobody outside this machine can reach the address. */
export function isLoopback(address: ListenAddress): boolean {
  return isLoopbackHost(address.host)
}

/** `vault.lan`, or `https://vault.example` for a name behind a proxy that speaks TLS. */
export const serviceName = z
  .string({ error: 'Expected a name such as vault.lan, or an origin such as https://vault.example' })
  .max(300, { error: 'At most 300 characters' })
  .meta({ examples: ['vault.lan', 'https://vault.example'] })
  .refine((text) => isHostName(text) || isOrigin(text), {
    error: 'Expected a name such as vault.lan, or an origin such as https://vault.example',
  })

function isHostName(text: string): boolean {
  return /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(text)
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text.toLowerCase()
}

/** `23:00-07:00`, local time. */
export const dayWindow = z
  .string({ error: 'Expected a time span such as "23:00-07:00"' })
  .meta({ examples: ['23:00-07:00'] })
  .transform((text, ctx): DailyWindow => {
    const window = parseDayWindow(text)
    if (window !== undefined) return window
    ctx.addIssue({ code: 'custom', message: 'Expected a time span such as "23:00-07:00": two different times of day' })
    return z.NEVER
  })

function parseDayWindow(text: string): DailyWindow | undefined {
  const match = /^([01]\d|2[0-3]):([0-5]\d) ?- ?([01]\d|2[0-3]):([0-5]\d)$/.exec(text.trim())
  if (match === null) return undefined
  const startMinute = Number(match[1]) * 60 + Number(match[2])
  const endMinute = Number(match[3]) * 60 + Number(match[4])
  return startMinute === endMinute ? undefined : { startMinute, endMinute }
}

function parseRepoRef(text: string): RepoRef | undefined {
  const model = parseRepoName(text)
  if (model !== undefined) return { type: 'model', name: model }
  if (!text.startsWith('datasets/')) return undefined
  const dataset = parseRepoName(text.slice('datasets/'.length))
  return dataset === undefined ? undefined : { type: 'dataset', name: dataset }
}

function read(ctx: z.RefinementCtx, parse: () => number): number {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof UnitError)) throw error
    ctx.addIssue({ code: 'custom', message: `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}` })
    return z.NEVER
  }
}

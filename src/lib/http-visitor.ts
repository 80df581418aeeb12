import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Refusal } from './http-refusal.ts'

/** Who asks, as far as it can be believed. */
export interface Visitor {
  /** Whether it sent the service's bearer token. False where the service has none. */
  readonly hasToken: boolean
  /** Scheme, host and port under which it reached us, checked against the allowlist: the base of absolute links. */
  readonly origin: string
}

/** By which names and secrets visitors are let in. */
export interface DoorOptions {
  /** Where the service listens: a name or an IP address without brackets. */
  readonly host: string
  readonly token: string | undefined
  /** Other names it is asked by: `vault.lan`, or `https://vault.example` where a proxy speaks TLS for it. */
  readonly names: readonly string[]
  /** The machine's own name, which stands for any of its addresses. */
  readonly machineName: string
}

/**
 * Decides which `Host` a request may name. A web page whose name was pointed at this machine (DNS rebinding) sends its
 * own name; an IP address cannot be rebound. `X-Forwarded-*` counts only where it names a configured origin.
 */
export class Door {
  readonly #token: Buffer | undefined
  readonly #isLoopback: boolean
  readonly #names: ReadonlySet<string>
  /** Host (with port, if any) → origin of a configured URL. */
  readonly #origins: ReadonlyMap<string, string>
  /** A `Host` header that was let in → its origin. Few and bounded: programs use one or two. */
  readonly #known = new Map<string, string>()

  constructor({ host, token, names, machineName }: DoorOptions) {
    this.#token = token === undefined ? undefined : digestOf(token)
    this.#isLoopback = isLoopbackHost(host)
    const machine = machineName.toLowerCase()
    const own = this.#isLoopback ? ['localhost'] : ['localhost', machine, `${machine}.local`]
    const urls = names.filter((name) => name.includes('://')).map((name) => new URL(name))
    const bare = names.filter((name) => !name.includes('://')).map((name) => name.toLowerCase())
    this.#names = new Set([...own, host.toLowerCase(), ...bare, ...urls.map((url) => url.hostname)])
    this.#origins = new Map(urls.map((url) => [url.host, url.origin]))
  }

  /** The visitor, or why it is turned away. */
  admit(request: IncomingMessage): Visitor | Refusal {
    if (countOf('host', request.rawHeaders) !== 1) {
      return { status: 400, code: 'BadRequest', message: 'Exactly one Host header is needed' }
    }
    const origin = this.#originOf(request)
    if (origin === undefined) {
      const message = 'This name is not one of this service; add it to serve.hosts if it is'
      return { status: 421, code: 'HostNotAllowed', message }
    }
    return { hasToken: this.#hasToken(request.headers.authorization), origin }
  }

  #originOf(request: IncomingMessage): string | undefined {
    const host = request.headers.host!
    let origin = this.#known.get(host)
    if (origin === undefined) {
      origin = this.#allowedOrigin(host.toLowerCase())
      if (origin === undefined) return undefined
      if (this.#known.size < 64) this.#known.set(host, origin)
    }
    const forwarded = request.headers['x-forwarded-host']
    return (typeof forwarded === 'string' ? this.#origins.get(forwarded.toLowerCase()) : undefined) ?? origin
  }

  #allowedOrigin(host: string): string | undefined {
    const match = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(:\d{1,5})?$/.exec(host)
    if (match === null) return undefined
    const name = match[1] ?? match[2]!
    if (match[1] !== undefined && isIP(name) !== 6) return undefined
    if (!this.#names.has(name) && !(isIP(name) !== 0 && (!this.#isLoopback || isLoopbackHost(name)))) return undefined
    return this.#origins.get(host) ?? `http://${host}`
  }

  #hasToken(authorization: string | undefined): boolean {
    if (this.#token === undefined || authorization === undefined) return false
    const match = /^bearer +(\S+)$/i.exec(authorization)
    return match !== null && timingSafeEqual(digestOf(match[1]!), this.#token)
  }
}

/** Whether nobody outside this machine can reach the address. Any other name may resolve anywhere, so it is not. */
export function isLoopbackHost(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  return isIP(host) === 4 && host.startsWith('127.')
}

/** Whether two secrets are equal, in a time that tells nothing about either. */
export function isSameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(expected))
}

/** How often a header stands there: `headers` keeps the first of two silently. */
function countOf(name: string, rawHeaders: readonly string[]): number {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const header = rawHeaders[at]!
    if (header.length === name.length && header.toLowerCase() === name) count++
  }
  return count
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

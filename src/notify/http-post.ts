import { buildConnector, EnvHttpProxyAgent, request } from 'undici'
import { ArchiveError } from '../domain/errors.ts'
import { AddressRefusedError, isPrivateHost, publicLookup } from '../lib/private-address.ts'

/** Proxies as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name them. */
export interface ProxyAddresses {
  readonly http?: string
  readonly https?: string
  readonly no?: string
}

/** Where a channel posts to. */
export interface PostTarget {
  /** A secret: in no message and no log. */
  readonly url: string
  readonly allowPrivate: boolean
  readonly proxy: ProxyAddresses | undefined
  /** Milliseconds for everything. Default: 15 s. */
  readonly deadlineMs?: number
}

const DEADLINE_MS = 15_000
const CONNECT_MS = 7000
/** Of an answer no more is read: it is not shown to anybody. */
const MAX_REPLY_BYTES = 64 * 1024
const MAX_HEADER_BYTES = 16 * 1024
const LONGEST_PAUSE_MS = 3_600_000

/**
 * Posts once. Follows no redirect, reads a bounded part of the answer, and keeps to public addresses unless the channel
 * may be at a private one. An answer that breaks off after its status was given all the same.
 * @throws ArchiveError CHANNEL_UNREACHABLE, CHANNEL_REFUSED, or the signal's reason
 */
export async function postOnce(
  target: PostTarget,
  message: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  signal: AbortSignal,
): Promise<void> {
  const { hostname } = new URL(target.url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  if (!target.allowPrivate && isPrivateHost(host)) throw privateAddress(`${host} is a private address`)
  const deadline = AbortSignal.timeout(target.deadlineMs ?? DEADLINE_MS)
  const agent = agentFor(target)
  try {
    const answer = await request(target.url, {
      dispatcher: agent,
      method: 'POST',
      headers: message.headers,
      body: message.body,
      signal: AbortSignal.any([signal, deadline]),
    })
    const { statusCode, headers } = answer
    await readSome(answer.body)
    if (statusCode < 200 || statusCode > 299) throw refusedBy(host, statusCode, headers['retry-after'])
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ArchiveError) throw error
    if (isRefusedAddress(error)) throw privateAddress(`${host} is at a private address`)
    throw unreachable(host, deadline.aborted ? 'it did not answer in time' : reasonOf(error), error)
  } finally {
    await agent.destroy()
  }
}

function agentFor({ url, allowPrivate, proxy }: PostTarget): EnvHttpProxyAgent {
  const { protocol, hostname } = new URL(url)
  const uri = (protocol === 'https:' ? proxy?.https : proxy?.http) ?? ''
  const options = { timeout: CONNECT_MS, allowH2: false }
  const free = buildConnector(options)
  const guarded = buildConnector({ ...options, lookup: publicLookup() })
  return new EnvHttpProxyAgent({
    httpProxy: uri,
    httpsProxy: uri,
    noProxy: proxy?.no ?? '',
    // A proxy is the user's own and may be anywhere; it then resolves the channel's name itself.
    connect: (to, callback) => (allowPrivate || to.hostname !== hostname ? free : guarded)(to, callback),
    allowH2: false,
    maxHeaderSize: MAX_HEADER_BYTES,
  })
}

async function readSome(body: AsyncIterable<Uint8Array> & { destroy(): unknown }): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      if (bytes > MAX_REPLY_BYTES) break
    }
  } catch {
    // The status was the answer.
  } finally {
    body.destroy()
  }
}

function refusedBy(host: string, status: number, retryAfter: string | string[] | undefined): ArchiveError {
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const seconds = /^\d{1,6}(?:\.\d{1,6})?$/.test(String(retryAfter)) ? Number(retryAfter) : undefined
    const retryAfterMs = seconds === undefined ? undefined : Math.min(seconds * 1000, LONGEST_PAUSE_MS)
    return new ArchiveError('CHANNEL_UNREACHABLE', `${host} answered with status ${status}`, {
      hint: 'it is tried again by itself',
      details: retryAfterMs === undefined ? {} : { retryAfterMs },
    })
  }
  const isRedirect = status >= 300 && status <= 399
  return new ArchiveError('CHANNEL_REFUSED', `${host} answered with status ${status}`, {
    hint: isRedirect
      ? 'redirects are not followed: put the final address into the configuration'
      : 'check the address and the secret of this channel',
  })
}

function unreachable(host: string, reason: string, cause: unknown): ArchiveError {
  return new ArchiveError('CHANNEL_UNREACHABLE', `${host} could not be reached: ${reason}`, {
    cause,
    hint: 'check network, proxy and name; it is tried again by itself',
  })
}

function privateAddress(message: string): ArchiveError {
  return new ArchiveError('CHANNEL_REFUSED', message, {
    hint: 'set allow_private: true on this channel if it is meant to be in your own network',
  })
}

function isRefusedAddress(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (at instanceof AddressRefusedError) return true
  }
  return false
}

/** A code, never a message: that may hold the address. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{2,60}$/.test(code) ? code : 'the connection failed'
}

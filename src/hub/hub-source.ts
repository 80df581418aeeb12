import type { Clock } from '../clock-port.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { HubSource } from '../hub-port.ts'
import type { ResolveName } from '../lib/private-address.ts'
import type { Log } from '../log-port.ts'
import { AddressGuard } from './address-guard.ts'
import { askRepo } from './ask-repo.ts'
import { openByteRoute } from './byte-route.ts'
import { readEndpoint } from './endpoint.ts'
import { fetchSmall } from './fetch-small.ts'
import { createDispatcher, type ProxyOptions } from './http-agent.ts'
import { type Deadlines, DEFAULT_DEADLINES, type HubContext } from './hub-context.ts'
import { listOwner } from './list-owner.ts'
import { openRange } from './open-range.ts'
import { QuotaGate } from './quota.ts'
import { readCommits } from './read-commits.ts'
import { readRefs } from './read-refs.ts'
import { readTree } from './read-tree.ts'
import { resolveFile } from './resolve-file.ts'

export type { Deadlines } from './hub-context.ts'
export type { ProxyOptions } from './http-agent.ts'

export interface HubSourceOptions {
  /** Address of a Hub, such as `https://huggingface.co`; http(s), may have a path, no credentials. */
  readonly endpoint: string
  readonly token: string | undefined
  readonly proxy: ProxyOptions | undefined
  readonly userAgent: string
  readonly clock: Clock
  readonly log: Log
  readonly deadlines?: Partial<Deadlines>
  /** Told whenever a request waits a second or more for the quota or for another try. */
  readonly onWaiting?: (reason: string, untilMs: number) => void
  /** Replaces the system's name resolution. */
  readonly resolveName?: ResolveName
}

/**
 * A Hugging Face Hub, or a server that speaks like one. Nothing it says is believed unchecked.
 * @throws ArchiveError CONFIG_INVALID, CREDENTIALS_INVALID
 */
export function createHubSource(options: HubSourceOptions): HubSource {
  const endpoint = readEndpoint(options.endpoint)
  const deadlines = { ...DEFAULT_DEADLINES, ...options.deadlines }
  const guard = new AddressGuard(endpoint.target, options.resolveName)
  const onWaiting = options.onWaiting ?? (() => undefined)
  const api = createDispatcher(guard, options.proxy, deadlines.connectMs)
  const bulk = openByteRoute(guard, options.proxy, deadlines.connectMs)
  const small = openByteRoute(guard, options.proxy, deadlines.connectMs)
  const context: HubContext = {
    endpoint,
    token: readToken(options.token),
    userAgent: options.userAgent,
    clock: options.clock,
    log: options.log,
    deadlines,
    guard,
    quota: new QuotaGate(options.clock, onWaiting),
    onWaiting,
    random: Math.random,
    api,
    bulk,
    small,
  }
  // The Hub counts an anonymous caller apart from the owner of a token.
  const anonymous =
    context.token === undefined
      ? context
      : { ...context, token: undefined, quota: new QuotaGate(options.clock, onWaiting) }
  return {
    endpoint: endpoint.text,
    hasToken: context.token !== undefined,
    listOwner: (owner, type, signal) => listOwner(context, owner, type, signal),
    askRepo: (ref, signal, as) => askRepo(as?.anonymous === true ? anonymous : context, ref, signal),
    readCommits: (ref, from, signal) => readCommits(context, ref, from, signal),
    readRefs: (ref, signal) => readRefs(context, ref, signal),
    readTree: (ref, commit, signal) => readTree(context, ref, commit, signal),
    resolveFile: (file, signal) => resolveFile(context, file, signal),
    openRange: (resolved, start, end, signal) => openRange(context, resolved, { start, end }, signal),
    fetchSmall: (file, into, signal) => fetchSmall(context, file, into, signal),
    async close() {
      await Promise.all([api.destroy(), bulk.close(), small.close()])
    },
  }
}

/** A token with a blank or line break would become another header, or an error that quotes it. */
function readToken(token: string | undefined): string | undefined {
  if (token === undefined || token === '') return undefined
  if (/^[\u0021-\u007e]{1,1000}$/.test(token)) return token
  throw new ArchiveError('CREDENTIALS_INVALID', 'the token holds characters a token cannot have', {
    hint: 'Look for a line break or blank at its end. A token looks like hf_ and letters and digits.',
  })
}

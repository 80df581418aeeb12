import { Hono, type Context } from 'hono'
import type { EventFilter } from '../archive-rows.ts'
import { EVENT_TYPES, SEVERITIES, type LoggedEvent } from '../domain/events.ts'
import { parseRepoName, type RepoRef } from '../domain/repo.ts'
import { startHttpService, TOKEN_NEEDED, type HttpEnv, type HttpService } from '../lib/http-service.ts'
import { isLoopbackHost, isSameSecret } from '../lib/http-visitor.ts'
import type { Log } from '../log-port.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import { answerHubWebhook } from './hub-webhook.ts'
import { overviewPage, OVERVIEW_POLICY } from './overview-page.ts'

const EVENTS_IN_A_FEED = 100
const EVENTS_ON_THE_PAGE = 50
const DEFAULT_LEAST = 'notice'

const FEED_TYPES = {
  atom: 'application/atom+xml; charset=utf-8',
  rss: 'application/rss+xml; charset=utf-8',
  json: 'application/feed+json; charset=utf-8',
} as const
type FeedFormat = keyof typeof FEED_TYPES

/** Writes a feed of events; made by an adapter. */
export type WriteFeed = (
  format: FeedFormat,
  frame: { readonly archiveId: string; readonly url: string; readonly nowMs: number },
  events: readonly LoggedEvent[],
) => string | Promise<string>

export interface DashboardOptions {
  readonly host: string
  readonly port: number
  readonly token: string | undefined
  readonly names: readonly string[]
  readonly archive: Pick<OpenedArchive, 'catalog' | 'clock' | 'settings'>
  readonly writeFeed: WriteFeed
  /** What webhooks of the Hub prove themselves with; undefined = they are not listened to. */
  readonly webhookSecret: string | undefined
  /** Asks for a look at a repository soon; undefined where nothing is watched from here. */
  readonly hint: ((ref: RepoRef) => void) | undefined
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * The dashboard's address: an overview, health, feeds of events, webhooks of the Hub. Page and feeds need the token where others could reach
 * them; it may come as the password of Basic authentication, which is what feed readers know.
 * @throws ArchiveError ADDRESS_UNUSABLE, CONFIG_INVALID
 */
export async function startDashboard(options: DashboardOptions): Promise<HttpService> {
  const { host, port, token, names, log, signal } = options
  const app = dashboardApp(options)
  const service = { name: 'dashboard', auth: 'handler', host, port, token, names, log, signal } as const
  return startHttpService({ ...service, fetch: (request, env) => app.fetch(request, env) })
}

function dashboardApp(options: DashboardOptions): Hono<{ Bindings: HttpEnv }> {
  const { hint, webhookSecret, log } = options
  const app = new Hono<{ Bindings: HttpEnv }>()
  app.get('/healthz', (c) => c.json({ ok: true }))
  app.post('/webhooks/huggingface', async (c) => {
    if (hint === undefined) return c.json({ error: 'nothing is watched from here; webhooks go to the service' }, 404)
    return answerHubWebhook(c.req.raw, { secret: webhookSecret, hint, log })
  })
  const mayRead = (c: Context<{ Bindings: HttpEnv }>): boolean =>
    isLoopbackHost(options.host) ||
    c.env.visitor.hasToken ||
    hasTokenAsPassword(c.req.header('authorization'), options.token)
  app.get('/', (c) => (mayRead(c) ? answerOverview(options) : askForToken()))
  for (const format of Object.keys(FEED_TYPES) as FeedFormat[]) {
    app.get(`/feeds/events.${format}`, (c) => {
      if (!mayRead(c)) return askForToken()
      return answerFeed(options, format, new URL(c.req.url), c.env.visitor.origin)
    })
  }
  app.notFound((c) => c.json({ error: 'there is nothing here' }, 404))
  return app
}

async function answerOverview({ archive }: DashboardOptions): Promise<Response> {
  const { catalog, clock, settings } = archive
  const events = await catalog.events({ limit: EVENTS_ON_THE_PAGE })
  const totals = await catalog.totals()
  // The catalog also remembers entries that were removed, and repositories that were named by hand.
  const states = new Map((await catalog.watchStates()).map((state) => [state.watch, state]))
  const watches = settings.watches.map(({ key }) => ({ key, state: states.get(key) }))
  const at = new Date(clock.now()).toISOString()
  return new Response(await overviewPage({ totals, watches, events: events.toReversed(), at }), {
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': OVERVIEW_POLICY,
      'Cache-Control': 'no-store',
    },
  })
}

async function answerFeed(
  { archive, writeFeed }: DashboardOptions,
  format: FeedFormat,
  asked: URL,
  origin: string,
): Promise<Response> {
  const filter = filterOf(asked.searchParams)
  if (typeof filter === 'string') return Response.json({ error: filter }, { status: 400 })
  const events = await archive.catalog.events(filter)
  const url = `${origin}${asked.pathname}`
  const text = await writeFeed(
    format,
    { archiveId: archive.catalog.archiveId, url, nowMs: archive.clock.now() },
    events,
  )
  return new Response(text, { headers: { 'Content-Type': FEED_TYPES[format], 'Cache-Control': 'no-cache' } })
}

/** Or why it makes no sense. */
function filterOf(query: URLSearchParams): EventFilter | string {
  const minSeverity = query.get('min') ?? DEFAULT_LEAST
  const type = query.get('type') ?? undefined
  const repo = query.get('repo') ?? undefined
  const name = parseRepoName(repo)
  if (!SEVERITIES.some((known) => known === minSeverity)) return `min is one of ${SEVERITIES.join(', ')}`
  if (type !== undefined && !EVENT_TYPES.some((known) => known === type))
    return `type is one of ${EVENT_TYPES.join(', ')}`
  if (repo !== undefined && name === undefined) return 'repo is owner/name'
  return {
    minSeverity,
    limit: EVENTS_IN_A_FEED,
    ...(type === undefined ? {} : { type }),
    ...(name === undefined ? {} : { repo: name }),
  }
}

function hasTokenAsPassword(authorization: string | undefined, token: string | undefined): boolean {
  const match = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? '')
  if (match === null || token === undefined) return false
  const text = Buffer.from(match[1] ?? '', 'base64').toString('utf8')
  return text.includes(':') && isSameSecret(text.slice(text.indexOf(':') + 1), token)
}

function askForToken(): Response {
  const headers = {
    'WWW-Authenticate': 'Basic realm="weightvault", charset="UTF-8"',
    'X-Error-Code': TOKEN_NEEDED.code,
  }
  return Response.json(
    { error: 'the token is needed: as a bearer token, or as the password' },
    { status: 401, headers },
  )
}

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { test } from 'node:test'
import { overviewPage } from '../../src/dashboard/overview-page.ts'
import { startDashboard, type DashboardOptions } from '../../src/dashboard/start-dashboard.ts'
import { printRepo } from '../../src/domain/repo.ts'
import type { HttpService } from '../../src/lib/http-service.ts'
import { writeFeed } from '../../src/notify/feed.ts'
import { eventOf, quietLog } from '../db/catalog-fixtures.ts'
import { TestVault } from '../support/test-vault.ts'

const NOBODY = { url: 'http://127.0.0.1:9' }
const SECRET = 'a secret of sixteen'

class Dashboard implements AsyncDisposable {
  readonly hints: string[] = []
  readonly vault: TestVault
  service!: HttpService

  private constructor(vault: TestVault) {
    this.vault = vault
  }

  static async start(change: Partial<DashboardOptions> = {}): Promise<Dashboard> {
    const made = new Dashboard(await TestVault.open(NOBODY, 'watch: []\n'))
    made.service = await startDashboard({
      host: '127.0.0.1',
      port: 0,
      token: undefined,
      names: [],
      archive: made.vault.archive,
      writeFeed,
      webhookSecret: SECRET,
      hint: (ref) => made.hints.push(printRepo(ref)),
      log: quietLog,
      signal: new AbortController().signal,
      ...change,
    })
    return made
  }

  ask(path: string, init: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
    return new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
      const { method = 'GET', headers = {}, body } = init
      const sent = request(
        { host: '127.0.0.1', port: this.service.port, path, method, headers: { connection: 'close', ...headers } },
        (answer) => {
          let text = ''
          answer.setEncoding('utf8').on('data', (piece: string) => (text += piece))
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }

  webhook(sent: unknown, secret = SECRET) {
    const body = typeof sent === 'string' ? sent : JSON.stringify(sent)
    const headers = { 'content-type': 'application/json', 'x-webhook-secret': secret }
    return this.ask('/webhooks/huggingface', { method: 'POST', headers, body })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]()
    await this.vault[Symbol.asyncDispose]()
  }
}

function payload(name: string, change: Record<string, unknown> = {}) {
  return {
    event: { action: 'update', scope: 'repo.content' },
    repo: { type: 'model', name, id: '0'.repeat(24), private: false, headSha: 'a'.repeat(40) },
    updatedRefs: [{ ref: 'refs/heads/main', oldSha: 'b'.repeat(40), newSha: 'a'.repeat(40) }],
    webhook: { id: '1', version: 3 },
    ...change,
  }
}

test('a webhook of the Hub only names repositories to look at', async () => {
  await using dashboard = await Dashboard.start()

  const first = await dashboard.webhook(payload('Qwen/A-1B'))
  await dashboard.webhook(payload('Qwen/B', { movedTo: { name: 'Qwen/C', owner: { id: '1' } } }))
  await dashboard.webhook(payload('Qwen/D', { event: { action: 'create', scope: 'discussion.comment' } }))
  await dashboard.webhook(payload('Qwen/E', { event: { action: 'x', scope: 'repo.something-new' } }))

  assert.deepEqual([first.status, JSON.parse(first.text)], [202, { accepted: true }])
  assert.deepEqual(dashboard.hints, ['Qwen/A-1B', 'Qwen/B', 'Qwen/C', 'Qwen/E'])
  assert.deepEqual(await dashboard.vault.events(), [], 'nothing that it claims gets into the log')
})

test('a webhook without the secret, or where none is configured, does nothing', async () => {
  await using dashboard = await Dashboard.start()
  await using silent = await Dashboard.start({ webhookSecret: undefined })
  await using readOnly = await Dashboard.start({ hint: undefined })

  assert.equal((await dashboard.webhook(payload('Qwen/A'), 'wrong')).status, 401)
  assert.equal((await dashboard.webhook(payload('Qwen/A'), '')).status, 401)
  assert.equal((await dashboard.webhook(payload('Qwen/A'), `${SECRET} `)).status, 202, 'blanks at the end are not sent')
  assert.equal((await silent.webhook(payload('Qwen/A'))).status, 404)
  assert.equal((await readOnly.webhook(payload('Qwen/A'))).status, 404)
  const got = await dashboard.ask('/webhooks/huggingface', { headers: { 'x-webhook-secret': SECRET } })

  assert.equal(got.status, 404)
  assert.deepEqual(dashboard.hints, ['Qwen/A'])
})

test('hostile webhook payloads are refused or say nothing', async () => {
  await using dashboard = await Dashboard.start()
  const statuses: number[] = []
  for (const body of [
    '{',
    '[]',
    'null',
    '1',
    '"Qwen/A"',
    '['.repeat(100_000),
    JSON.stringify(payload('../../etc/passwd')),
    JSON.stringify(payload('Qwen/A\u0000')),
    JSON.stringify(payload('Qwen/A', { repo: { type: 'bucket', name: 'Qwen/A' } })),
    JSON.stringify(payload('Qwen/A', { repo: { type: ['model'], name: { a: 1 } } })),
    '{"__proto__":{"repo":{"type":"model","name":"Qwen/A"}}}',
    JSON.stringify({ padding: 'x'.repeat(300_000) }),
  ]) {
    statuses.push((await dashboard.webhook(body)).status)
  }

  assert.deepEqual(statuses, [400, 202, 202, 202, 202, 400, 202, 202, 202, 202, 202, 413])
  assert.deepEqual(dashboard.hints, [])
})

test('the page shows the archive at a glance, whatever names say, and needs no script', async () => {
  await using dashboard = await Dashboard.start()
  const evil = `<script>alert(1)</script>`
  await dashboard.vault.archive.catalog.appendEvents([
    { ...eventOf('repo-updated'), detail: { added: [{ path: evil }], paths: [evil] } },
    { ...eventOf('hub-unreachable'), repo: undefined, after: evil },
  ])

  const { status, headers, text } = await dashboard.ask('/')

  assert.equal(status, 200)
  assert.match(text, /hub-unreachable|Hub/)
  assert.doesNotMatch(text, /<script/)
  assert.match(text, /&lt;script&gt;/)
  const style = /<style>([^]*)<\/style>/.exec(text)?.[1] ?? ''
  const hash = createHash('sha256').update(style).digest('base64')
  assert.match(String(headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/)
  assert.ok(String(headers['content-security-policy']).includes(`'sha256-${hash}'`))
  assert.equal((await dashboard.ask('/', { method: 'POST' })).status, 404)
})

test('the page counts one of a thing as one', async () => {
  const none = { bytesListed: 0, filesListed: 0, blobBytes: 0, jobsReady: 0, jobsHeld: 0, jobsLeased: 0, jobsFailed: 0 }
  const totals = { ...none, bytesQueued: 0, oldestVerifiedAt: undefined, lastSeq: 0, sealedSnapshots: 1 }
  const page = (count: number): Promise<string> => {
    const counts = { repos: count, snapshots: count, blobs: count }
    return overviewPage({ totals: { ...totals, ...counts }, watches: [], events: [], at: '2026-03-12T10:20:30.000Z' })
  }

  assert.match(await page(1), /in 1 blob; 1\s+of 1 snapshot of\s+1 repository sealed\./)
  assert.match(await page(2), /in 2 blobs; 1\s+of 2 snapshots of\s+2 repositories sealed\./)
})

test('the feeds have the newest events, as asked for', async () => {
  await using dashboard = await Dashboard.start()
  await dashboard.vault.archive.catalog.appendEvents([
    eventOf('repo-updated', { severity: 'info' }),
    eventOf('license-changed', { severity: 'critical' }),
    eventOf('repo-renamed', { severity: 'notice' }),
  ])
  const idsOf = (text: string): string[] =>
    (JSON.parse(text) as { items: { id: string }[] }).items.map(({ id }) => id.slice(id.lastIndexOf('-') + 1))

  const atom = await dashboard.ask('/feeds/events.atom')
  const rss = await dashboard.ask('/feeds/events.rss')
  const json = await dashboard.ask('/feeds/events.json')
  const all = await dashboard.ask('/feeds/events.json?min=info')
  const some = await dashboard.ask('/feeds/events.json?type=license-changed&repo=Qwen/A')
  const bad = await dashboard.ask('/feeds/events.json?min=loud')

  assert.match(String(atom.headers['content-type']), /^application\/atom\+xml/)
  assert.match(String(rss.headers['content-type']), /^application\/rss\+xml/)
  assert.match(atom.text, /licence changed/)
  assert.deepEqual(idsOf(json.text), ['3', '2'])
  assert.deepEqual(idsOf(all.text), ['3', '2', '1'])
  assert.deepEqual(idsOf(some.text), ['2'])
  assert.equal(bad.status, 400)
})

test('an address that others can reach needs the token for feeds; webhooks have their secret, health says nothing', async () => {
  await using dashboard = await Dashboard.start({ host: '0.0.0.0', token: 'tok' })
  const basic = (text: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  })
  const feed = async (headers: Record<string, string>): Promise<number> =>
    (await dashboard.ask('/feeds/events.json', { headers })).status

  assert.deepEqual(
    [
      await feed({}),
      await feed({ authorization: 'Bearer tok' }),
      await feed({ authorization: 'Bearer nope' }),
      await feed(basic('any:tok')),
      await feed(basic('tok')),
      await feed(basic('any:nope')),
    ],
    [401, 200, 401, 200, 401, 401],
  )
  const page = async (headers: Record<string, string>): Promise<number> =>
    (await dashboard.ask('/', { headers })).status
  assert.deepEqual([await page({}), await page(basic('any:tok')), await page(basic('any:nope'))], [401, 200, 401])
  assert.equal((await dashboard.webhook(payload('Qwen/A'))).status, 202)
  const health = await dashboard.ask('/healthz')
  assert.deepEqual([health.status, health.text], [200, '{"ok":true}'])
  assert.equal((await dashboard.ask('/healthz', { headers: { host: 'evil.example' } })).status, 421)
})

test('the page lists the watches of the configuration, and none that was removed or named by hand', async () => {
  await using vault = await TestVault.open(NOBODY, 'watch: [{ org: Qwen }, { user: unsloth }]\n')
  const { catalog } = vault.archive
  for (const watch of ['org:Qwen', 'org:Removed', 'named:By/Hand']) {
    await catalog.recordPollFailure(watch, new Date().toISOString(), 'HUB_UNREACHABLE', 'no route', [])
  }
  await using dashboard = await Dashboard.start({ archive: vault.archive })

  const { text } = await dashboard.ask('/')

  assert.match(text, /<td>org:Qwen<\/td>[^]*?HUB_UNREACHABLE no route/)
  assert.match(text, /<td>user:unsloth<\/td>[^]*?<td>not polled yet<\/td>/)
  assert.doesNotMatch(text, /Removed|By\/Hand/)
})

import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { startHttpService, type HttpServiceOptions } from '../../src/lib/http-service.ts'
import type { Log } from '../../src/log-port.ts'

const ignore = (): void => {}
const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

async function start(t: TestContext, options: Partial<HttpServiceOptions> = {}) {
  const service = await startHttpService({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    token: undefined,
    auth: 'service',
    names: [],
    log: silentLog,
    graceMs: 50,
    fetch: (request, { visitor }) => Response.json({ url: request.url, ...visitor }),
    ...options,
  })
  t.after(() => service[Symbol.asyncDispose]())
  return service
}

/** Sends bytes as they are and gives the whole answer. */
async function raw(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(request)
  return text(socket)
}

const get = (target: string, ...headers: string[]) =>
  `GET ${target} HTTP/1.1\r\n${[...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])

test('http-service answers through fetch, with security headers and the origin that was asked', async (t) => {
  const { origin } = await start(t)
  const response = await fetch(`${origin}/a?b=c`)
  assert.equal(response.status, 200)
  assert.deepEqual(await response.json(), { url: `${origin}/a?b=c`, hasToken: false, origin })
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/)
})

test('http-service lets only its own names in, which DNS rebinding does not have', async (t) => {
  const names = ['vault.lan', 'https://vault.example']
  const { port } = await start(t, { names })
  for (const host of [`127.0.0.1:${port}`, 'localhost', '[::1]:99', '127.9.9.9', 'vault.lan:80', 'VAULT.LAN']) {
    assert.equal(statusOf(await raw(port, get('/', `Host: ${host}`))), 200, host)
  }
  for (const host of [
    'evil.test',
    `evil.test:${port}`,
    '10.0.0.1',
    'vault.lan.evil.test',
    '0.0.0.0',
    'localhost.',
    '',
  ]) {
    const answer = await raw(port, get('/', `Host: ${host}`))
    assert.equal(statusOf(answer), 421, host)
    assert.match(answer, /X-Error-Code: HostNotAllowed/)
  }
  assert.equal(statusOf(await raw(port, get('/'))), 400, 'no Host')
  assert.equal(statusOf(await raw(port, get('/', 'Host: localhost', 'Host: evil.test'))), 400, 'two Hosts')
})

test('http-service believes X-Forwarded-Host only where it names a configured origin', async (t) => {
  const { port } = await start(t, { names: ['https://vault.example'] })
  const origins = async (...headers: string[]) =>
    /"origin":"([^"]+)"/.exec(await raw(port, get('/', 'Host: localhost', ...headers)))?.[1]
  assert.equal(await origins('X-Forwarded-Host: vault.example'), 'https://vault.example')
  assert.equal(await origins('X-Forwarded-Host: evil.test', 'X-Forwarded-Proto: https'), 'http://localhost')
  assert.match(await raw(port, get('/', 'Host: vault.example')), /"origin":"https:\/\/vault\.example"/)
})

test('http-service needs its token on an address that is not loopback', async (t) => {
  await assert.rejects(start(t, { host: '0.0.0.0' }), { code: 'CONFIG_INVALID' })
  const { port } = await start(t, { host: '0.0.0.0', token: 'right-token' })
  const url = `http://127.0.0.1:${port}/`
  for (const authorization of [undefined, 'Bearer wrong', 'Bearer', 'Basic right-token', 'Bearer right-token2']) {
    const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } })
    assert.equal(response.status, 401, authorization)
    assert.equal(response.headers.get('x-error-code'), 'TokenNeeded')
    assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer /)
  }
  assert.equal((await fetch(url, { headers: { authorization: 'Bearer right-token' } })).status, 200)
})

test('http-service leaves the token to handlers that asked for that', async (t) => {
  const { port } = await start(t, { host: '0.0.0.0', token: 'right-token', auth: 'handler' })
  const ask = async (headers: Record<string, string>) =>
    (await (await fetch(`http://127.0.0.1:${port}/`, { headers })).json()) as { hasToken: boolean }
  assert.equal((await ask({})).hasToken, false)
  assert.equal((await ask({ authorization: 'bearer right-token' })).hasToken, true)
})

test('http-service refuses targets that are no path of its own', async (t) => {
  const { port } = await start(t)
  for (const [target, status] of [
    ['http://evil.test/x', 400],
    ['//evil.test/x', 400],
    ['*', 400],
    ['/a/../b', 400],
    ['/a/%2e%2E', 400],
    ['/./b?c', 400],
    ['/a..b/...?d=/../', 200],
    ['/a\\..\\b{c}', 200],
    [`/${'a'.repeat(17_000)}`, 414],
  ] as const) {
    assert.equal(statusOf(await raw(port, get(target, 'Host: localhost'))), status, target.slice(0, 20))
  }
})

test('http-service bounds headers, and refuses what is no HTTP', async (t) => {
  const { port } = await start(t)
  const flood = await raw(port, get('/', 'Host: localhost', `X-Big: ${'a'.repeat(40_000)}`))
  assert.equal(statusOf(flood), 431)
  assert.match(flood, /X-Error-Code: BadRequest/)
  for (const bytes of ['\x16\x03\x01\x02\x00', 'GET / HTTP/1.1\r\nHost localhost\r\n\r\n', 'nonsense\r\n\r\n']) {
    assert.equal(statusOf(await raw(port, bytes)), 400)
  }
  const smuggled =
    'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
  assert.equal(statusOf(await raw(port, smuggled)), 400)
})

test('http-service reads no body of a GET, and takes no form of another site', async (t) => {
  const { port, origin } = await start(t)
  assert.equal(statusOf(await raw(port, `${get('/', 'Host: localhost', 'Content-Length: 5')}hello`)), 400)
  const post = (headers: Record<string, string>) => fetch(origin, { method: 'POST', body: 'a', headers })
  assert.equal((await post({ origin: 'null' })).status, 403)
  assert.equal((await post({ origin: 'http://evil.test' })).status, 403)
  assert.equal((await post({ origin })).status, 200)
  assert.equal((await post({})).status, 200)
})

test('http-service tells a thrown error to the log and not to the visitor', async (t) => {
  const logged: unknown[] = []
  const log = { ...silentLog, error: (fields: object) => void logged.push(fields) }
  const secret = new Error('secret detail')
  const { origin } = await start(t, {
    log,
    intercept: (request) => {
      if (request.url === '/intercept') throw secret
      return false
    },
    fetch: () => {
      throw secret
    },
  })
  for (const path of ['/fetch', '/intercept']) {
    const response = await fetch(`${origin}${path}`)
    assert.equal(response.status, 500)
    assert.equal(response.headers.get('x-error-code'), 'Internal')
    assert.doesNotMatch(await response.text(), /secret/)
  }
  assert.equal(logged.length, 2)
})

test('http-service says which port is taken and what to do', async (t) => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const { port } = other.address() as { port: number }
  await assert.rejects(start(t, { port }), (error: { code: string; message: string; hint: string }) => {
    assert.equal(error.code, 'ADDRESS_UNUSABLE')
    assert.ok(error.message.includes(`127.0.0.1:${port}`))
    assert.match(error.hint, /serve\.test/)
    return true
  })
})

test('http-service closes at the signal, though an answer never ends', async (t) => {
  const stop = new AbortController()
  const { origin } = await start(t, {
    signal: stop.signal,
    intercept: (_request, response) => {
      response.write('begun')
      return true
    },
  })
  const response = await fetch(origin)
  stop.abort()
  await assert.rejects(response.text())
  await assert.rejects(fetch(origin))
})

test('http-service answers others, and closes, whatever slow senders leave unfinished', async (t) => {
  const service = await start(t)
  const slow = Array.from({ length: 60 }, (_none, at) => {
    const socket = connect(service.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      at % 2 === 0
        ? 'GET / HTTP/1.1\r\nHost: loc'
        : 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab',
    )
    return socket
  })
  t.after(() => slow.forEach((socket) => socket.destroy()))
  await Promise.all(slow.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
  assert.equal((await fetch(service.origin)).status, 200)
  await service[Symbol.asyncDispose]()
  await assert.rejects(fetch(service.origin))
})

import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { connect, createServer as createPlainServer, isIP } from 'node:net'
import { test } from 'node:test'
import { createServer } from 'node:tls'
import { inspect } from 'node:util'
import type { ResolvedFile } from '../../src/hub-port.ts'
import type { ResolveName } from '../../src/lib/private-address.ts'
import { AddressGuard } from '../../src/hub/address-guard.ts'
import { readEndpoint } from '../../src/hub/endpoint.ts'
import { readRedirect } from '../../src/hub/redirects.ts'
import { readTarget } from '../../src/hub/url-target.ts'
import { hubFile, hubUnderTest, readAll, repoRef, SHORT_MS } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'
import { SELF_SIGNED_CERT, SELF_SIGNED_KEY } from './support/self-signed.ts'
import { until } from './support/until.ts'

const { signal } = new AbortController()
const ROW = JSON.stringify({ _id: 'a'.repeat(24), id: 'Qwen/A' })

function resolver(names: Record<string, string[]>): ResolveName {
  return (hostname, callback) => {
    const addresses = names[hostname] ?? []
    const found = addresses.map((address): LookupAddress => ({ address, family: isIP(address) }))
    setImmediate(() => callback(found.length > 0 ? null : Object.assign(new Error('?'), { code: 'ENOTFOUND' }), found))
  }
}

function bytesAt(url: string): ResolvedFile {
  return { file: hubFile('Qwen/A', 'c'.repeat(40), 'm.bin'), url, etag: undefined, size: 5 }
}

test('a link of a public Hub reaches no private address, by spelling, by name, or by a redirect', async () => {
  await using inside = await startRawServer((_, socket) => socket.write(reply(200, {}, 'inner')))
  const resolveName = resolver({ 'cdn.test': ['127.0.0.1'], 'mapped.test': ['::ffff:127.0.0.1'] })
  await using it = hubUnderTest('https://hub.test', { resolveName })

  for (const host of [
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '[::ffff:127.0.0.1]',
    'localhost',
    'cdn.test',
    'mapped.test',
  ]) {
    const url = `http://${host}:${inside.port}/latest/meta-data`
    await assert.rejects(it.hub.openRange(bytesAt(url), 0, 5, signal), { code: 'HUB_REDIRECT_REFUSED' }, host)
  }
  assert.equal(inside.requests.length, 0)
})

test('readRedirect refuses every way down from https, and private addresses of a public Hub', () => {
  const endpoint = readEndpoint('https://hub.test')
  const guard = new AddressGuard(endpoint.target)
  const from = endpoint.target
  const go = (location: string, status = 302) =>
    readRedirect({ endpoint, guard }, { status, headers: { location } }, from, 'x')

  for (const location of [
    'http://hub.test/x',
    'http://cdn.test/x',
    'file:///etc/passwd',
    'https://10.0.0.1/x',
    'https://[fd00::1]/x',
    'https://169.254.169.254/x',
    '//127.0.0.1/x',
  ]) {
    assert.throws(() => go(location), { code: 'HUB_REDIRECT_REFUSED' }, location)
  }
  assert.equal(go('//cdn.test/x')?.origin, 'https://cdn.test')
  assert.equal(go('/x', 200), undefined)
  assert.equal(go('/x', 304), undefined)
})

test('readRedirect of a Hub on plain http does not go down from https later either', () => {
  const endpoint = readEndpoint('http://127.0.0.1:80')
  const guard = new AddressGuard(endpoint.target)
  const from = readTarget('https://cdn.test/x', undefined)
  assert.equal(from.kind, 'target')
  if (from.kind !== 'target') return

  assert.throws(
    () =>
      readRedirect({ endpoint, guard }, { status: 302, headers: { location: 'http://cdn.test/y' } }, from.target, 'x'),
    { code: 'HUB_REDIRECT_REFUSED' },
  )
})

test('a Hub by name is connected at the addresses that were checked, one that is dead beside one that lives', async () => {
  await using hub = await startRawServer((_, socket) => socket.write(reply(200, {}, ROW)))
  const resolveName = resolver({ 'hub.test': ['::1', '127.0.0.1'] })
  await using it = hubUnderTest(`http://hub.test:${hub.port}`, { resolveName })

  const answer = await it.hub.askRepo(repoRef('Qwen/A'), signal)

  assert.equal(answer.kind, 'found')
  assert.equal(hub.requests[0]?.headers.get('host'), `hub.test:${hub.port}`)
})

test('a name that does not resolve, or never does, costs a bounded time', async () => {
  const silent: ResolveName = () => undefined
  for (const resolveName of [resolver({}), silent]) {
    await using it = hubUnderTest('http://hub.test', { resolveName, deadlines: { connectMs: SHORT_MS } })

    await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), (error: Error & { code: string }) => {
      assert.equal(error.code, 'HUB_UNREACHABLE')
      // Ours, not undici's, which comes a second later at the earliest.
      if (resolveName === silent) assert.match(inspect(error), /no connection within 0\.1 s/)
      return true
    })
    await assert.rejects(it.hub.openRange(bytesAt('http://hub.test/x'), 0, 5, signal), { code: 'HUB_UNREACHABLE' })
  }
})

test('a connection that our own limit of open files refuses is no fault of the Hub', async () => {
  const resolveName: ResolveName = (_, callback) => {
    callback(Object.assign(new Error('too many open files'), { code: 'EMFILE' }), [])
  }
  await using it = hubUnderTest('https://hub.test', { resolveName })
  const own = { code: 'DISK_FAILED', message: /too many files are open/ }

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), own)
  await assert.rejects(it.hub.fetchSmall(hubFile('Qwen/A', 'c'.repeat(40), 'x'), new Uint8Array(5), signal), own)
  await assert.rejects(it.hub.openRange(bytesAt('https://hub.test/x'), 0, 5, signal), own)

  assert.deepEqual(it.waits, [])
})

test('a certificate nobody vouches for is refused at once, and nothing is sent', async () => {
  let received = 0
  const server = createServer({ cert: SELF_SIGNED_CERT, key: SELF_SIGNED_KEY }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => (received += chunk.length))
  })
  let handshakes = 0
  server.on('connection', () => handshakes++)
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await using it = hubUnderTest(`https://127.0.0.1:${port}`, { token: 'hf_canary' })

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), (error: Error & { code: string }) => {
    assert.equal(error.code, 'HUB_UNREACHABLE')
    assert.match(error.message, /no trusted TLS connection \(DEPTH_ZERO_SELF_SIGNED_CERT\)/)
    return true
  })

  assert.deepEqual([handshakes, received], [1, 0])
  server.close()
})

test('a Hub that does not speak TLS is named as such', async () => {
  const server = createPlainServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.end('HTTP/1.1 400 X\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await using it = hubUnderTest(`https://127.0.0.1:${port}`)

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), /no trusted TLS connection/)
  server.close()
})

test('a proxy is used for its own scheme, NO_PROXY goes around it, and the environment is not read', async (t) => {
  await using hub = await startRawServer((_, socket) => socket.write(reply(200, {}, ROW)))
  await using proxy = await startRawServer((_, socket) => socket.write(reply(200, {}, ROW)))
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy']) {
    const before = process.env[name]
    process.env[name] = 'http://127.0.0.1:9'
    t.after(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  const ask = async (options: Parameters<typeof hubUnderTest>[1]) => {
    await using it = hubUnderTest(hub.origin, options)
    await it.hub.askRepo(repoRef('Qwen/A'), signal)
    return [hub.requests.length, proxy.requests.length]
  }

  assert.deepEqual(await ask({ proxy: undefined }), [1, 0])
  assert.deepEqual(await ask({ proxy: { https: proxy.origin } }), [2, 0])
  assert.deepEqual(await ask({ proxy: { http: proxy.origin, no: '127.0.0.1' } }), [3, 0])
  assert.deepEqual(await ask({ proxy: { http: proxy.origin } }), [3, 1])
  assert.match(proxy.requests[0]?.path ?? '', new RegExp(`^${hub.origin}/api/models/Qwen/A`))
})

test('a proxy learns host and port of an https Hub and nothing else', async () => {
  await using proxy = await startRawServer((_, socket) => socket.end(reply(403, {}, 'blocked')))
  await using it = hubUnderTest('https://hub.test', { proxy: { https: proxy.origin }, token: 'hf_canary' })

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), { code: 'HUB_UNREACHABLE' })

  const [request] = proxy.requests
  assert.deepEqual([request?.method, request?.path], ['CONNECT', 'hub.test:443'])
  assert.ok(![...(request?.headers.values() ?? [])].join().includes('hf_canary'))
})

test('bytes come through a tunnel of a proxy', async () => {
  // A proxy that tunnels to a TLS server would need a trusted certificate; plain http shows the same path of bytes.
  await using cdn = await startRawServer((_, socket) => socket.write(reply(200, {}, 'bytes')))
  await using proxy = await startRawServer((request, socket) => {
    const to = new URL(request.path)
    const upstream = connect(Number(to.port), to.hostname, () => {
      upstream.write(`${request.method} ${to.pathname} HTTP/1.1\r\nhost: ${to.host}\r\n\r\n`)
      upstream.pipe(socket)
    })
    socket.once('close', () => upstream.destroy())
  })
  await using it = hubUnderTest('http://127.0.0.1:9', { proxy: { http: proxy.origin } })

  await using body = await it.hub.openRange(bytesAt(`${cdn.origin}/x`), 0, 5, signal)

  assert.equal((await readAll(body.chunks())).toString(), 'bytes')
})

test('long transfers leave connections for questions', async () => {
  await using hub = await startRawServer((request, socket) => {
    if (request.path.startsWith('/api/')) socket.write(reply(200, {}, ROW))
    else socket.write('HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\n')
  })
  await using it = hubUnderTest(hub.origin)
  let opened = 0
  const open = Array.from({ length: 20 }, async () => {
    await it.hub.openRange(bytesAt(`${hub.origin}/x`), 0, 5, signal)
    opened += 1
  })
  const settled = Promise.allSettled(open)
  await until(() => opened === 16)

  const answer = await it.hub.askRepo(repoRef('Qwen/A'), signal)

  assert.equal(answer.kind, 'found')
  await it.hub.close()
  const results = await settled
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 16)
})

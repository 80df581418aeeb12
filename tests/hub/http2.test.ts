import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { constants, createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { ResolvedFile } from '../../src/hub-port.ts'
import { AddressGuard } from '../../src/hub/address-guard.ts'
import { createDispatcher } from '../../src/hub/http-agent.ts'
import { exchange, type ExchangeLimits } from '../../src/hub/http-exchange.ts'
import { readTarget, type Target } from '../../src/hub/url-target.ts'
import type { ResolveName } from '../../src/lib/private-address.ts'
import { hubFile, hubUnderTest, readAll, repoRef, SHORT_MS } from './support/hub-under-test.ts'
import { until } from './support/until.ts'
import { LOCALHOST_CERT, LOCALHOST_KEY, SELF_SIGNED_CERT, SELF_SIGNED_KEY } from './support/self-signed.ts'

const { signal } = new AbortController()
const BYTES = randomBytes(3_000_000)
const LOCALHOST = { cert: LOCALHOST_CERT, key: LOCALHOST_KEY }
const ROW = JSON.stringify({ _id: '0'.repeat(24), id: 'Qwen/A', private: false })
setDefaultCACertificates([...getCACertificates('default'), LOCALHOST_CERT])

const toLoopback: ResolveName = (_, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])

const PATIENT: ExchangeLimits = { headersMs: 300_000, idleMs: 300_000, totalMs: 300_000 }

type Answer = (request: Http2ServerRequest, response: Http2ServerResponse) => void

interface Origin {
  readonly origin: string
  readonly requests: Http2ServerRequest[]
  /** TLS connections that were agreed on, since the start. */
  connections(): number
  openSockets(): number
}

/** Serves ranges of BYTES, and small files and questions with the same few bytes. */
function serveRanges(request: Http2ServerRequest, response: Http2ServerResponse): void {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  if (from === undefined) {
    response.writeHead(200, { 'content-length': ROW.length })
    response.end(ROW)
    return
  }
  const part = BYTES.subarray(Number(from), Number(to) + 1)
  response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${BYTES.length}`, 'content-length': part.length })
  response.end(part)
}

async function startOrigin(
  t: TestContext,
  options: { certificate?: { cert: string; key: string }; speaksHttp1?: boolean; answer?: Answer } = {},
): Promise<Origin> {
  const { certificate = LOCALHOST, speaksHttp1 = false, answer = serveRanges } = options
  const requests: Http2ServerRequest[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createSecureServer({ ...certificate, allowHTTP1: speaksHttp1 }, (request, response) => {
    requests.push(request)
    answer(request, response)
  })
  server.on('secureConnection', () => (connections += 1))
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    origin: `https://localhost:${port}`,
    requests,
    connections: () => connections,
    openSockets: () => sockets.size,
  }
}

function resolvedAt(origin: string): ResolvedFile {
  const url = `${origin}/m.bin`
  return { file: hubFile('Qwen/A', 'c'.repeat(40), 'm.bin'), url, etag: 'a'.repeat(64), size: BYTES.length }
}

function targetAt(origin: string): Target {
  const reading = readTarget(`${origin}/m.bin`, undefined)
  assert.ok(reading.kind !== 'refused')
  return reading.target
}

async function read(it: ReturnType<typeof hubUnderTest>, origin: string, start: number, end: number): Promise<Buffer> {
  await using body = await it.hub.openRange(resolvedAt(origin), start, end, signal)
  return await readAll(body.chunks())
}

test('ranges come from an origin that speaks HTTP/2 only, over a connection that is kept', async (t) => {
  const cdn = await startOrigin(t)
  await using it = hubUnderTest('http://127.0.0.1:9')

  const parts: Buffer[] = []
  for (let start = 0; start < BYTES.length; start += 1_000_000) {
    parts.push(await read(it, cdn.origin, start, start + 1_000_000))
  }

  assert.ok(Buffer.concat(parts).equals(BYTES))
  assert.deepEqual(
    cdn.requests.map(({ httpVersion }) => httpVersion),
    ['2.0', '2.0', '2.0'],
  )
  assert.equal(cdn.connections(), 1)
})

test('questions and small files go to a Hub that speaks HTTP/2 only, and many at once', async (t) => {
  const cdn = await startOrigin(t)
  await using it = hubUnderTest(cdn.origin)
  const file = hubFile('Qwen/A', 'c'.repeat(40), 'config.json')

  assert.equal((await it.hub.askRepo(repoRef('Qwen/A'), signal)).kind, 'found')
  const into = Array.from({ length: 30 }, () => new Uint8Array(ROW.length))
  await Promise.all(into.map((bytes) => it.hub.fetchSmall(file, bytes, signal)))

  for (const bytes of into) assert.equal(Buffer.from(bytes).toString(), ROW)
  assert.equal(cdn.requests.length, 31)
})

test('an origin that speaks both is spoken to in HTTP/1.1', async (t) => {
  const both = await startOrigin(t, { speaksHttp1: true })
  await using it = hubUnderTest(both.origin)

  await it.hub.askRepo(repoRef('Qwen/A'), signal)
  await it.hub.fetchSmall(hubFile('Qwen/A', 'c'.repeat(40), 'x'), new Uint8Array(ROW.length), signal)
  await read(it, both.origin, 0, 1000)

  assert.deepEqual(
    both.requests.map(({ httpVersion }) => httpVersion),
    ['1.1', '1.1', '1.1'],
  )
})

test('over HTTP/2, too, no byte comes from a server whose certificate is not trusted, or is for another name', async (t) => {
  const untrusted = await startOrigin(t, { certificate: { cert: SELF_SIGNED_CERT, key: SELF_SIGNED_KEY } })
  const trusted = await startOrigin(t)
  await using it = hubUnderTest('http://127.0.0.1:9', { resolveName: toLoopback })
  const refused = { code: 'HUB_UNREACHABLE', message: /no trusted TLS connection/ }

  await assert.rejects(read(it, untrusted.origin, 0, 5), refused)
  await assert.rejects(read(it, trusted.origin.replace('localhost', 'cdn.test'), 0, 5), refused)

  assert.equal(untrusted.requests.length + trusted.requests.length, 0)
})

test('over HTTP/2, too, the guard is asked before a connection is made', async (t) => {
  const cdn = await startOrigin(t)
  const target = targetAt(cdn.origin)
  const guard = new AddressGuard(target)
  let asked = 0
  guard.refusal = () => (++asked > 1 ? 'not a public address' : undefined)
  const dispatcher = createDispatcher(guard, undefined, 15_000)
  t.after(() => dispatcher.destroy())

  const asking = exchange(dispatcher, { method: 'GET', target, headers: {} }, PATIENT, signal)

  await assert.rejects(asking, { failure: 'address' })
  assert.deepEqual([asked, cdn.requests.length], [2, 0])
})

const STALLS: Record<string, Answer> = {
  'before its headers': () => undefined,
  'in its body': (_, response) => {
    response.writeHead(206, { 'content-range': `bytes 0-999/${BYTES.length}`, 'content-length': 1000 })
    response.write(BYTES.subarray(0, 10))
  },
}
for (const [where, stall] of Object.entries(STALLS)) {
  test(`an HTTP/2 answer that stops ${where} ends at a deadline, with its connection`, async (t) => {
    const cdn = await startOrigin(t, { answer: (...at) => (cdn.requests.length > 1 ? serveRanges : stall)(...at) })
    const target = targetAt(cdn.origin)
    const dispatcher = createDispatcher(new AddressGuard(target), undefined, 15_000)
    t.after(() => dispatcher.destroy())
    const ask = async (limits: ExchangeLimits): Promise<Buffer | undefined> => {
      const answer = await exchange(
        dispatcher,
        { method: 'GET', target, headers: { range: 'bytes=0-999' } },
        limits,
        signal,
      )
      for (let got = 0; ;) {
        const chunk = await answer.next()
        got += chunk?.length ?? 0
        if (chunk === undefined || got === 1000) return chunk && Buffer.from(chunk)
      }
    }

    await assert.rejects(ask({ ...PATIENT, headersMs: SHORT_MS, idleMs: SHORT_MS }), { failure: 'stalled' })
    const chunk = await ask(PATIENT)

    assert.ok(chunk?.equals(BYTES.subarray(1000 - chunk.length, 1000)))
    assert.equal(cdn.connections(), 2)
    await until(() => cdn.openSockets() === 1)
  })
}

test('an HTTP/2 answer that breaks off is not taken for whole, and not asked for again unseen', async (t) => {
  const cdn = await startOrigin(t, {
    answer: (request, response) => {
      response.writeHead(206, { 'content-range': `bytes 0-999999/${BYTES.length}`, 'content-length': 1_000_000 })
      response.write(BYTES.subarray(0, 500_000), () => request.stream.session?.socket.destroy())
    },
  })
  await using it = hubUnderTest('http://127.0.0.1:9')

  await assert.rejects(read(it, cdn.origin, 0, 1_000_000), { code: 'TRANSFER_INTERRUPTED' })

  assert.equal(cdn.requests.length, 1)
})

test('a request that a server refuses over HTTP/2 is told, and asked for again by whoever wants it', async (t) => {
  const cdn = await startOrigin(t, {
    answer: (request, response) => {
      if (cdn.requests.length > 1) serveRanges(request, response)
      else request.stream.close(constants.NGHTTP2_REFUSED_STREAM)
    },
  })
  await using it = hubUnderTest('http://127.0.0.1:9')

  await assert.rejects(read(it, cdn.origin, 0, 1000), { code: 'TRANSFER_INTERRUPTED' })
  assert.equal(cdn.requests.length, 1)

  assert.ok((await read(it, cdn.origin, 0, 1000)).equals(BYTES.subarray(0, 1000)))
})

test('an HTTP/2 answer of another length than announced, or with another range, is refused', async (t) => {
  const answers: Answer[] = [
    (_, response) => {
      response.writeHead(206, { 'content-range': `bytes 0-99/${BYTES.length}` })
      response.end(BYTES.subarray(0, 50))
    },
    (_, response) => {
      response.writeHead(206, { 'content-range': `bytes 0-99/${BYTES.length}` })
      response.end(BYTES.subarray(0, 150))
    },
    (_, response) => {
      response.writeHead(206, { 'content-range': `bytes 1-100/${BYTES.length}` })
      response.end(BYTES.subarray(0, 100))
    },
    (_, response) => {
      response.writeHead(206, { 'content-range': `bytes 0-99/${BYTES.length}`, 'content-encoding': 'gzip' })
      response.end(BYTES.subarray(0, 100))
    },
  ]
  const cdn = await startOrigin(t, { answer: (...at) => answers[cdn.requests.length - 1]!(...at) })
  await using it = hubUnderTest('http://127.0.0.1:9')

  const codes: string[] = []
  for (const _ of answers) codes.push(await read(it, cdn.origin, 0, 100).then(String, (error) => error.code))

  assert.deepEqual(codes, ['TRANSFER_INTERRUPTED', 'TRANSFER_INVALID', 'TRANSFER_INVALID', 'TRANSFER_INVALID'])
})

test('a body over HTTP/2 that nobody wants any more frees its connection', async (t) => {
  const cdn = await startOrigin(t)
  await using it = hubUnderTest('http://127.0.0.1:9')

  {
    await using body = await it.hub.openRange(resolvedAt(cdn.origin), 0, BYTES.length, signal)
    assert.equal(body.totalSize, BYTES.length)
  }
  await read(it, cdn.origin, 0, 1000)

  assert.equal(cdn.connections(), 2)
  await until(() => cdn.openSockets() === 1)
})

test('a closed source refuses an origin of HTTP/2, too', async (t) => {
  const cdn = await startOrigin(t)
  await using it = hubUnderTest('http://127.0.0.1:9')
  await read(it, cdn.origin, 0, 1000)

  await it.hub.close()

  await assert.rejects(read(it, cdn.origin, 0, 1000), { message: /closed/ })
  assert.equal(cdn.requests.length, 1)
})

test('a server that agrees on no protocol at all costs two handshakes a question', async (t) => {
  let handshakes = 0
  const server = createTlsServer({ ...LOCALHOST, ALPNProtocols: ['imap'] })
  server.on('tlsClientError', () => (handshakes += 1))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  await using it = hubUnderTest('http://127.0.0.1:9')
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`

  await assert.rejects(read(it, origin, 0, 5), { code: 'HUB_UNREACHABLE' })

  await until(() => handshakes === 2)
})

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTls } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { RangeBody, ResolvedFile } from '../../src/hub-port.ts'
import type { ByteSink } from '../../src/intake-port.ts'
import type { ResolveName } from '../../src/lib/private-address.ts'
import { hubFile, hubUnderTest, SHORT_MS } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'
import { until } from './support/until.ts'
import { LOCALHOST_CERT, LOCALHOST_KEY, SELF_SIGNED_CERT, SELF_SIGNED_KEY } from './support/self-signed.ts'

const { signal } = new AbortController()
const BYTES = randomBytes(3_000_000)
/** What other tests in this process may not see: trust in the certificate of this machine's own name. */
setDefaultCACertificates([...getCACertificates('default'), LOCALHOST_CERT])

function resolvedAt(url: string): ResolvedFile {
  return { file: hubFile('Qwen/A', 'c'.repeat(40), 'm.bin'), url, etag: 'a'.repeat(64), size: BYTES.length }
}

const toLoopback: ResolveName = (_, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])

interface Cdn {
  readonly origin: string
  readonly port: number
  readonly requests: IncomingMessage[]
  readonly sockets: Set<unknown>
}

/** Serves ranges of BYTES, over TLS when it has a certificate. */
async function startCdn(t: TestContext, tls?: { cert: string; key: string }): Promise<Cdn> {
  const requests: IncomingMessage[] = []
  const sockets = new Set<unknown>()
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(request)
    sockets.add(request.socket)
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const part = BYTES.subarray(Number(from), Number(to) + 1)
    const range = `bytes ${from}-${to}/${BYTES.length}`
    response.writeHead(206, { 'content-range': range, 'content-length': part.length })
    response.end(part)
  }
  const server = tls === undefined ? createPlain(answer) : createTls(tls, answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { origin: `${tls === undefined ? 'http' : 'https'}://localhost:${port}`, port, requests, sockets }
}

/** Keeps what came. Has room for at most `step` bytes at a time, and a turn later for the next. */
class SlowSink implements ByteSink {
  readonly taken: Buffer
  #at = 0
  #room: number
  readonly #step: number

  constructor(length: number, step = length) {
    this.taken = Buffer.alloc(length)
    this.#step = step
    this.#room = step
  }

  view(): Uint8Array | undefined {
    return this.#room === 0 ? undefined : this.taken.subarray(this.#at, this.#at + this.#room)
  }

  filled(count: number): void {
    this.#at += count
    this.#room -= count
  }

  async room(): Promise<void> {
    if (this.#room > 0) return
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.#room = this.#step
  }
}

async function take(body: RangeBody, step?: number): Promise<Buffer> {
  await using open = body
  const sink = new SlowSink(open.end - open.start, step)
  await open.into(sink, signal)
  return sink.taken
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

for (const scheme of ['http', 'https'] as const) {
  test(`bytes go straight into the sink over ${scheme}, however little room it has`, async (t) => {
    const cdn = await startCdn(t, scheme === 'https' ? { cert: LOCALHOST_CERT, key: LOCALHOST_KEY } : undefined)
    await using it = hubUnderTest('http://127.0.0.1:9')
    const resolved = resolvedAt(`${cdn.origin}/m.bin`)

    for (const step of [BYTES.length, 300_000, 70_001, 9_999]) {
      const body = await it.hub.openRange(resolved, 5, BYTES.length - 7, signal)
      assert.equal(digest(await take(body, step)), digest(BYTES.subarray(5, -7)), `${step}`)
    }

    assert.equal(cdn.sockets.size, 1, 'one connection was kept')
    assert.ok(
      cdn.requests.every(({ headers }) => headers.connection === undefined),
      'no other HTTP client was asked',
    )
  })

  test(`a sink that has no room after whatever it took is asked for room, also behind a head (${scheme})`, async (t) => {
    const cdn = await startCdn(t, scheme === 'https' ? { cert: LOCALHOST_CERT, key: LOCALHOST_KEY } : undefined)
    await using it = hubUnderTest('http://127.0.0.1:9', { deadlines: { transferMs: 30_000 } })
    await using body = await it.hub.openRange(resolvedAt(`${cdn.origin}/m.bin`), 0, BYTES.length, signal)
    const taken = Buffer.alloc(BYTES.length)
    let at = 0
    let hasRoom = true
    let waiting = 0
    // As one that keeps to a rate cap.
    const sink: ByteSink = {
      view: () => (hasRoom ? taken.subarray(at) : undefined),
      filled(count) {
        assert.ok(hasRoom)
        at += count
        hasRoom = false
      },
      async room() {
        waiting += 1
        assert.equal(waiting, 1, 'asked once')
        await new Promise<void>((resolve) => setImmediate(resolve))
        waiting -= 1
        hasRoom = true
      },
    }

    await body.into(sink, signal)

    assert.equal(digest(taken), digest(BYTES))
  })

  test(`ranges asked for ahead come over the same connection, in their order (${scheme})`, async (t) => {
    const cdn = await startCdn(t, scheme === 'https' ? { cert: LOCALHOST_CERT, key: LOCALHOST_KEY } : undefined)
    await using it = hubUnderTest('http://127.0.0.1:9')

    const first = await it.hub.openRange(resolvedAt(`${cdn.origin}/m.bin`), 0, 1_000_000, signal)
    const second = first.ahead(1_000_000, 2_000_000, signal)
    const third = first.ahead(2_000_000, BYTES.length, signal)
    assert.ok(second !== undefined && third !== undefined)
    const parts = [await take(first, 65_537), await take(await second), await take(await third, 100_000)]

    assert.equal(digest(Buffer.concat(parts)), digest(BYTES))
    assert.equal(cdn.sockets.size, 1)
  })
}

test('file bytes come from no server whose certificate is not trusted, or is for another name', async (t) => {
  const stranger = await startCdn(t, { cert: SELF_SIGNED_CERT, key: SELF_SIGNED_KEY })
  const known = await startCdn(t, { cert: LOCALHOST_CERT, key: LOCALHOST_KEY })
  await using it = hubUnderTest('http://127.0.0.1:9', { resolveName: toLoopback })
  const refused = { code: 'HUB_UNREACHABLE', message: /TLS|certificate/i }

  const unknown = resolvedAt(`https://localhost:${stranger.port}/m.bin`)
  await assert.rejects(it.hub.openRange(unknown, 0, 5, signal), refused)
  const otherName = resolvedAt(`https://cdn.test:${known.port}/m.bin`)
  await assert.rejects(it.hub.openRange(otherName, 0, 5, signal), refused)

  assert.deepEqual([...stranger.requests, ...known.requests], [])
})

test('a server that takes a connection and says nothing in the handshake costs the deadline of a connection', async () => {
  await using silent = await startRawServer(() => undefined)
  await using it = hubUnderTest('http://127.0.0.1:9', { deadlines: { connectMs: SHORT_MS, transferMs: 20_000 } })

  const asking = it.hub.openRange(resolvedAt(`https://localhost:${silent.port}/m.bin`), 0, 5, signal)

  await assert.rejects(asking, { code: 'HUB_UNREACHABLE', message: /no connection within/ })
})

test('a link of a public Hub makes no bulk connection to a private address, by spelling or by name', async (t) => {
  const cdn = await startCdn(t)
  await using it = hubUnderTest('http://hub.test', { resolveName: toLoopback })

  for (const host of ['127.0.0.1', 'localhost', 'cdn.test']) {
    const resolved = resolvedAt(`http://${host}:${cdn.port}/m.bin`)
    await assert.rejects(it.hub.openRange(resolved, 0, 5, signal), { code: 'HUB_REDIRECT_REFUSED' }, host)
  }

  assert.equal(cdn.requests.length, 0)
})

test('an answer without a length is read by a complete HTTP client, and its server is asked by that one from then on', async () => {
  await using cdn = await startRawServer((_, socket) => {
    const head = 'content-range: bytes 0-4/3000000\r\ntransfer-encoding: chunked\r\n'
    socket.write(`HTTP/1.1 206 Partial\r\n${head}\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`)
  })
  await using it = hubUnderTest('http://127.0.0.1:9')

  for (const requests of [2, 3]) {
    const body = await it.hub.openRange(resolvedAt(`${cdn.origin}/m.bin`), 0, 5, signal)
    assert.equal((await take(body)).toString(), 'abcde')
    assert.equal(cdn.requests.length, requests)
  }
})

test('a server that does not answer what was sent ahead is not asked ahead again', async () => {
  let unanswered: Socket | undefined
  await using cdn = await startRawServer((request, socket) => {
    if (request.headers.get('range') === 'bytes=5-9') unanswered = socket
    else socket.write(reply(206, { 'content-range': `bytes 0-4/${BYTES.length}` }, 'abcde'))
  })
  await using it = hubUnderTest('http://127.0.0.1:9')
  const resolved = resolvedAt(`${cdn.origin}/m.bin`)
  const first = await it.hub.openRange(resolved, 0, 5, signal)
  const ahead = first.ahead(5, 10, signal)
  assert.ok(ahead !== undefined)
  const failed = assert.rejects(ahead, { code: 'TRANSFER_INTERRUPTED' })
  await first.into(new SlowSink(5), signal)

  await until(() => unanswered !== undefined)
  unanswered?.destroy()
  await failed

  await using again = await it.hub.openRange(resolved, 0, 5, signal)
  assert.equal(again.ahead(5, 10, signal), undefined)
})

test('a kept connection that the server closed meanwhile costs nothing', async () => {
  await using cdn = await startRawServer((_request, socket) => {
    const part = reply(206, { 'content-range': `bytes 0-4/${BYTES.length}` }, 'abcde')
    if (cdn.requests.length === 2) socket.destroy()
    else socket.write(part)
  })
  await using it = hubUnderTest('http://127.0.0.1:9')

  for (let turn = 0; turn < 2; turn += 1) {
    const body = await it.hub.openRange(resolvedAt(`${cdn.origin}/m.bin`), 0, 5, signal)
    assert.equal((await take(body)).toString(), 'abcde')
  }

  assert.equal(cdn.requests.length, 3)
})

test('the memory of a sink that fails is never written to again', async (t) => {
  const cdn = await startCdn(t)
  await using it = hubUnderTest('http://127.0.0.1:9')
  const body = await it.hub.openRange(resolvedAt(`${cdn.origin}/m.bin`), 0, BYTES.length, signal)
  const sink = new SlowSink(BYTES.length, 50_000)
  sink.room = () => Promise.reject(new Error('the disk failed'))

  await assert.rejects(body.into(sink, signal), { message: 'the disk failed' })

  const kept = digest(sink.taken)
  await body[Symbol.asyncDispose]()
  await using next = await it.hub.openRange(resolvedAt(`${cdn.origin}/m.bin`), 0, 5, signal)
  assert.deepEqual(await take(next), BYTES.subarray(0, 5))
  assert.equal(digest(sink.taken), kept)
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { ResolvedFile } from '../../src/hub-port.ts'
import { startForwardProxy } from '../support/fault-proxy/forward-proxy.ts'
import { hubFile, hubUnderTest, readAll, repoRef, SHORT_MS } from './support/hub-under-test.ts'
import { startRawServer } from './support/raw-server.ts'
import { LOCALHOST_CERT, LOCALHOST_KEY, SELF_SIGNED_CERT, SELF_SIGNED_KEY } from './support/self-signed.ts'

const { signal } = new AbortController()
const BYTES = randomBytes(2_000_000)
const ROW = JSON.stringify({ _id: '0'.repeat(24), id: 'Qwen/A', private: false })
const SMALL = hubFile('Qwen/A', 'c'.repeat(40), 'config.json')
const LOCALHOST = { cert: LOCALHOST_CERT, key: LOCALHOST_KEY }
setDefaultCACertificates([...getCACertificates('default'), LOCALHOST_CERT])

function resolvedAt(origin: string): ResolvedFile {
  return { file: SMALL, url: `${origin}/m.bin`, etag: undefined, size: BYTES.length }
}

/** A Hub over TLS: ranges of BYTES, and ROW for everything else. Returns the versions of HTTP it was asked in. */
async function startHub(
  t: TestContext,
  { speaksHttp1, certificate = LOCALHOST }: { speaksHttp1: boolean; certificate?: { cert: string; key: string } },
): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = []
  const answer = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    asked.push(request.httpVersion)
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const part = from === undefined ? Buffer.from(ROW) : BYTES.subarray(Number(from), Number(to) + 1)
    const range = from === undefined ? {} : { 'content-range': `bytes ${from}-${to}/${BYTES.length}` }
    response.writeHead(from === undefined ? 200 : 206, { ...range, 'content-length': part.length })
    response.end(part)
  }
  const server = createSecureServer({ ...certificate, allowHTTP1: speaksHttp1 }, answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  return { port: (server.address() as AddressInfo).port, asked }
}

for (const speaksHttp1 of [true, false]) {
  const name = speaksHttp1 ? 'HTTP/1.1' : 'HTTP/2 only'
  test(`questions, small and large files come through the tunnel of a proxy, and nothing goes around it (${name})`, async (t) => {
    const { port, asked } = await startHub(t, { speaksHttp1 })
    const origin = `https://localhost:${port}`
    await using proxy = await startForwardProxy(new Map([[`localhost:${port}`, `http://127.0.0.1:${port}`]]))
    let resolved = 0
    await using it = hubUnderTest(origin, {
      proxy: { https: proxy.url },
      // Who goes around the proxy resolves a name.
      resolveName: (_, callback) => {
        resolved += 1
        callback(new Error('nobody asks for names behind a proxy'), [])
      },
    })

    assert.equal((await it.hub.askRepo(repoRef('Qwen/A'), signal)).kind, 'found')
    const into = new Uint8Array(ROW.length)
    await it.hub.fetchSmall(SMALL, into, signal)
    await using body = await it.hub.openRange(resolvedAt(origin), 1000, BYTES.length, signal)
    const bytes = await readAll(body.chunks())

    assert.equal(Buffer.from(into).toString(), ROW)
    assert.ok(bytes.equals(BYTES.subarray(1000)))
    assert.deepEqual(
      asked,
      Array.from({ length: 3 }, () => (speaksHttp1 ? '1.1' : '2.0')),
    )
    assert.equal(resolved, 0)
    assert.deepEqual(new Set(proxy.wanted), new Set([`localhost:${port}`]))
  })

  test(`a proxy cannot show another server behind its tunnel (${name})`, async (t) => {
    const { port, asked } = await startHub(t, {
      speaksHttp1,
      certificate: { cert: SELF_SIGNED_CERT, key: SELF_SIGNED_KEY },
    })
    const origin = `https://localhost:${port}`
    await using proxy = await startForwardProxy(new Map([[`localhost:${port}`, `http://127.0.0.1:${port}`]]))
    await using it = hubUnderTest(origin, { proxy: { https: proxy.url } })

    await assert.rejects(it.hub.openRange(resolvedAt(origin), 0, 5, signal), { code: 'HUB_UNREACHABLE' })

    assert.deepEqual(asked, [])
  })
}

test('a proxy that takes a connection and opens no tunnel costs the deadline of a connection', async () => {
  await using proxy = await startRawServer(() => undefined)
  await using it = hubUnderTest('https://hub.test', {
    proxy: { https: proxy.origin },
    deadlines: { connectMs: SHORT_MS, transferMs: 20_000 },
  })

  await assert.rejects(it.hub.openRange(resolvedAt('https://cdn.test'), 0, 5, signal), { code: 'HUB_UNREACHABLE' })

  assert.ok(proxy.requests.every(({ method }) => method === 'CONNECT'))
})

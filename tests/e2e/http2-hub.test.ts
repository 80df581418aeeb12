import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request as requestPlain } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { provenBlobs } from '../support/held-files.ts'
import { startFaultProxy } from '../support/fault-proxy/start-fault-proxy.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { LOOPBACK_CERTIFICATE, TEST_CA } from '../support/test-ca.ts'

const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'host']

/** Speaks HTTP/2 only and asks another server what to answer. */
async function startFront(t: TestContext, upstream: () => string) {
  const asked: { path: string; range: string | undefined }[] = []
  const answer = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    asked.push({ path: request.url, range: request.headers.range })
    const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !name.startsWith(':')))
    const asking = requestPlain(`${upstream()}${request.url}`, { method: request.method, headers }, (got) => {
      const kept = Object.entries(got.headers).filter(([name]) => !HOP_BY_HOP.includes(name))
      response.writeHead(got.statusCode ?? 500, Object.fromEntries(kept))
      got.pipe(response)
    })
    asking.on('error', () => response.stream.close())
    asking.end()
  }
  const server = createSecureServer({ ...LOOPBACK_CERTIFICATE, allowHTTP1: false }, answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => void server.close())
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

test('a Hub and a CDN that speak HTTP/2 only are archived by ranges, verified and sealed', async (t) => {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  const size = 20_000_000
  hub.world.addRepo('Qwen/Large-1B', smallModel('large', size))
  const { sha256 } = await hub.world.file('Qwen/Large-1B', 'model.safetensors')
  const front = await startFront(t, () => proxy.url)
  const cdn = await startFront(t, () => proxy.cdnUrl)
  await using proxy = await startFaultProxy(hub, { names: { hub: front.url, cdn: cdn.url } })
  await using sandbox = await Sandbox.make(front)
  const authority = join(sandbox.folder, 'ca.pem')
  await writeFile(authority, TEST_CA)

  const { code, stdout, stderr } = await sandbox.run(['sync', '--json'], { env: { NODE_EXTRA_CA_CERTS: authority } })

  assert.equal(code, 0, stdout + stderr)
  assert.ok(provenBlobs(sandbox.root).includes(sha256))
  const ranges = cdn.asked.flatMap(({ range }) => (range === undefined ? [] : [range]))
  assert.ok(ranges.length >= 5, ranges.join())
  assert.ok(front.asked.length > 0)
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer, get, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { BufferPool } from '../../src/lib/buffer-pool.ts'
import { pumpBytes, type ByteSource } from '../../src/lib/pump-bytes.ts'

const BYTES = randomBytes(3_000_001)

/** Gives whatever fits; `odd` gives less now and then, as disks may. */
function sourceOf(bytes: Buffer, odd = false): ByteSource {
  let reads = 0
  return {
    read: async (into, position) => {
      const most = odd && ++reads % 3 === 0 ? 777 : into.length
      return bytes.copy(into.subarray(0, most), 0, position)
    },
  }
}

/** Serves one source and gives each end of the pump, in order. */
async function serving(t: TestContext, source: ByteSource, length: number) {
  const ends: Promise<boolean>[] = []
  const pool = new BufferPool()
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Length': length })
    const end = pumpBytes(source, response, { start: 0, end: length }, pool)
    end.catch(() => undefined)
    ends.push(end)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  const { port } = server.address() as { port: number }
  const open = async (): Promise<IncomingMessage> => {
    const [response] = (await once(get({ port, host: '127.0.0.1', agent: false }), 'response')) as [IncomingMessage]
    return response
  }
  return { ends, open }
}

test('pumpBytes sends every byte once and in order, to many at a time and to slow readers', async (t) => {
  const { ends, open } = await serving(t, sourceOf(BYTES, true), BYTES.length)
  const all = await Promise.all(Array.from({ length: 30 }, async () => buffer(await open())))
  for (const bytes of all) assert.ok(bytes.equals(BYTES))
  assert.deepEqual(new Set(await Promise.all(ends)), new Set([true]))
})

test('pumpBytes says that a visitor left', async (t) => {
  // More than any socket takes over before somebody reads.
  const endless: ByteSource = { read: async (into) => into.length }
  const { ends, open } = await serving(t, endless, 10 ** 12)
  const leaving = await open()
  leaving.destroy()
  assert.equal(await ends[0], false)
})

test('pumpBytes cuts the connection when the source is shorter than promised or fails', async (t) => {
  const short = await serving(t, sourceOf(BYTES.subarray(0, 1_500_000)), BYTES.length)
  await assert.rejects(buffer(await short.open()))
  await assert.rejects(short.ends[0]!, /ends at 1500000/)
  const failing = await serving(t, { read: () => Promise.reject(new Error('disk')) }, 10)
  await assert.rejects(failing.open())
  await assert.rejects(failing.ends[0]!, /disk/)
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { test } from 'node:test'
import { FAR_MS } from '../../src/pipeline/lane-budget.ts'
import { generated } from '../support/content/generated.ts'
import { provenBlobs } from '../support/held-files.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { TestVault } from '../support/test-vault.ts'

const SIZE = 48 * 1024 * 1024
const CONTENT = generated('busy', SIZE)
const MOST_CONNECTIONS = 4

type Refusal = 'reset' | 503 | 429

/** A server far away that takes four connections at a time, and refuses the others in one way. */
class BusyServer implements AsyncDisposable {
  refused = 0
  readonly #refusal: Refusal
  readonly #open = new Set<Socket>()
  readonly #server = createServer((request, response) => {
    setTimeout(() => this.#answer(request, response), 2 * FAR_MS)
  })

  constructor(refusal: Refusal) {
    this.#refusal = refusal
    this.#server.on('connection', (socket: Socket) => {
      socket.on('close', () => this.#open.delete(socket))
      if (this.#open.size < MOST_CONNECTIONS) this.#open.add(socket)
      else this.refused += 1
      if (!this.#open.has(socket) && refusal === 'reset') socket.resetAndDestroy()
    })
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/file`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#open.has(request.socket)) {
      response.writeHead(Number(this.#refusal), { 'Content-Length': 0, 'Retry-After': 1 }).end()
      return
    }
    const [, from = 0, to = 0] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const [start, end] = [Number(from), Number(to) + 1]
    const range = { 'Content-Length': end - start, 'Content-Range': `bytes ${start}-${end - 1}/${SIZE}` }
    response.writeHead(206, range).end(CONTENT.read(start, end - start))
  }
}

for (const refusal of ['reset', 503, 429] as const) {
  test(`a server that refuses more than ${MOST_CONNECTIONS} connections (${refusal}) is asked over as many, and gives the file`, async () => {
    await using server = new BusyServer(refusal)
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: CONTENT, lfs: true }] })
    const { sha256 } = await hub.world.file('Qwen/A-1B', 'm.bin')
    hub.faults.add({ origin: 'cdn', redirectTo: await server.start() })
    await using vault = await TestVault.open(hub)

    const { sealed, failed } = await vault.sync()

    assert.deepEqual([sealed.length, failed], [1, []])
    assert.ok(provenBlobs(vault.root).includes(sha256))
    assert.ok(server.refused > 0, 'more were tried')
    assert.ok(server.refused < 30, `${server.refused} connections were refused: it was not learnt`)
  })
}

/** One range of the file is served, and then nothing. */
function busyAfterOne(hub: SimHub, retryAfter: string) {
  return hub.faults.add({ origin: 'cdn', nth: 2, status: 503, headers: { 'Retry-After': retryAfter } })
}

test('a download that moved on waits no longer for each failure, and as long as the server asks', async () => {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: generated('m', 24_000_000), lfs: true }] })
  await using vault = await TestVault.open(hub)

  for (let pass = 0; pass < 3; pass += 1) {
    const fault = busyAfterOne(hub, '7200')
    const startMs = Date.now()
    const { failed } = await vault.sync()
    fault.remove()

    assert.deepEqual(
      failed.map(({ code }) => code),
      ['HUB_UNREACHABLE'],
    )
    const [row] = await vault.archive.catalog.queue({ limit: 1 })
    assert.equal(row?.attempts, 1)
    assert.ok(Date.parse(row?.nextTryAt ?? '') - startMs >= 7_200_000)
  }
  const { sealed } = await vault.sync()

  assert.equal(sealed.length, 1)
  assert.ok(vault.progress.resumedAt.at(-1)! > 0)
  assert.equal((await vault.eventsOf('download-failed')).length, 1, 'a failure of a row is told once')
})

test('one answer that the server is busy is no failure', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: generated('m', 600_000), lfs: true }] })
  await using vault = await TestVault.open(hub)
  const fault = hub.faults.add({ origin: 'cdn', times: 1, status: 503 })

  const { sealed, failed } = await vault.sync()

  assert.deepEqual([fault.hits, sealed.length, failed], [1, 1, []])
})

test('a server that is not there is asked once for each file of a pass', async () => {
  await using hub = await startSimHub()
  const files = [1, 2, 3].map((at) => ({ path: `m${at}.bin`, content: generated(`m${at}`, 600_000), lfs: true }))
  hub.world.addRepo('Qwen/A-1B', { files })
  await using vault = await TestVault.open(hub)
  const fault = hub.faults.add({ origin: 'cdn', redirectTo: 'http://127.0.0.1:9/nobody' })

  const { failed } = await vault.sync()

  assert.deepEqual([fault.hits, failed.length], [3, 3])
})

test('no server makes a file wait for longer than six hours', async () => {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/A-1B', { files: [{ path: 'm.bin', content: generated('m', 24_000_000), lfs: true }] })
  await using vault = await TestVault.open(hub)
  busyAfterOne(hub, String(86_400))

  await vault.sync()

  const [row] = await vault.archive.catalog.queue({ limit: 1 })
  assert.ok(Date.parse(row?.nextTryAt ?? '') - Date.now() <= 6 * 3_600_000)
})

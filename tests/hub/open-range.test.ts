import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { test } from 'node:test'
import type { ResolvedFile } from '../../src/hub-port.ts'
import type { HubSourceOptions } from '../../src/hub/hub-source.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { hubFile, hubUnderTest, readAll, SHORT_MS } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'
import { until } from './support/until.ts'

const { signal } = new AbortController()
const COMMIT = 'c'.repeat(40)
const SHA = '0123456789abcdef'.repeat(4)
const CONTENT = '0123456789abcdefghij'

/** A file of 20 bytes whose bytes are at this address. */
function resolvedAt(url: string, size: number | undefined = CONTENT.length): ResolvedFile {
  return { file: hubFile('Qwen/A', COMMIT, 'm.bin'), url, etag: SHA, size }
}

function part(headers: Record<string, string>, body = CONTENT.slice(5, 15)): Buffer {
  return reply(206, { 'content-range': 'bytes 5-14/20', ...headers }, body)
}

interface Case {
  readonly answer: Buffer | string
  readonly start?: number
  readonly end?: number
  readonly size?: number | undefined
  readonly options?: Partial<HubSourceOptions>
  /** Whether the server leaves the connection open after the answer. */
  readonly stayOpen?: boolean
}

/** Reads bytes 5 to 15 from a CDN that answers as given; the Hub is another origin. */
async function download(given: Case): Promise<string> {
  await using cdn = await startRawServer((_, socket) => {
    if (given.stayOpen === true) socket.write(given.answer)
    else socket.end(given.answer)
  })
  await using it = hubUnderTest('http://127.0.0.1:9', given.options)
  const resolved = {
    ...resolvedAt(`${cdn.origin}/x?Signature=secret`),
    ...('size' in given ? { size: given.size } : {}),
  }
  await using body = await it.hub.openRange(resolved, given.start ?? 5, given.end ?? 15, signal)
  const bytes = await readAll(body.chunks())
  return `${body.start}/${body.totalSize} ${bytes.toString('latin1')}`
}

async function refused(name: string, given: Case, code: string): Promise<void> {
  await assert.rejects(
    download(given),
    (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, code, `${name}: ${error.message}`)
      assert.ok(!JSON.stringify([error.message, error.hint]).includes('secret'), name)
      assert.match(error.message, /m\.bin|promised|did not come/, name)
      return true
    },
    name,
  )
}

test('openRange refuses a 206 that is not exactly what was asked for', async () => {
  const bad: [string, Record<string, string>][] = [
    ['start off by one', { 'content-range': 'bytes 4-14/20' }],
    ['end off by one', { 'content-range': 'bytes 5-15/20' }],
    ['both ends shifted', { 'content-range': 'bytes 4-13/20' }],
    ['unknown total', { 'content-range': 'bytes 5-14/*' }],
    ['other total', { 'content-range': 'bytes 5-14/21' }],
    ['total not exact', { 'content-range': 'bytes 5-14/9007199254740993' }],
    ['other unit', { 'content-range': 'items 5-14/20' }],
    ['no range at all', { 'content-range': '' }],
    ['several parts', { 'content-type': 'multipart/byteranges; boundary=x' }],
    ['gzip', { 'content-encoding': 'gzip' }],
    ['unknown coding', { 'content-encoding': 'br, zstd, x' }],
    ['longer length', { 'content-length': '11' }],
    ['shorter length', { 'content-length': '9' }],
  ]

  for (const [name, headers] of bad) await refused(name, { answer: part(headers) }, 'TRANSFER_INVALID')
  const shorter = { answer: part({ 'content-range': 'bytes 5-9/20' }, CONTENT.slice(5, 10)) }
  await refused('a shorter part', shorter, 'TRANSFER_INVALID')
  await refused('206 without Content-Range', { answer: reply(206, {}, CONTENT.slice(5, 15)) }, 'TRANSFER_INVALID')
})

test('openRange refuses a total that differs from the size the Hub promised, also of a whole file', async () => {
  await refused('206', { answer: part({}), size: 21 }, 'TRANSFER_INVALID')
  await refused('200', { answer: reply(200, {}, CONTENT), size: 21 }, 'TRANSFER_INVALID')
})

test('openRange hands out the bytes of a body that breaks off, and then says so', async () => {
  const short = `HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\ncontent-length: 10\r\n\r\n56789`
  const chunked = `HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\ntransfer-encoding: chunked\r\n\r\n5\r\n56789\r\n`
  const toClose = `HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\n\r\n56789`

  for (const answer of [short, chunked, toClose]) {
    await using cdn = await startRawServer((_, socket) => socket.end(answer))
    await using it = hubUnderTest('http://127.0.0.1:9')
    await using body = await it.hub.openRange(resolvedAt(`${cdn.origin}/x`), 5, 15, signal)
    const arrived: Uint8Array[] = []
    const read = async () => {
      for await (const chunk of body.chunks()) arrived.push(chunk)
    }
    await assert.rejects(read(), { code: 'TRANSFER_INTERRUPTED' }, answer)
    assert.equal(Buffer.concat(arrived).toString(), '56789', answer)
  }
})

test('openRange cuts a body that goes on after its promised end', async () => {
  const toClose = `HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\n\r\n56789abcdeEXTRA`
  const chunked = `HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\ntransfer-encoding: chunked\r\n\r\n`

  await refused('to close', { answer: toClose }, 'TRANSFER_INVALID')
  await refused('chunked', { answer: `${chunked}f\r\n56789abcdeEXTRA\r\n0\r\n\r\n` }, 'TRANSFER_INVALID')
})

test('openRange takes a body without a length when exactly the promised bytes come', async () => {
  const head = 'HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\n'

  assert.equal(await download({ answer: `${head}\r\n56789abcde` }), '5/20 56789abcde')
  const chunked = `${head}transfer-encoding: chunked\r\n\r\na\r\n56789abcde\r\n0\r\n\r\n`
  assert.equal(await download({ answer: chunked, stayOpen: true }), '5/20 56789abcde')
})

test('openRange refuses lengths announced twice or not as a number', async () => {
  const head = 'HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\n'
  const bad = [
    `${head}content-length: 10\r\ncontent-length: 12\r\n\r\n56789abcde`,
    `${head}content-length: 10\r\ntransfer-encoding: chunked\r\n\r\na\r\n56789abcde\r\n0\r\n\r\n`,
    `${head}content-length: -5\r\n\r\n56789abcde`,
    `${head}content-length: 10, 10\r\n\r\n56789abcde`,
    'garbage\r\n\r\n',
    `HTTP/1.1 206 X\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`,
  ]

  for (const answer of bad) await refused(answer.slice(0, 80), { answer }, 'TRANSFER_INVALID')
})

test('openRange starts at 0 when the range was ignored', async () => {
  assert.equal(await download({ answer: reply(200, {}, CONTENT) }), `0/20 ${CONTENT}`)
  assert.equal(await download({ answer: reply(200, {}, CONTENT), size: undefined }), `0/20 ${CONTENT}`)
  const noLength = `HTTP/1.1 200 X\r\n\r\n${CONTENT}`
  assert.equal(await download({ answer: noLength }), `0/20 ${CONTENT}`)
  await refused('nobody knows the length', { answer: noLength, size: undefined }, 'TRANSFER_INVALID')
})

test('openRange refuses coded whole files', async () => {
  const gzip = gzipSync(CONTENT)

  await refused('gzip', { answer: reply(200, { 'content-encoding': 'gzip' }, gzip) }, 'TRANSFER_INVALID')
})

test('openRange names what each refusal means for the link', async () => {
  const cases: [number, Record<string, string>, string, string][] = [
    [403, {}, '', 'LINK_EXPIRED'],
    [403, {}, '<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>', 'LINK_EXPIRED'],
    [400, {}, '<Error><Code>ExpiredToken</Code></Error>', 'LINK_EXPIRED'],
    [401, {}, 'SignatureDoesNotMatch', 'LINK_EXPIRED'],
    [404, {}, '', 'FILE_UNAVAILABLE'],
    [410, {}, '', 'FILE_UNAVAILABLE'],
    [416, { 'content-range': 'bytes */7' }, '', 'TRANSFER_INVALID'],
    [408, {}, '', 'HUB_UNREACHABLE'],
    [429, { 'retry-after': '9' }, '', 'HUB_UNREACHABLE'],
    [500, {}, '', 'HUB_UNREACHABLE'],
    [503, {}, '', 'HUB_UNREACHABLE'],
    [204, {}, '', 'TRANSFER_INVALID'],
    [400, {}, '', 'TRANSFER_INVALID'],
    [304, {}, '', 'TRANSFER_INVALID'],
  ]

  for (const [status, headers, body, code] of cases) {
    await refused(String(status), { answer: reply(status, headers, body) }, code)
  }
})

test('openRange tells the size the server has when the range lies outside, and how long to wait', async () => {
  const details = async (answer: Buffer) =>
    download({ answer }).catch((error: Error & { details: Record<string, unknown> }) => error.details)

  assert.deepEqual(await details(reply(416, { 'content-range': 'bytes */7' })), { totalSize: 7 })
  const limited = (await details(reply(429, { 'retry-after': '9' }))) as Record<string, unknown>
  assert.equal(limited['retryAfterMs'], 9000)
})

test('openRange takes a 403 of the Hub itself for what it says', async () => {
  const answers: [Record<string, string>, string, string][] = [
    [{ 'x-error-code': 'GatedRepo' }, '', 'REPO_GATED'],
    [{ 'x-error-message': 'Access to this resource is disabled.' }, '', 'REPO_DISABLED'],
    [{}, '<Code>SignatureDoesNotMatch</Code>', 'LINK_EXPIRED'],
  ]
  for (const [headers, body, code] of answers) {
    await using hub = await startRawServer((_, socket) => socket.end(reply(403, headers, body)))
    await using it = hubUnderTest(hub.origin)

    await assert.rejects(it.hub.openRange(resolvedAt(`${hub.origin}/x`), 0, 5, signal), { code })
  }
})

test('openRange notices that the Hub answers about other content than was resolved', async () => {
  const changed: Record<string, string>[] = [{ 'x-repo-commit': 'd'.repeat(40) }, { etag: `"${'f'.repeat(40)}"` }]
  for (const headers of changed) {
    await using hub = await startRawServer((_, socket) => socket.end(part(headers)))
    await using it = hubUnderTest(hub.origin)

    await assert.rejects(it.hub.openRange(resolvedAt(`${hub.origin}/x`), 5, 15, signal), { code: 'TRANSFER_INVALID' })
  }
})

test('openRange does not read a hash of another kind out of the ETag of a CDN', async () => {
  assert.equal(await download({ answer: part({ etag: `"${'f'.repeat(64)}"` }) }), '5/20 56789abcde')
})

test('openRange stops waiting: for headers, in the body, and for the last byte', async () => {
  const head = 'HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\ncontent-length: 10\r\n\r\n'
  for (const answer of ['', 'HTTP/1.1 206 X\r\n', head, `${head}56789`, `${head}56789abcd`]) {
    const hasHead = answer.startsWith(head)
    const options = { deadlines: hasHead ? { idleMs: SHORT_MS } : { headersMs: SHORT_MS } }
    await refused(JSON.stringify(answer), { answer, stayOpen: true, options }, 'TRANSFER_STALLED')
    const what = hasHead ? /more of the body did not arrive/ : /the headers did not arrive/
    await assert.rejects(download({ answer, stayOpen: true, options }), what)
  }
})

/** Longer than a busy machine may keep a server from its next byte: it is the whole that must not be waited for. */
const NEXT_BYTE_MS = 10 * SHORT_MS

for (const [what, deadlines, head, drip] of [
  ['a head', { headersMs: NEXT_BYTE_MS }, 'HTTP/1.1 206 X\r\nx: ', 'x'],
  ['a body', { idleMs: NEXT_BYTE_MS }, 'HTTP/1.1 200 X\r\ncontent-length: 9000000\r\n\r\n', 'x'],
  ['a body in chunks', { idleMs: NEXT_BYTE_MS }, 'HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
] as const) {
  test(`openRange waits for ${what} that comes byte by byte no longer than for one that does not come`, async (t) => {
    await using cdn = await startRawServer((_, socket) => {
      socket.write(head)
      const timer = setInterval(() => socket.write(drip), SHORT_MS / 10)
      socket.on('close', () => clearInterval(timer))
    })
    await using it = hubUnderTest('http://127.0.0.1:9', { deadlines })
    const memory = new Uint8Array(9_000_000)
    const sink = { view: () => memory, filled: () => undefined, room: () => Promise.resolve() }
    const transfer = async (): Promise<void> => {
      await using body = await it.hub.openRange(resolvedAt(cdn.origin, memory.length), 0, memory.length, t.signal)
      await body.into(sink, t.signal)
    }

    await assert.rejects(transfer(), { code: 'TRANSFER_STALLED' })
    await until(() => cdn.openSockets() === 0)
  })
}

test('openRange ends a transfer that drips past the deadline of the whole', async () => {
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'm.bin', content: new Uint8Array(5000), lfs: true }] })
  sim.faults.add({ origin: 'cdn', slowDrip: { bytes: 1, everyMs: 20 } })
  await using it = hubUnderTest(sim.url, { deadlines: { transferMs: SHORT_MS } })
  const resolved = await it.hub.resolveFile(hubFile('Qwen/A', head, 'm.bin'), signal)
  const transfer = async (): Promise<Buffer> => {
    await using body = await it.hub.openRange(resolved, 0, 5000, signal)
    return await readAll(body.chunks())
  }

  await assert.rejects(transfer(), { code: 'TRANSFER_STALLED', message: /the whole answer did not arrive/ })
})

test('openRange does not blame the network for a consumer that takes its time', async (t) => {
  const size = 8 * 1024 * 1024
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', { files: [{ path: 'm.bin', content: new Uint8Array(size), lfs: true }] })
  await using it = hubUnderTest(sim.url)
  const resolved = await it.hub.resolveFile(hubFile('Qwen/A', head, 'm.bin'), signal)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  await using body = await it.hub.openRange(resolved, 0, size, signal)

  let received = 0
  let hasPaused = false
  for await (const chunk of body.chunks()) {
    received += chunk.length
    if (!hasPaused) {
      hasPaused = true
      // The network did its part, nobody asks for it, and an hour passes.
      await until(() => sim.bytesServed() >= received + 2 * chunk.length)
      t.mock.timers.tick(3_600_000)
    }
  }

  assert.equal(received, size)
})

test('openRange destroys the socket when its body is disposed early, and frees the slot', async () => {
  const big = 'x'.repeat(64 * 1024)
  await using cdn = await startRawServer((request, socket) => {
    const isSmall = request.headers.get('range') === 'bytes=5-14'
    if (isSmall) socket.write(part({}))
    else socket.write(`HTTP/1.1 206 X\r\ncontent-range: bytes 0-999999999/1000000000\r\n\r\n${big}`)
  })
  await using it = hubUnderTest('http://127.0.0.1:9')

  for (let n = 0; n < 40; n++) {
    await using body = await it.hub.openRange(resolvedAt(`${cdn.origin}/x`, 1_000_000_000), 0, 1_000_000_000, signal)
    for await (const chunk of body.chunks()) {
      assert.ok(chunk.length > 0)
      break
    }
  }
  await using last = await it.hub.openRange(resolvedAt(`${cdn.origin}/x`), 5, 15, signal)
  assert.equal((await readAll(last.chunks())).length, 10)
  await until(() => cdn.openSockets() <= 1)
})

test('openRange destroys the socket when its chunks are left, even if nobody disposes the body', async () => {
  await using cdn = await startRawServer((_, socket) => {
    socket.write('HTTP/1.1 206 X\r\ncontent-range: bytes 0-999/1000\r\n\r\nx')
  })
  await using it = hubUnderTest('http://127.0.0.1:9')

  const body = await it.hub.openRange(resolvedAt(`${cdn.origin}/x`, 1000), 0, 1000, signal)
  for await (const chunk of body.chunks()) {
    assert.equal(chunk.length, 1)
    break
  }

  await until(() => cdn.openSockets() <= 0)
})

test('openRange ends with the reason of its signal, before and in the body', async () => {
  await using cdn = await startRawServer((request, socket) => {
    if (request.path === '/body') socket.write('HTTP/1.1 206 X\r\ncontent-range: bytes 5-14/20\r\n\r\n5')
  })
  await using it = hubUnderTest('http://127.0.0.1:9')
  const before = new AbortController()
  const within = new AbortController()

  const opening = it.hub.openRange(resolvedAt(`${cdn.origin}/never`), 5, 15, before.signal)
  setImmediate(() => before.abort(new Error('stop before')))
  await assert.rejects(opening, /stop before/)

  await using body = await it.hub.openRange(resolvedAt(`${cdn.origin}/body`), 5, 15, within.signal)
  const reading = readAll(body.chunks())
  setImmediate(() => within.abort(new Error('stop within')))
  await assert.rejects(reading, /stop within/)
})

test('openRange follows five redirects by hand and refuses what resolveFile refuses', async () => {
  await using cdn = await startRawServer((request, socket) => {
    const hop = Number(/^\/hop-(\d+)$/.exec(request.path)?.[1])
    const bad: Record<string, string> = {
      '/file': 'file:///etc/passwd',
      '/loop': '/loop',
      '/user': 'http://u:p@x.test/',
    }
    if (hop === 0) socket.write(part({}))
    else socket.write(reply(302, { location: bad[request.path] ?? `/hop-${hop - 1}` }))
  })
  await using it = hubUnderTest('http://127.0.0.1:9')
  const open = async (path: string) => it.hub.openRange(resolvedAt(`${cdn.origin}${path}`), 5, 15, signal)

  await using body = await open('/hop-5')
  assert.equal((await readAll(body.chunks())).toString(), '56789abcde')
  for (const path of ['/hop-6', '/loop', '/file', '/user']) {
    await assert.rejects(open(path), { code: 'HUB_REDIRECT_REFUSED' }, path)
  }
})

test('openRange reads an empty file without a range and accepts nothing but emptiness', async () => {
  await using cdn = await startRawServer((request, socket) => {
    socket.write(reply(200, {}, request.path === '/empty' ? '' : 'not empty'))
  })
  await using it = hubUnderTest('http://127.0.0.1:9')
  const open = async (path: string, size: number | undefined) =>
    it.hub.openRange(resolvedAt(`${cdn.origin}${path}`, size), 0, 0, signal)

  await using body = await open('/empty', 0)
  assert.deepEqual([body.start, body.totalSize, (await readAll(body.chunks())).length], [0, 0, 0])
  assert.equal(cdn.requests[0]?.headers.has('range'), false)
  await assert.rejects(open('/full', 0), { code: 'TRANSFER_INVALID' })
  await assert.rejects(open('/full', undefined), { code: 'TRANSFER_INVALID' })
})

test('openRange asks for identity and the exact range', async () => {
  await using cdn = await startRawServer((_, socket) => socket.write(part({})))
  await using it = hubUnderTest('http://127.0.0.1:9')

  await using body = await it.hub.openRange(resolvedAt(`${cdn.origin}/x?Signature=a%2Fb`), 5, 15, signal)
  await readAll(body.chunks())

  const [request] = cdn.requests
  assert.equal(request?.path, '/x?Signature=a%2Fb')
  assert.equal(request?.headers.get('range'), 'bytes=5-14')
  assert.equal(request?.headers.get('accept-encoding'), 'identity')
})

test('openRange says whether there was no server or a broken connection', async () => {
  await using cdn = await startRawServer((_, socket) => socket.resetAndDestroy())
  await using it = hubUnderTest('http://127.0.0.1:9')

  await assert.rejects(it.hub.openRange(resolvedAt(`${cdn.origin}/x`), 5, 15, signal), { code: 'TRANSFER_INTERRUPTED' })
  await assert.rejects(it.hub.openRange(resolvedAt('http://127.0.0.1:9/x'), 5, 15, signal), { code: 'HUB_UNREACHABLE' })
})

test('openRange reads files of the Hub and of its CDN, whole and in parts', async () => {
  const content = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 31) & 255)
  await using sim = await startSimHub()
  const head = sim.world.addRepo('Qwen/A', {
    files: [
      { path: 'weights.safetensors', content },
      { path: 'text.json', content: content.subarray(0, 3000), lfs: false },
      { path: 'empty.txt', content: '' },
    ],
  })
  await using it = hubUnderTest(sim.url)

  for (const [path, size] of [
    ['weights.safetensors', 300_000],
    ['text.json', 3000],
    ['empty.txt', 0],
  ] as const) {
    const resolved = await it.hub.resolveFile(hubFile('Qwen/A', head, path), signal)
    const pieces: Uint8Array[] = []
    for (let start = 0; start === 0 || start < size; start += 100_000) {
      await using body = await it.hub.openRange(resolved, start, Math.min(start + 100_000, size), signal)
      assert.equal(body.start, start)
      assert.equal(body.totalSize, size)
      pieces.push(await readAll(body.chunks()))
    }
    assert.deepEqual(Buffer.concat(pieces), Buffer.from(content.subarray(0, size)), path)
  }
})

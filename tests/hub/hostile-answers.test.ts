import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { test } from 'node:test'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { type HubUnderTest, hubUnderTest, repoRef, SHORT_MS } from './support/hub-under-test.ts'
import { reply, startRawServer } from './support/raw-server.ts'
import { until } from './support/until.ts'

const { signal } = new AbortController()
const ROW = { _id: 'a'.repeat(24), id: 'Qwen/A', sha: 'c'.repeat(40) }
const ROWS = JSON.stringify([ROW])

/** Lists an owner from a server that always answers the same, then closes or stays. Says how, and after how many tries. */
async function listFrom(
  answer: Buffer | string,
  stayOpen = false,
): Promise<{ code: string | undefined; tries: number }> {
  await using hub = await startRawServer((_, socket) => {
    if (stayOpen) socket.write(answer)
    else socket.end(answer)
  })
  await using it = hubUnderTest(hub.origin, stayOpen ? { deadlines: { headersMs: SHORT_MS, idleMs: SHORT_MS } } : {})
  const code = await it.hub.listOwner('Qwen', 'model', signal).then(
    () => 'accepted',
    (thrown: { code?: string }) => thrown.code,
  )
  return { code, tries: triesOf(it) }
}

/** As the client counts: a server may not have seen yet what was given up in time. */
function triesOf({ clock }: HubUnderTest): number {
  return clock.sleeps.length + 1
}

async function codeOf(answer: Buffer | string): Promise<string | undefined> {
  return (await listFrom(answer)).code
}

test('an API answer in gzip that breaks off, is damaged, or goes on is never taken for a whole one', async () => {
  const gzip = gzipSync(JSON.stringify(Array.from({ length: 500 }, () => ROW)))
  const answer = (bytes: Uint8Array, coding = 'gzip') => reply(200, { 'content-encoding': coding }, bytes)

  assert.equal(await codeOf(answer(gzip.subarray(0, gzip.length - 20))), 'HUB_ANSWER_INVALID')
  assert.equal(await codeOf(answer(Buffer.concat([gzip, Buffer.from('TRAILINGGARBAGE')]))), 'HUB_ANSWER_INVALID')
  assert.equal(await codeOf(answer(Buffer.concat([gzip, Buffer.alloc(9)]))), 'HUB_ANSWER_INVALID')
  assert.equal(await codeOf(answer(Buffer.from('not gzip'))), 'HUB_ANSWER_INVALID')
  assert.equal(await codeOf(answer(gzip)), 'accepted')
})

test('an API answer in another coding is refused unread', async () => {
  for (const coding of ['br, zstd, x', 'gzip, gzip', 'gzip, '.repeat(1000), 'deflate', 'br']) {
    const answer = reply(200, { 'content-encoding': coding }, ROWS)
    assert.equal(await codeOf(answer), 'HUB_ANSWER_INVALID', coding.slice(0, 20))
  }
  assert.equal(await codeOf(reply(200, { 'content-encoding': 'identity' }, ROWS)), 'accepted')
})

test('a bomb is refused before it is unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, ' '))

  assert.equal(await codeOf(reply(200, { 'content-encoding': 'gzip' }, bomb)), 'HUB_ANSWER_TOO_LARGE')
})

test('an endless API answer is cut off at the cap', async () => {
  await using hub = await startRawServer((_, socket) => {
    socket.write('HTTP/1.1 200 X\r\n\r\n[')
    const blanks = Buffer.alloc(1024 * 1024, ' ')
    const pour = (): void => {
      while (!socket.destroyed && socket.write(blanks));
      socket.once('drain', pour)
    }
    pour()
  })
  await using it = hubUnderTest(hub.origin)

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'HUB_ANSWER_TOO_LARGE' })
  await until(() => hub.openSockets() <= 0)
})

test('a listing of many large pages is cut off at the cap of the whole', async () => {
  const page = gzipSync(`[${' '.repeat(60 * 1024 * 1024)}]`)
  let n = 0
  await using hub = await startRawServer((_, socket) => {
    socket.write(reply(200, { 'content-encoding': 'gzip', link: `</api/models?page=${++n}>; rel="next"` }, page))
  })
  await using it = hubUnderTest(hub.origin)

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'HUB_ANSWER_TOO_LARGE' })
  assert.equal(n, 5)
})

test('an API answer that breaks off is asked for again, a bounded number of times', async () => {
  for (const answer of [
    `HTTP/1.1 200 X\r\ncontent-length: 5000\r\n\r\n${ROWS}`,
    `HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[    \r\n`,
    '',
  ]) {
    assert.deepEqual(await listFrom(answer), { code: 'HUB_UNREACHABLE', tries: 5 }, answer)
  }
})

test('an API answer without a length counts only when it is whole JSON', async () => {
  assert.equal(await codeOf(`HTTP/1.1 200 X\r\n\r\n${ROWS}`), 'accepted')
  assert.equal(await codeOf(`HTTP/1.1 200 X\r\n\r\n${ROWS.slice(0, -1)}`), 'HUB_ANSWER_INVALID')
})

test('an answer that is not HTTP, or is so in two ways, is refused', async () => {
  const length = ROWS.length
  for (const answer of [
    `HTTP/1.1 200 X\r\ncontent-length: ${length}\r\ncontent-length: ${length + 10}\r\n\r\n${ROWS}`,
    `HTTP/1.1 200 X\r\ncontent-length: ${length}\r\ntransfer-encoding: chunked\r\n\r\n${ROWS}`,
    `HTTP/1.1 200 X\r\ncontent-length: -5\r\n\r\n${ROWS}`,
    'SSH-2.0-OpenSSH_9.2\r\n\r\n',
    `HTTP/1.1 200 X\r\nx: ${'y'.repeat(70_000)}\r\n\r\n${ROWS}`,
    `HTTP/1.1 200 X\r\n${'x: y\r\n'.repeat(20_000)}\r\n${ROWS}`,
  ]) {
    assert.equal(await codeOf(answer), 'HUB_ANSWER_INVALID', answer.slice(0, 60))
  }
})

test('a Hub that does not answer, or stops answering, costs a bounded time', async () => {
  const head = `HTTP/1.1 200 X\r\ncontent-length: ${ROWS.length}\r\n\r\n`
  for (const answer of ['', 'HTTP/1.1 200 X\r\n', head, head + ROWS.slice(0, 5), head + ROWS.slice(0, -1)]) {
    assert.deepEqual(await listFrom(answer, true), { code: 'HUB_UNREACHABLE', tries: 5 }, answer)
  }
})

test('a Hub that sends early hints for ever costs a bounded time', async () => {
  await using hub = await startRawServer((_, socket) => {
    const hint = (): void => {
      if (!socket.destroyed) socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n', () => setImmediate(hint))
    }
    hint()
  })
  await using it = hubUnderTest(hub.origin, { deadlines: { headersMs: SHORT_MS } })

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'HUB_UNREACHABLE' })
})

test('a whole answer has a deadline, however steadily it drips', async () => {
  await using sim = await startSimHub()
  sim.world.addRepo('Qwen/A', { files: [{ path: 'a', content: 'x' }] })
  await using hub = await startRawServer((_, socket) => {
    socket.write('HTTP/1.1 200 X\r\n\r\n[')
    const drip = (): void => {
      if (!socket.destroyed) socket.write(' ', () => setImmediate(drip))
    }
    drip()
  })
  await using it = hubUnderTest(hub.origin, { deadlines: { answerMs: SHORT_MS } })

  await assert.rejects(it.hub.listOwner('Qwen', 'model', signal), { code: 'HUB_UNREACHABLE' })
  assert.equal(triesOf(it), 5)
})

test('what passes by itself is waited out: a broken connection, 408, 500, 502, 503, 504', async () => {
  let n = 0
  const statuses = [0, 408, 500, 503]
  await using hub = await startRawServer((_, socket) => {
    const status = statuses[n++]
    if (status === 0) socket.resetAndDestroy()
    else if (status === undefined) socket.write(reply(200, {}, JSON.stringify(ROW)))
    else socket.write(reply(status, {}, 'busy'))
  })
  await using it = hubUnderTest(hub.origin)

  const answer = await it.hub.askRepo(repoRef('Qwen/A'), signal)

  assert.equal(answer.kind, 'found')
  assert.equal(hub.requests.length, 5)
  assert.equal(it.logged.length, 4)
})

test('a stray body after a HEAD spoils only its own connection', async () => {
  await using hub = await startRawServer((_, socket) => {
    const headers = { location: '/x', etag: `"${'a'.repeat(40)}"`, connection: 'keep-alive' }
    socket.write(reply(302, headers, 'a body nobody asked for'))
  })
  await using it = hubUnderTest(hub.origin)
  const file = { ref: repoRef('Qwen/A'), commit: ROW.sha as never, path: 'a' }

  for (let n = 0; n < 3; n++) {
    assert.equal((await it.hub.resolveFile(file, signal)).etag, 'a'.repeat(40))
  }
})

test('a Hub that is gone is said to be so, by host and repository', async () => {
  await using it = hubUnderTest('http://127.0.0.1:9')

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), (error: Error & { code: string; hint: string }) => {
    assert.equal(error.code, 'HUB_UNREACHABLE')
    assert.match(error.message, /Qwen\/A.*127\.0\.0\.1:9.*ECONNREFUSED/)
    assert.match(error.hint, /Nothing in the archive changed/)
    assert.ok(error.cause instanceof Error)
    return true
  })
})

test('a closed source refuses further questions at once', async () => {
  await using sim = await startSimHub()
  const it = hubUnderTest(sim.url)
  await it.hub.askRepo(repoRef('Qwen/A'), signal)
  await it.hub.close()

  await assert.rejects(it.hub.askRepo(repoRef('Qwen/A'), signal), { code: 'HUB_UNREACHABLE' })
  assert.deepEqual(it.clock.sleeps, [])
})

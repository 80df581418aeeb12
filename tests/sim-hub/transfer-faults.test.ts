/** Section "Transfer" of what the simulated Hub must be able to do: one test a switch. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { ask, type AskOptions } from '../support/sim-hub/ask.ts'
import type { Fault } from '../support/sim-hub/fault-types.ts'
import { generated } from '../support/sim-hub/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

const SIZE = 100_000
const BYTES = Buffer.from(generated(9, SIZE).read(0, SIZE))

async function hubWithFile(): Promise<SimHub> {
  const hub = await startSimHub()
  hub.world.addRepo('Qwen/A', {
    files: [
      { path: 'a.gguf', content: generated(9, SIZE) },
      { path: 'c.json', content: '{}' },
    ],
  })
  return hub
}

/** Asks the CDN for the file under a fault. */
async function askCdn(hub: SimHub, fault: Fault, options: AskOptions = {}) {
  const { headers } = await ask(`${hub.url}/Qwen/A/resolve/main/a.gguf`)
  const armed = hub.faults.add({ origin: 'cdn', ...fault })
  try {
    return await ask(headers['location'] ?? '', options)
  } finally {
    armed.remove()
  }
}

test('cutAfter resets the connection after so many bytes, 0 included', async () => {
  await using hub = await hubWithFile()

  for (const cutAfter of [0, 1, 65_537, SIZE - 1]) {
    const answer = await askCdn(hub, { cutAfter })
    assert.deepEqual([answer.status, answer.isComplete, answer.body.length], [200, false, cutAfter])
    assert.ok(answer.body.equals(BYTES.subarray(0, cutAfter)))
    assert.equal(answer.headers['content-length'], String(SIZE))
  }
})

test('shortBody promises all and ends early', async () => {
  await using hub = await hubWithFile()

  const answer = await askCdn(hub, { shortBody: 500 })
  assert.deepEqual(
    [answer.isComplete, answer.body.length, answer.headers['content-length']],
    [false, 500, String(SIZE)],
  )
})

test('extraBody sends more than was asked', async () => {
  await using hub = await hubWithFile()

  const answer = await askCdn(hub, { extraBody: 3 }, { headers: { Range: 'bytes=10-19' } })
  assert.deepEqual([answer.status, answer.isComplete, answer.body.length], [206, true, 13])
  assert.ok(answer.body.subarray(0, 10).equals(BYTES.subarray(10, 20)))
})

test('flipBit flips one bit at a place in the file, wherever a range begins', async () => {
  await using hub = await hubWithFile()

  const whole = await askCdn(hub, { flipBit: 70_000 })
  const differing = [...whole.body.keys()].filter((index) => whole.body[index] !== BYTES[index])
  assert.deepEqual(differing, [70_000])
  const ranged = await askCdn(hub, { flipBit: 70_000 }, { headers: { Range: 'bytes=69999-70001' } })
  assert.equal(ranged.body[1], (BYTES[70_000] ?? 0) ^ 1)
  const elsewhere = await askCdn(hub, { flipBit: 70_000 }, { headers: { Range: 'bytes=0-9' } })
  assert.ok(elsewhere.body.equals(BYTES.subarray(0, 10)))
})

test('ignoreRange answers 200 with the whole file', async () => {
  await using hub = await hubWithFile()

  const answer = await askCdn(hub, { ignoreRange: true }, { headers: { Range: 'bytes=500-' } })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-range'], undefined)
  assert.ok(answer.body.equals(BYTES))
})

test('wrongContentRange and shiftRange lie in the header and in the bytes', async () => {
  await using hub = await hubWithFile()
  const range = { headers: { Range: 'bytes=10-19' } }

  const lie = await askCdn(hub, { wrongContentRange: 'bytes 11-20/100000' }, range)
  assert.deepEqual([lie.status, lie.headers['content-range']], [206, 'bytes 11-20/100000'])
  assert.ok(lie.body.equals(BYTES.subarray(10, 20)))
  const none = await askCdn(hub, { wrongContentRange: '' }, range)
  assert.deepEqual([none.status, none.headers['content-range']], [206, undefined])
  const shifted = await askCdn(hub, { shiftRange: 1 }, range)
  assert.equal(shifted.headers['content-range'], 'bytes 11-20/100000')
  assert.ok(shifted.body.equals(BYTES.subarray(11, 21)))
})

test('changeEtag gives the same file another validator', async () => {
  await using hub = await hubWithFile()

  assert.equal((await askCdn(hub, { changeEtag: 'W/"other"' })).headers['etag'], 'W/"other"')
  hub.faults.add({ method: 'GET', path: /\/resolve\//, changeEtag: `"${'0'.repeat(64)}"` })
  const head = await ask(`${hub.url}/Qwen/A/resolve/main/a.gguf`, { method: 'HEAD' })
  const get = await ask(`${hub.url}/Qwen/A/resolve/main/a.gguf`)
  assert.notEqual(head.headers['x-linked-etag'], get.headers['x-linked-etag'])
})

test('slowDrip sends a few bytes at a time', async () => {
  await using hub = await hubWithFile()

  const answer = await askCdn(hub, { slowDrip: { bytes: 2, everyMs: 1 } }, { headers: { Range: 'bytes=0-15' } })
  assert.ok(answer.body.equals(BYTES.subarray(0, 16)))
  assert.ok(answer.pieces.length >= 4, `${answer.pieces.length} pieces`)
})

test('stall says nothing, before the headers or in the middle, until the client gives up', async () => {
  await using hub = await hubWithFile()

  await assert.rejects(askCdn(hub, { stall: 'before-headers' }, { signal: AbortSignal.timeout(50) }), {
    name: 'AbortError',
  })
  const answer = await askCdn(hub, { stall: 1000 }, { stopAfter: 1000 })
  assert.deepEqual([answer.isComplete, answer.body.length], [false, 1000])
})

test('expireLink turns one request of a good link away', async () => {
  await using hub = await hubWithFile()
  const link = (await ask(`${hub.url}/Qwen/A/resolve/main/a.gguf`)).headers['location'] ?? ''
  const fault = hub.faults.add({ origin: 'cdn', nth: 2, times: 1, expireLink: true })

  const statuses: number[] = []
  for (let index = 0; index < 3; index++) statuses.push((await ask(link, { headers: { Range: 'bytes=0-0' } })).status)
  assert.deepEqual(statuses, [206, 403, 206])
  assert.equal(fault.hits, 1)
})

test('gzipped compresses what nobody asked to compress, and framing leaves the length out', async () => {
  await using hub = await hubWithFile()

  const gzipped = await askCdn(hub, { gzipped: true }, { headers: { Range: 'bytes=0-99' } })
  assert.deepEqual(
    [gzipped.status, gzipped.headers['content-encoding'], gzipped.headers['content-length']],
    [206, 'gzip', undefined],
  )
  assert.ok(gunzipSync(gzipped.body).equals(BYTES.subarray(0, 100)))
  const chunked = await askCdn(hub, { framing: 'chunked' })
  assert.deepEqual([chunked.headers['transfer-encoding'], chunked.headers['content-length']], ['chunked', undefined])
  assert.ok(chunked.body.equals(BYTES))
  const cut = await askCdn(hub, { framing: 'chunked', shortBody: 10 })
  assert.deepEqual([cut.isComplete, cut.body.length], [false, 10])
  const closed = await askCdn(hub, { framing: 'close' })
  assert.deepEqual([closed.headers['transfer-encoding'], closed.headers['content-length']], [undefined, undefined])
  assert.equal(closed.headers['connection'], 'close')
  assert.ok(closed.body.equals(BYTES))
})

test('redirectTo and redirectLoop send a client elsewhere, and rawReply says anything at all', async () => {
  await using hub = await hubWithFile()
  const target = 'http://127.0.0.1:1/steal'

  assert.equal((await askCdn(hub, { redirectTo: target })).headers['location'], target)
  const url = `${hub.url}/Qwen/A/resolve/main/c.json`
  const loop = hub.faults.add({ redirectLoop: true })
  const looped = await ask(url)
  assert.deepEqual([looped.status, looped.headers['location']], [302, url])
  loop.remove()
  hub.faults.add({ rawReply: 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\nContent-Length: 60\r\n\r\n' })
  await assert.rejects(ask(url), /Parse Error/)
  assert.equal(hub.requests.at(-1)?.status, 0)
})

test('status, headers and body replace an answer, and nothing else changes', async () => {
  await using hub = await hubWithFile()

  const fault = hub.faults.add({ path: /c\.json/, status: 451, headers: { 'X-Reason': 'law' }, body: 'gone', times: 1 })
  const replaced = await ask(`${hub.url}/Qwen/A/resolve/main/c.json`)
  assert.deepEqual([replaced.status, replaced.headers['x-reason'], replaced.text], [451, 'law', 'gone'])
  assert.equal((await ask(`${hub.url}/Qwen/A/resolve/main/c.json`)).status, 307, 'only once')
  assert.equal(fault.hits, 1)
  hub.faults.add({ setHeaders: { 'X-Repo-Commit': 'f'.repeat(40), 'Accept-Ranges': '' } })
  const changed = await ask(`${hub.url}/Qwen/A/resolve/main/c.json`)
  assert.deepEqual([changed.headers['x-repo-commit'], changed.headers['accept-ranges']], ['f'.repeat(40), undefined])
})

test('a fault meets only what it names: origin, method, path, header, place in the order', async () => {
  await using hub = await hubWithFile()
  const url = `${hub.url}/api/models/Qwen/A`
  const meets = async (fault: Fault, options: AskOptions = {}) => {
    const armed = hub.faults.add({ ...fault, status: 500 })
    const { status } = await ask(url, options)
    armed.remove()
    return status === 500
  }

  assert.equal(await meets({ origin: 'hub', method: 'GET', path: /Qwen\/A$/g }), true)
  assert.equal(await meets({ origin: 'cdn' }), false)
  assert.equal(await meets({ method: 'HEAD' }), false)
  assert.equal(await meets({ path: /Qwen\/B/ }), false)
  assert.equal(await meets({ nth: 2 }), false)
  assert.equal(await meets({ header: { name: 'Range', value: /^bytes=5-/ } }), false)
  assert.equal(await meets({ header: { name: 'Range', value: /^bytes=5-/ } }, { headers: { Range: 'bytes=5-' } }), true)
  hub.faults.add({ status: 500 })
  hub.faults.clear()
  assert.equal((await ask(url)).status, 200)
})

/** Bytes of files: ranges, conditions, damage. */
import assert from 'node:assert/strict'
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { Layout } from '../../src/store/layout.ts'
import { generated } from '../support/sim-hub/generated.ts'
import { parseSha256 } from '../../src/domain/digest.ts'
import { startMirrorOf, type MirrorUnderTest } from './mirror-under-test.ts'

const SIZE = 3 * 1024 * 1024 + 7
const YAML = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1s, keep: { exclude: ["*.bin"] } }
`
const BIG = '/Qwen/A/resolve/main/model.safetensors'
const SMALL = '/Qwen/A/resolve/main/config.json'

async function startFilled(t: TestContext) {
  const under = await startMirrorOf(
    t,
    (world) => {
      world.addRepo('Qwen/A', {
        files: [
          { path: 'config.json', content: '{"a":1}' },
          { path: 'empty.txt', content: '' },
          { path: 'page.html', content: '<script>alert(1)</script>' },
          { path: 'model.safetensors', content: generated('weights', SIZE) },
          { path: 'left-out.bin', content: generated('left out', 1000), lfs: true },
        ],
      })
    },
    { yaml: YAML },
  )
  const { sha256 } = await under.hub.world.file('Qwen/A', 'model.safetensors')
  const path = new Layout(under.vault.root).blob(parseSha256(sha256)!)
  return { under, sha256, path, bytes: await readFile(path) }
}

const ask = (under: MirrorUnderTest, path: string, headers: Record<string, string> = {}, method = 'GET') =>
  under.fetch(path, { method, headers: { 'accept-encoding': 'identity', ...headers } })

test('HEAD and GET give the Hub’s ETag, size and commit, and the same bytes', async (t) => {
  const { under, sha256, bytes } = await startFilled(t)
  const { head } = under.hub.world.repo('Qwen/A')
  for (const method of ['HEAD', 'GET']) {
    const response = await ask(under, BIG, {}, method)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-length'), String(SIZE))
    assert.equal(response.headers.get('etag'), `"${sha256}"`)
    assert.equal(response.headers.get('x-linked-etag'), `"${sha256}"`)
    assert.equal(response.headers.get('x-linked-size'), String(SIZE))
    assert.equal(response.headers.get('x-repo-commit'), head)
    assert.equal(response.headers.get('accept-ranges'), 'bytes')
    assert.equal(response.headers.get('x-xet-hash'), null)
    assert.equal(response.headers.get('link'), null)
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), method === 'GET' ? bytes : Buffer.alloc(0))
  }
  const { gitOid } = await under.hub.world.file('Qwen/A', 'config.json')
  const small = await ask(under, SMALL)
  assert.equal(small.headers.get('etag'), `"${gitOid}"`)
  assert.equal(small.headers.get('x-linked-etag'), null)
  assert.equal(await small.text(), '{"a":1}')
})

test('a single range is answered exactly, and whatever is none with all of it or 416', async (t) => {
  const { under, bytes } = await startFilled(t)
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 1],
    ['bytes=100-', 100, SIZE],
    ['bytes=-5', SIZE - 5, SIZE],
    [`bytes=${SIZE - 3}-${SIZE + 99}`, SIZE - 3, SIZE],
    ['bytes=1048570-2097200', 1_048_570, 2_097_201],
    [`bytes=-${SIZE * 2}`, 0, SIZE],
    ['bytes=5-99999999999999999999999', 5, SIZE],
  ] as const) {
    const response = await ask(under, BIG, { range })
    assert.equal(response.status, 206, range)
    assert.equal(response.headers.get('content-range'), `bytes ${start}-${end - 1}/${SIZE}`, range)
    assert.equal(response.headers.get('content-length'), String(end - start), range)
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(start, end)), range)
  }
  for (const range of [
    'bytes=5-2',
    'bytes=a-b',
    'bytes=',
    'bytes=-',
    'lines=0-1',
    'bytes=0-1,4-5',
    `bytes=${'0-,'.repeat(1000)}0-`,
  ]) {
    const response = await ask(under, BIG, { range })
    assert.equal(response.status, 200, range.slice(0, 20))
    assert.equal((await response.arrayBuffer()).byteLength, SIZE)
  }
  for (const range of [`bytes=${SIZE}-`, 'bytes=-0', 'bytes=99999999999999999999-']) {
    const response = await ask(under, BIG, { range })
    assert.equal(response.status, 416, range)
    assert.equal(response.headers.get('content-range'), `bytes */${SIZE}`)
    assert.equal(response.headers.get('x-error-code'), 'RangeNotSatisfiable')
  }
})

test('an empty file is no failure, with a range or without', async (t) => {
  const { under } = await startFilled(t)
  for (const headers of [{}, { range: 'bytes=0-0' }, { range: 'bytes=0-' }]) {
    const response = await ask(under, '/Qwen/A/resolve/main/empty.txt', headers)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-length'), '0')
    assert.equal(response.headers.get('content-range'), 'range' in headers ? 'bytes 0-0/0' : null)
  }
})

test('If-None-Match, If-Match and If-Range compare with the ETag', async (t) => {
  const { under, sha256 } = await startFilled(t)
  const etag = `"${sha256}"`
  const status = async (headers: Record<string, string>) => (await ask(under, BIG, headers)).status
  assert.equal(await status({ 'if-none-match': etag }), 304)
  assert.equal(await status({ 'if-none-match': `"other", W/${etag}` }), 304)
  assert.equal(await status({ 'if-none-match': '*' }), 304)
  assert.equal(await status({ 'if-none-match': '"other"' }), 200)
  assert.equal(await status({ 'if-match': '"other"' }), 412)
  assert.equal(await status({ 'if-match': etag }), 200)
  assert.equal(await status({ range: 'bytes=0-1', 'if-range': etag }), 206)
  assert.equal(await status({ range: 'bytes=0-1', 'if-range': '"old"' }), 200)
  assert.equal(await status({ range: 'bytes=0-1', 'if-range': `W/${etag}` }), 200)
  assert.equal(await status({ range: 'bytes=0-1', 'if-range': 'Wed, 21 Oct 2026 07:28:00 GMT' }), 200)
})

test('raw gives the pointer of an LFS file, and the content of another', async (t) => {
  const { under, sha256 } = await startFilled(t)
  const pointer = await ask(under, '/Qwen/A/raw/main/model.safetensors')
  assert.equal(await pointer.text(), `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${SIZE}\n`)
  assert.equal(await (await ask(under, '/Qwen/A/raw/main/config.json')).text(), '{"a":1}')
})

test('a file that is listed and not held is no entry, and the message says why', async (t) => {
  const { under } = await startFilled(t)
  const response = await ask(under, '/Qwen/A/resolve/main/left-out.bin')
  assert.equal(response.status, 404)
  assert.equal(response.headers.get('x-error-code'), 'EntryNotFound')
  assert.equal(response.headers.get('x-repo-commit'), under.hub.world.repo('Qwen/A').head)
  assert.match(response.headers.get('x-error-message') ?? '', /does not hold it \(excluded\)/)
  const missing = await ask(under, '/Qwen/A/resolve/main/missing.json')
  assert.equal(missing.headers.get('x-error-message'), 'Entry not found')
  assert.equal(missing.headers.get('x-repo-commit'), under.hub.world.repo('Qwen/A').head)
})

test('nothing is served as something a browser would run', async (t) => {
  const { under } = await startFilled(t)
  const response = await ask(under, '/Qwen/A/resolve/main/page.html')
  assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  assert.match(response.headers.get('content-disposition') ?? '', /^attachment;/)
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'.*sandbox/)
})

test('a blob that is gone, changed, or known to be damaged is not served', async (t) => {
  const { under, path, sha256, bytes } = await startFilled(t)
  const answer = async (url = BIG) => {
    under.notice()
    const response = await ask(under, url)
    await response.arrayBuffer().catch(() => undefined)
    return [response.status, response.headers.get('x-error-code')]
  }
  assert.deepEqual(await answer(), [200, null])
  await rename(path, `${path}.quarantined`)
  assert.deepEqual(await answer(), [503, 'Unavailable'])
  await writeFile(path, bytes.subarray(1), { mode: 0o440 })
  assert.deepEqual(await answer(), [503, 'Unavailable'], 'another size')
  await chmod(path, 0o640)
  await writeFile(path, Buffer.alloc(SIZE))
  assert.deepEqual(await answer(), [503, 'Unavailable'], 'other bytes')
  await rename(`${path}.quarantined`, path)
  assert.deepEqual(await answer(), [200, null], 'the good bytes are back')
  const event = { repo: undefined, at: new Date(0).toISOString(), before: sha256, after: 'corrupt', detail: { sha256 } }
  await under.vault.archive.catalog.appendEvents([{ ...event, type: 'fixity-failed', severity: 'critical' }])
  assert.deepEqual(await answer(), [503, 'Unavailable'], 'found by a check')
  assert.deepEqual(await answer(SMALL), [200, null])
  await under.vault.archive.catalog.appendEvents([{ ...event, type: 'fixity-repaired', severity: 'notice' }])
  assert.deepEqual(await answer(), [200, null], 'repaired')
})

test('a small file that was kept in memory is not served after its blob is gone', async (t) => {
  const { under } = await startFilled(t)
  assert.equal((await ask(under, SMALL)).status, 200)
  const { sha256 } = await under.hub.world.file('Qwen/A', 'config.json')
  const path = new Layout(under.vault.root).blob(parseSha256(sha256)!)
  await rename(path, `${path}.quarantined`)
  under.notice()
  assert.equal((await ask(under, SMALL)).status, 503)
})

test('visitors who leave in the middle cost nothing that lasts', async (t) => {
  const { under, bytes } = await startFilled(t)
  for (let at = 0; at < 20; at++) {
    const socket = connect(under.mirror.port, '127.0.0.1')
    socket.write(`GET ${BIG} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await new Promise((resolve) => socket.once('data', resolve))
    socket.destroy()
  }
  const response = await ask(under, BIG)
  assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes))
})

test('requests that follow each other on one connection are answered in order', async (t) => {
  const { under } = await startFilled(t)
  const socket = connect(under.mirror.port, '127.0.0.1')
  const get = (path: string, last = false) =>
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${last ? 'Connection: close\r\n' : ''}\r\n`
  socket.write(get(SMALL) + get('/Qwen/A/resolve/main/missing') + get('/api/models/Qwen/A') + get(SMALL, true))
  const answer = await text(socket)
  assert.deepEqual(
    [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]),
    ['200', '404', '200', '200'],
  )
})

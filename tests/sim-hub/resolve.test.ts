import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { ask } from '../support/sim-hub/ask.ts'
import { generated } from '../support/sim-hub/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub, SimHubOptions } from '../support/sim-hub/types.ts'

const WEIGHTS = generated(5, 300_001)
const BYTES = Buffer.from(WEIGHTS.read(0, WEIGHTS.size))

async function hubWithFiles(options: SimHubOptions = {}): Promise<SimHub> {
  const hub = await startSimHub(options)
  hub.world.addRepo('Qwen/A', {
    files: [
      { path: 'config.json', content: '{"a":1}' },
      { path: 'sub/model.safetensors', content: WEIGHTS },
      { path: 'empty.txt', content: '' },
    ],
  })
  return hub
}

async function cdnLinkOf(hub: SimHub): Promise<string> {
  return (await ask(`${hub.url}/Qwen/A/resolve/main/sub/model.safetensors`)).headers['location'] ?? ''
}

test('a signed link is refused when its time is over, when it was altered, and when the object is gone', async () => {
  let now = Date.parse('2026-03-01T00:00:00Z')
  await using hub = await hubWithFiles({ now: () => now, linkLifeSeconds: 60 })
  const link = await cdnLinkOf(hub)

  assert.equal((await ask(link)).status, 200)
  assert.equal((await ask(link.replace(/Signature=./, 'Signature=x'))).status, 403)
  assert.equal((await ask(link.replace(/Expires=\d+/, 'Expires=99999999999'))).status, 403)
  assert.equal((await ask(link.replace(/\?.*/, ''))).status, 403)
  now += 61_000
  assert.equal((await ask(link)).status, 403)
  assert.equal((await ask(await cdnLinkOf(hub))).status, 200, 'resolving again gives a fresh link')
  hub.world.purgeLfs('Qwen/A', 'sub/model.safetensors')
  assert.equal((await ask(await cdnLinkOf(hub))).status, 404)
})

test('a git file is sent on to resolve-cache by a 307 in the exact form of the site', async () => {
  await using hub = await hubWithFiles()
  const { head } = hub.world.repo('Qwen/A')
  const { gitOid } = await hub.world.file('Qwen/A', 'config.json')

  const first = await ask(`${hub.url}/Qwen/A/resolve/main/config.json`, { method: 'HEAD' })
  assert.equal(first.status, 307)
  const cachePath = `/api/resolve-cache/models/Qwen/A/${head}/config.json`
  assert.equal(
    first.headers['location'],
    `${cachePath}?%2FQwen%2FA%2Fresolve%2Fmain%2Fconfig.json=&etag=%22${gitOid}%22`,
  )
  assert.equal(first.headers['x-repo-commit'], head)
  assert.equal(first.headers['x-linked-etag'], `"${gitOid}"`)
  assert.equal(first.headers['x-linked-size'], undefined)
  assert.equal(first.headers['accept-ranges'], 'bytes')
  const text = (await ask(`${hub.url}/Qwen/A/resolve/main/config.json`)).text
  assert.equal(first.headers['content-length'], String(text.length), 'the length of the redirect text')

  const second = await ask(`${hub.url}${first.headers['location']}`, { method: 'HEAD' })
  assert.equal(second.status, 200)
  assert.equal(second.headers['etag'], `"${gitOid}"`)
  assert.equal(second.headers['content-length'], '7')
  assert.equal(second.headers['x-repo-commit'], head)
})

test('resolve-cache answers 304 to its etag, and gzip without a length to clients that accept it', async () => {
  await using hub = await hubWithFiles()
  const { headers } = await ask(`${hub.url}/Qwen/A/resolve/main/config.json`)
  const url = `${hub.url}${headers['location']}`
  const etag = headers['x-linked-etag'] ?? ''

  const notModified = await ask(url, { headers: { 'If-None-Match': `W/${etag}` } })
  assert.equal(notModified.status, 304)
  assert.equal(notModified.body.length, 0)
  const gzipped = await ask(url, { headers: { 'Accept-Encoding': 'gzip, deflate' } })
  assert.equal(gzipped.headers['content-encoding'], 'gzip')
  assert.equal(gzipped.headers['content-length'], undefined)
  assert.equal(gunzipSync(gzipped.body).toString(), '{"a":1}')
  const plain = await ask(url, { headers: { 'Accept-Encoding': 'identity' } })
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(plain.text, '{"a":1}')
  const ranged = await ask(url, { headers: { Range: 'bytes=1-2', 'Accept-Encoding': 'gzip' } })
  assert.deepEqual([ranged.status, ranged.text, ranged.headers['content-range']], [206, '"a', 'bytes 1-2/7'])
})

test('an LFS file is sent on to the CDN by a 302 with all its facts on the first hop', async () => {
  await using hub = await hubWithFiles()
  const { head, hubId } = hub.world.repo('Qwen/A')
  const facts = await hub.world.file('Qwen/A', 'sub/model.safetensors')
  assert.equal(facts.sha256, createHash('sha256').update(BYTES).digest('hex'))

  const hop = await ask(`${hub.url}/Qwen/A/resolve/main/sub/model.safetensors`, { method: 'HEAD' })

  assert.equal(hop.status, 302)
  assert.ok(hop.headers['location']?.startsWith(`${hub.cdnUrl}/xet-bridge-us/${hubId}/${facts.xetHash}?`))
  assert.equal(hop.headers['x-repo-commit'], head)
  assert.equal(hop.headers['x-linked-size'], '300001')
  assert.equal(hop.headers['x-linked-etag'], `"${facts.sha256}"`)
  assert.equal(hop.headers['x-xet-hash'], facts.xetHash)
  assert.equal(hop.headers['cache-control'], 'no-store')
  assert.match(
    hop.headers['link'] ?? '',
    /xet-read-token\/[0-9a-f]{40}>; rel="xet-auth", <.*>; rel="xet-reconstruction-info"/,
  )
  const ollama = await ask(`${hub.url}/Qwen/A/resolve/main/sub/model.safetensors`, {
    headers: { 'User-Agent': 'ollama/0.9 (amd64)' },
  })
  assert.equal(ollama.status, 307)
})

test('the CDN serves whole files and single ranges, and refuses those beyond the end', async () => {
  await using hub = await hubWithFiles()
  const link = await cdnLinkOf(hub)
  const ranged = (range: string, more: Record<string, string> = {}) => ask(link, { headers: { Range: range, ...more } })

  const whole = await ask(link)
  assert.ok(whole.body.equals(BYTES))
  const xetHash = (await hub.world.file('Qwen/A', 'sub/model.safetensors')).xetHash
  assert.equal(whole.headers['etag'], `"${xetHash}"`, 'not the sha256')
  const middle = await ranged('bytes=1000-250000')
  assert.equal(middle.status, 206)
  assert.equal(middle.headers['content-range'], 'bytes 1000-250000/300001')
  assert.ok(middle.body.equals(BYTES.subarray(1000, 250_001)))
  assert.ok((await ranged('bytes=300000-')).body.equals(BYTES.subarray(300_000)))
  assert.ok((await ranged('bytes=-5')).body.equals(BYTES.subarray(-5)))
  assert.ok((await ranged('bytes=299990-999999')).body.equals(BYTES.subarray(299_990)))
  const beyond = await ranged('bytes=300001-')
  assert.equal(beyond.status, 416)
  assert.equal(beyond.headers['content-range'], 'bytes */300001')
  assert.equal((await ranged('bytes=5-2')).status, 200)
  assert.equal((await ranged('bytes=0-1,5-6')).status, 200)
  assert.equal((await ranged('bytes=0-9', { 'If-Range': `"${xetHash}"` })).status, 206)
  assert.equal((await ranged('bytes=0-9', { 'If-Range': '"other"' })).status, 200)
  const head = await ask(link, { method: 'HEAD', headers: { Range: 'bytes=0-9' } })
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [206, '10', 0])
})

test('bytesServed counts file bytes and nothing else', async () => {
  await using hub = await hubWithFiles()

  const link = await cdnLinkOf(hub)
  assert.equal(hub.bytesServed(), 0)
  await ask(link, { headers: { Range: 'bytes=0-99' } })
  const { headers } = await ask(`${hub.url}/Qwen/A/resolve/main/config.json`)
  await ask(`${hub.url}${headers['location']}`)
  assert.equal(hub.bytesServed(), 107)
})

test('a revision may be encoded or plain, a name or an id', async () => {
  await using hub = await hubWithFiles()
  const { head } = hub.world.repo('Qwen/A')
  const { commit } = hub.world.addPullRequest('Qwen/A', { set: [{ path: 'pr.txt', content: 'pr' }] })
  hub.world.moveBranch('Qwen/A', 'feature/x', head)
  const commitOf = async (revision: string, path: string) => {
    return (await ask(`${hub.url}/Qwen/A/resolve/${revision}/${path}`)).headers['x-repo-commit']
  }

  for (const revision of ['refs%2Fpr%2F1', 'refs/pr/1', commit, commit.slice(0, 8)]) {
    assert.equal(await commitOf(revision, 'pr.txt'), commit, revision)
  }
  for (const revision of ['feature/x', 'feature%2Fx', 'HEAD', 'refs/heads/main', head.slice(0, 7)]) {
    assert.equal(await commitOf(revision, 'config.json'), head, revision)
  }
  assert.equal((await ask(`${hub.url}/Qwen/A/resolve/${head.slice(0, 6)}/config.json`)).status, 404, 'too short')
})

test('raw gives what git holds: small files and the pointers of big ones', async () => {
  await using hub = await hubWithFiles()
  const { sha256, size } = await hub.world.file('Qwen/A', 'sub/model.safetensors')

  const pointer = await ask(`${hub.url}/Qwen/A/raw/main/sub/model.safetensors`)
  assert.equal(pointer.text, `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${size}\n`)
  assert.equal((await ask(`${hub.url}/Qwen/A/raw/main/config.json`)).text, '{"a":1}')
})

test('an empty file has size 0, and any range of it is refused', async () => {
  await using hub = await hubWithFiles()
  const { headers } = await ask(`${hub.url}/Qwen/A/resolve/main/empty.txt`)
  const url = `${hub.url}${headers['location']}`

  const whole = await ask(url)
  assert.deepEqual([whole.status, whole.headers['content-length'], whole.body.length], [200, '0', 0])
  const ranged = await ask(url, { headers: { Range: 'bytes=0-0' } })
  assert.deepEqual([ranged.status, ranged.headers['content-range']], [416, 'bytes */0'])
})

test('paths that decode to nothing sane are refused or unknown, never found elsewhere', async () => {
  await using hub = await hubWithFiles()

  for (const path of ['%ff', '%c0%ae', 'a%', '%zz']) {
    assert.equal((await ask(`${hub.url}/Qwen/A/resolve/main/${path}`)).status, 400, path)
  }
  for (const path of ['..%2fconfig.json', '%2e%2e/config.json', 'sub/../config.json', '%252e/config.json', 'a%00b']) {
    assert.equal((await ask(`${hub.url}/Qwen/A/resolve/main/${path}`)).headers['x-error-code'], 'EntryNotFound', path)
  }
  assert.equal((await ask(`${hub.url}/%2e%2e/%2e%2e/resolve/main/x`)).status, 401)
})

test('datasets have the same doors under their prefix', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/D', {
    type: 'dataset',
    files: [
      { path: 'a.txt', content: 'a' },
      { path: 'b.parquet', content: 'b' },
    ],
  })

  const small = await ask(`${hub.url}/datasets/Qwen/D/resolve/main/a.txt`)
  assert.match(small.headers['location'] ?? '', /^\/api\/resolve-cache\/datasets\/Qwen\/D\//)
  assert.equal((await ask(`${hub.url}${small.headers['location']}`)).text, 'a')
  const big = await ask(`${hub.url}/datasets/Qwen/D/resolve/main/b.parquet`)
  assert.equal((await ask(big.headers['location'] ?? '')).text, 'b')
  assert.equal((await ask(`${hub.url}/Qwen/D/resolve/main/a.txt`)).status, 401, 'not a model')
})

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { PassResult } from '../../src/opened-archive.ts'
import { provenBlobs, readManifest } from '../support/held-files.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import type { Fault } from '../support/sim-hub/fault-types.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub, SimHubOptions } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'
import { DEFAULT_YAML, TestVault } from '../support/test-vault.ts'

const SIZE = 400_000

interface Scene extends AsyncDisposable {
  readonly hub: SimHub
  readonly vault: TestVault
}

/** Two repos, of which A has the weight file that the faults are about, and hours that pass in no time. */
async function setScene(options: SimHubOptions = {}): Promise<Scene> {
  const clock = new HurriedClock()
  const hub = await startSimHub({ now: clock.now, ...options })
  hub.world.addRepo('Qwen/A-1B', smallModel('a', SIZE))
  hub.world.addRepo('Qwen/B-1B', smallModel('b', 1000))
  const vault = await TestVault.open(hub, DEFAULT_YAML, clock)
  return {
    hub,
    vault,
    [Symbol.asyncDispose]: async () => {
      await vault[Symbol.asyncDispose]()
      await hub[Symbol.asyncDispose]()
    },
  }
}

function sealedRepos(result: PassResult): string[] {
  return result.sealed.map(({ repo }) => repo).sort()
}

function codes(result: PassResult): string[] {
  return result.failed.map(({ repo, code }) => `${repo} ${code}`)
}

const ONE_BLOB_OF_A = { origin: 'cdn', header: { name: 'range', value: /./ } } as const

/** Transfers that go wrong some times and then right: nobody has to help. */
const PASSING: readonly { name: string; faults: readonly Fault[] }[] = [
  { name: 'connections that are cut again and again', faults: [{ origin: 'cdn', cutAfter: 90_000 }] },
  { name: 'a body that ends too early, politely', faults: [{ origin: 'cdn', shortBody: 100_000, times: 3 }] },
  { name: 'links that expire at once', faults: [{ origin: 'cdn', expireLink: true, times: 3 }] },
  {
    name: 'a range that is ignored after a cut',
    faults: [
      { origin: 'cdn', cutAfter: 100_000, times: 1 },
      { ...ONE_BLOB_OF_A, ignoreRange: true },
    ],
  },
  {
    name: 'a storm of 503 everywhere',
    faults: [
      { status: 503, times: 4 },
      { origin: 'cdn', cutAfter: 10, times: 2 },
    ],
  },
  {
    name: 'a storm of 502 and 429 in the middle of the listing',
    faults: [
      { path: /\/tree\//, status: 502, times: 3 },
      { path: /\/api\/models\?/, tooManyRequests: 'retry-after', retryAfter: '120', times: 2 },
    ],
  },
  { name: 'connections that close instead of saying a length', faults: [{ origin: 'cdn', framing: 'close' }] },
]

suite('a Hub that fails and recovers', { concurrency: 3 }, () => {
  for (const { name, faults } of PASSING) {
    test(`${name}: one sync is enough`, async () => {
      await using scene = await setScene()
      for (const fault of faults) scene.hub.faults.add(fault)

      const result = await scene.vault.sync()

      assert.deepEqual(codes(result), [])
      assert.deepEqual(sealedRepos(result), ['Qwen/A-1B', 'Qwen/B-1B'])
      assert.equal(provenBlobs(scene.vault.root).length, 6)
      assert.deepEqual(await readdir(join(scene.vault.root, 'partial')), [])
    })
  }

  test('a cut connection costs no byte that arrived', async () => {
    await using scene = await setScene()
    scene.hub.faults.add({ origin: 'cdn', cutAfter: 90_000 })

    await scene.vault.sync()

    const starts = scene.hub.requests
      .filter(({ origin }) => origin === 'cdn')
      .map(({ headers }) => Number(/^bytes=(\d+)-/.exec(headers['range'] ?? '')?.[1]))
    assert.ok(starts.includes(90_000) && starts.includes(180_000) && starts.includes(360_000), starts.join())
  })
})

/** Answers that must not become bytes of the archive. Whatever they are, B is not affected, and A is whole once they end. */
const REFUSED: readonly { name: string; fault: Fault; code: string }[] = [
  {
    name: 'a wrong Content-Range',
    fault: { origin: 'cdn', wrongContentRange: 'bytes 5-9/10' },
    code: 'TRANSFER_INVALID',
  },
  { name: 'no Content-Range', fault: { origin: 'cdn', wrongContentRange: '' }, code: 'TRANSFER_INVALID' },
  {
    name: 'an unknown total',
    fault: { origin: 'cdn', wrongContentRange: 'bytes 0-399999/*' },
    code: 'TRANSFER_INVALID',
  },
  { name: 'another part of the file', fault: { origin: 'cdn', shiftRange: 7 }, code: 'TRANSFER_INVALID' },
  { name: 'gzip that nobody asked for', fault: { origin: 'cdn', gzipped: true }, code: 'TRANSFER_INVALID' },
  { name: 'too many bytes', fault: { origin: 'cdn', extraBody: 3 }, code: 'TRANSFER_INVALID' },
  { name: 'a page for people', fault: { origin: 'cdn', nonJson: true }, code: 'TRANSFER_INVALID' },
  { name: 'a redirect loop at the CDN', fault: { origin: 'cdn', redirectLoop: true }, code: 'HUB_REDIRECT_REFUSED' },
  {
    name: 'a file: redirect',
    fault: { origin: 'cdn', redirectTo: 'file:///etc/passwd' },
    code: 'HUB_REDIRECT_REFUSED',
  },
  { name: 'a file the CDN has lost', fault: { origin: 'cdn', status: 404 }, code: 'FILE_UNAVAILABLE' },
  { name: 'links that are always expired', fault: { origin: 'cdn', expireLink: true }, code: 'LINK_EXPIRED' },
  {
    name: 'another ETag',
    fault: { path: /A-1B\/resolve\/.*safetensors/, changeEtag: `"${'0'.repeat(64)}"` },
    code: 'DIGEST_MISMATCH',
  },
  {
    name: 'the answer of another commit',
    fault: { path: /A-1B\/resolve/, setHeaders: { 'X-Repo-Commit': 'f'.repeat(40) } },
    code: 'HUB_ANSWER_INVALID',
  },
  { name: 'a resolve loop', fault: { path: /A-1B\/resolve/, redirectLoop: true }, code: 'HUB_REDIRECT_REFUSED' },
]

suite('answers that are refused', { concurrency: 3 }, () => {
  for (const { name, fault, code } of REFUSED) {
    test(`${name}: nothing is stored, the other repo is whole, and the next sync completes it`, async () => {
      await using scene = await setScene()
      const { vault, hub } = scene
      const handle = hub.faults.add({
        ...fault,
        path: fault.path ?? new RegExp(`/${hub.world.repo('Qwen/A-1B').hubId}/`),
      })

      const first = await vault.sync()

      assert.ok(handle.hits > 0)
      assert.deepEqual(sealedRepos(first), ['Qwen/B-1B'])
      assert.ok(first.failed.length > 0)
      for (const failure of first.failed) assert.deepEqual([failure.repo, failure.code], ['Qwen/A-1B', code])
      provenBlobs(vault.root)
      assert.deepEqual(await readdir(join(vault.root, 'quarantine')), [])
      hub.faults.clear()
      if (code === 'DIGEST_MISMATCH') return
      const second = await vault.sync()
      assert.deepEqual([codes(second), sealedRepos(second)], [[], ['Qwen/A-1B']])
    })
  }

  test('bytes that differ from the promise are set aside with a note, and told', async () => {
    await using scene = await setScene()
    const { vault, hub } = scene
    hub.faults.add({ origin: 'cdn', flipBit: 123_456, path: new RegExp(hub.world.repo('Qwen/A-1B').hubId) })

    const result = await vault.sync()

    assert.deepEqual(codes(result), ['Qwen/A-1B DIGEST_MISMATCH'])
    assert.deepEqual(sealedRepos(result), ['Qwen/B-1B'])
    const names = await readdir(join(vault.root, 'quarantine'))
    assert.equal(names.length, 2, names.join())
    const note = names.find((name) => name.endsWith('.json'))
    const text = await readFile(join(vault.root, 'quarantine', note ?? ''), 'utf8')
    assert.match(text, /model\.safetensors/)
    assert.match(text, /Qwen\/A-1B/)
    const [event] = await vault.eventsOf('upstream-damaged')
    assert.equal(event?.detail['path'], 'model.safetensors')
    provenBlobs(vault.root)
  })
})

suite('listings that cannot be believed', { concurrency: 3 }, () => {
  /** Thirty known repos in pages of ten. */
  async function thirty(): Promise<Scene> {
    const scene = await setScene({ listPageSizeMax: 10 })
    for (let at = 0; at < 28; at += 1) scene.hub.world.addRepo(`Qwen/M${at}-1B`, smallModel(`m${at}`, 100))
    const result = await scene.vault.sync()
    assert.equal(result.sealed.length, 30)
    return scene
  }

  const BROKEN: readonly { name: string; fault: Fault; code: string }[] = [
    { name: 'a second page that fails', fault: { listErrorOnPage: 2 }, code: 'HUB_UNREACHABLE' },
    { name: 'a page that is HTML', fault: { path: /cursor=/, nonJson: true }, code: 'HUB_ANSWER_INVALID' },
    { name: 'a redirect loop', fault: { path: /\/api\/models/, redirectLoop: true }, code: 'HUB_REDIRECT_REFUSED' },
    {
      name: 'a next page on another host',
      fault: {
        path: /\/api\/models/,
        setHeaders: { Link: '<http://127.0.0.1:9/api/models?author=Qwen&cursor=x>; rel="next"' },
      },
      code: 'HUB_REDIRECT_REFUSED',
    },
    {
      name: 'broken JSON',
      fault: { path: /\/api\/models/, mutateBody: (body) => body.subarray(0, -3) },
      code: 'HUB_ANSWER_INVALID',
    },
  ]
  for (const { name, fault, code } of BROKEN) {
    test(`${name}: concludes nothing, is told, and the next one does`, async () => {
      await using scene = await thirty()
      const { vault, hub } = scene
      const before = (await vault.events()).length
      hub.world.addRepo('Qwen/New-1B', smallModel('new', 100))
      hub.faults.add(fault)

      for (let poll = 0; poll < 4; poll += 1) assert.deepEqual(codes(await vault.sync()), [`org:Qwen ${code}`])

      const told = (await vault.events()).slice(before).map(({ type }) => type)
      assert.deepEqual(told, [code === 'HUB_REDIRECT_REFUSED' ? 'watch-failed' : 'hub-unreachable'])
      const known = await vault.archive.catalog.reposOfWatch('org:Qwen')
      assert.ok(known.length === 30 && known.every(({ misses, upstream }) => misses === 0 && upstream === 'ok'))
      hub.faults.clear()
      assert.deepEqual(sealedRepos(await vault.sync()), ['Qwen/New-1B'])
    })
  }

  test('an empty list with status 200 loses nothing: each repo is asked for, and answers', async () => {
    await using scene = await thirty()
    const { vault, hub } = scene
    hub.faults.add({ emptyList: true })

    for (let poll = 0; poll < 5; poll += 1) await vault.sync()

    assert.deepEqual(await vault.eventsOf('repo-unavailable'), [])
    const known = await vault.archive.catalog.reposOfWatch('org:Qwen')
    assert.deepEqual(new Set(known.map(({ upstream }) => upstream)), new Set(['ok']))
    assert.equal((await vault.archive.catalog.totals()).sealedSnapshots, 30)
  })

  test('rows that are lost between two pages lose no repo', async () => {
    await using scene = await thirty()
    const { vault, hub } = scene
    hub.faults.add({ shiftRows: 3 })

    for (let poll = 0; poll < 5; poll += 1) await vault.sync()

    assert.deepEqual(await vault.eventsOf('repo-unavailable'), [])
  })

  test('a tree of which a page fails is not listed at all, and is listed when it can be read', async () => {
    await using scene = await setScene({ treePageSize: 2 })
    const { vault, hub } = scene
    hub.faults.add({ path: /A-1B\/tree\/.*cursor=/, status: 500 })

    const first = await vault.sync()

    assert.deepEqual(codes(first), ['Qwen/A-1B HUB_UNREACHABLE'])
    assert.deepEqual(sealedRepos(first), ['Qwen/B-1B'])
    assert.deepEqual(await readdir(join(vault.root, 'listings', 'Qwen')), ['B-1B'])
    hub.faults.clear()
    assert.deepEqual(sealedRepos(await vault.sync()), ['Qwen/A-1B'])
    assert.equal(readManifest(vault.root, 'Qwen/A-1B', hub.world.repo('Qwen/A-1B').head).files.length, 3)
  })
})

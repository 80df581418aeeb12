/**
 * What programs ask, request by request, replayed against the mirror with the Hub stopped. The sequence of transformers is
 * a recorded one (tests/fixtures); those of vLLM, llama.cpp and Ollama are what their sources do, with what each needs to
 * find in the answers.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { fixtureText } from '../support/content/fixture-file.ts'
import { gguf } from '../support/content/gguf.ts'
import { generated } from '../support/sim-hub/generated.ts'
import { startMirrorOf, type MirrorUnderTest } from './mirror-under-test.ts'

const CHATML = "{% for m in messages %}{{'<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n'}}{% endfor %}"

function weights(quant: 'Q4_K_M' | 'Q8_0') {
  return gguf({
    architecture: 'qwen3',
    quant,
    chatTemplate: CHATML,
    metadata: new Map<string, string | readonly string[]>([
      ['general.size_label', '0.6B'],
      ['tokenizer.ggml.tokens', Array.from({ length: 50_000 }, (_none, at) => `token ${at}`)],
    ]),
    tensors: [{ name: 'blk.0.attn_q.weight', type: 'Q8_0', shape: [1024, 1024] }],
    seed: quant,
  })
}

async function offline(t: TestContext) {
  const under = await startMirrorOf(t, (world) => {
    world.addRepo('Qwen/Qwen3-0.6B', {
      card: { license: 'apache-2.0', pipeline_tag: 'text-generation' },
      files: [
        ...[
          'config.json',
          'model.safetensors.index.json',
          'tokenizer_config.json',
          'chat_template.jinja',
          'tokenizer.json',
        ].map((path) => ({ path, content: `{"name":"${path}"}` })),
        { path: 'model-00001-of-00002.safetensors', content: generated('one', 300_000) },
        { path: 'model-00002-of-00002.safetensors', content: generated('two', 200_000) },
      ],
    })
    world.addRepo('Qwen/Qwen3-0.6B-GGUF', {
      card: { license: 'apache-2.0' },
      files: [
        { path: 'Qwen3-0.6B-Q4_K_M.gguf', content: weights('Q4_K_M') },
        { path: 'sub dir/Qwen3-0.6B-Q8_0.gguf', content: weights('Q8_0') },
        { path: 'mmproj-F16.gguf', content: generated('projector', 5000) },
        { path: 'imatrix.gguf', content: generated('imatrix', 3000) },
      ],
    })
  })
  const heads = {
    model: under.hub.world.repo('Qwen/Qwen3-0.6B').head,
    gguf: under.hub.world.repo('Qwen/Qwen3-0.6B-GGUF').head,
  }
  await under.hub[Symbol.asyncDispose]()
  return { under, heads }
}

test('transformers finds what it finds on the Hub, and learns of what is missing so that it need not ask again', async (t) => {
  const { under, heads } = await offline(t)
  const trace = JSON.parse(fixtureText('payloads/client-trace.transformers.json')) as {
    requests: [string, string, number][]
  }
  assert.ok(trace.requests.length > 20)
  for (const [method, target, recorded] of trace.requests) {
    const path = target.replaceAll('{id}', 'Qwen/Qwen3-0.6B').replaceAll('{commit}', heads.model)
    const response = await under.fetch(path, { method })
    // The Hub redirects to a cache of small files; here the first answer is the file.
    assert.equal(response.status, recorded === 307 ? 200 : recorded, `${method} ${path}`)
    const isFile = path.includes('/resolve')
    if (isFile) assert.equal(response.headers.get('x-repo-commit'), heads.model, path)
    if (recorded === 404) assert.equal(response.headers.get('x-error-code'), 'EntryNotFound', path)
    else if (isFile) {
      assert.match(response.headers.get('etag') ?? '', /^"[0-9a-f]{40}"$/, path)
      assert.ok(Number(response.headers.get('content-length')) > 0, path)
    }
    await response.arrayBuffer()
  }
})

test('vLLM resolves the revision, lists the tree and fetches the shards by commit', async (t) => {
  const { under, heads } = await offline(t)
  const id = 'Qwen/Qwen3-0.6B'
  const info = (await under.json(`/api/models/${id}/revision/main`)) as { sha: string }
  assert.equal(info.sha, heads.model)
  const tree = (await under.json(`/api/models/${id}/tree/${info.sha}?recursive=true&expand=false`)) as {
    path: string
    size: number
    lfs?: { oid: string }
    xetHash?: string
  }[]
  const shards = tree.filter(({ path }) => path.endsWith('.safetensors'))
  assert.equal(shards.length, 2)
  for (const { path, size, lfs, xetHash } of shards) {
    assert.equal(xetHash, undefined, 'it would go to a service that is not there')
    const head = await under.fetch(`/${id}/resolve/${info.sha}/${path}`, {
      method: 'HEAD',
      headers: { 'accept-encoding': 'identity' },
    })
    assert.equal(head.headers.get('x-linked-etag'), `"${lfs?.oid}"`)
    assert.equal(head.headers.get('x-linked-size'), String(size))
    assert.equal(head.headers.get('location'), null)
    const bytes = Buffer.from(await (await under.fetch(`/${id}/resolve/${info.sha}/${path}`)).arrayBuffer())
    assert.equal(createHash('sha256').update(bytes).digest('hex'), lfs?.oid)
  }
  const stale = await under.fetch(`/api/models/${id}/xet-read-token/${info.sha}`)
  assert.equal(stale.status, 404)
  assert.match(stale.headers.get('x-error-message') ?? '', /HF_HUB_DISABLE_XET=1/)
})

/** One request as a client writes it that encodes nothing. */
async function unencoded(
  under: MirrorUnderTest,
  method: string,
  target: string,
  ...headers: string[]
): Promise<Buffer> {
  const socket = connect(under.mirror.port, '127.0.0.1')
  const head = [
    `${method} ${target} HTTP/1.1`,
    'Host: localhost',
    'User-Agent: llama-cpp/b7000',
    ...headers,
    'Connection: close',
    '',
    '',
  ]
  socket.write(Buffer.from(head.join('\r\n')))
  return Buffer.from(await text(socket.setEncoding('latin1')), 'latin1')
}

test('llama.cpp takes refs, the first page of the tree, and the file by a path that it does not encode', async (t) => {
  const { under, heads } = await offline(t)
  const id = 'Qwen/Qwen3-0.6B-GGUF'
  const refs = (await under.json(`/api/models/${id}/refs`)) as { branches: { name: string; targetCommit: string }[] }
  const commit = refs.branches.find(({ name }) => name === 'main')?.targetCommit
  assert.equal(commit, heads.gguf)
  const response = await under.fetch(`/api/models/${id}/tree/${commit}?recursive=true`)
  assert.equal(response.headers.get('link'), null, 'it reads one page')
  const files = (await response.json()) as { type: string; path: string; size: number; lfs?: { oid: string } }[]
  for (const { path, size, lfs } of files.filter((file) => file.path.endsWith('.gguf'))) {
    // A blank ends the request line, so that is encoded by everybody.
    const target = `/${id}/resolve/${commit}/${path.replaceAll(' ', '%20')}`
    const head = (await unencoded(under, 'HEAD', target)).toString('latin1')
    assert.match(head, /^HTTP\/1\.1 200 /, path)
    assert.match(head, new RegExp(`^Content-Length: ${size}\r$`, 'm'))
    assert.match(head, /^Accept-Ranges: bytes\r$/m)
    assert.match(head, new RegExp(`^ETag: "${lfs?.oid}"\r$`, 'm'))
    const first = await unencoded(under, 'GET', target, 'Range: bytes=0-999')
    const rest = await unencoded(under, 'GET', target, 'Range: bytes=1000-')
    assert.match(first.toString('latin1'), /^HTTP\/1\.1 206 /)
    const body = (answer: Buffer) => answer.subarray(answer.indexOf('\r\n\r\n') + 4)
    const digest = createHash('sha256').update(body(first)).update(body(rest)).digest('hex')
    assert.equal(digest, lfs?.oid, path)
  }
})

test('an older llama.cpp asks for a manifest and finds the file and the projector in it', async (t) => {
  const { under } = await offline(t)
  for (const [tag, file] of [
    ['latest', 'Qwen3-0.6B-Q4_K_M.gguf'],
    ['q8_0', 'sub dir/Qwen3-0.6B-Q8_0.gguf'],
  ]) {
    const manifest = (await under.json(`/v2/Qwen/Qwen3-0.6B-GGUF/manifests/${tag}`, {
      headers: { 'user-agent': 'llama-cpp' },
    })) as {
      ggufFile: { rfilename: string; size: number; lfs: { sha256: string } }
      mmprojFile: { rfilename: string }
    }
    assert.equal(manifest.ggufFile.rfilename, file)
    assert.ok(manifest.ggufFile.size > 1_000_000 && /^[0-9a-f]{64}$/.test(manifest.ggufFile.lfs.sha256))
    assert.equal(manifest.mmprojFile.rfilename, 'mmproj-F16.gguf')
  }
})

interface ImageManifest {
  readonly config: { readonly digest: string; readonly size: number }
  readonly layers: readonly { readonly mediaType: string; readonly digest: string; readonly size: number }[]
}

/** `ollama pull`: HEAD for the size, GET for the address, ranges of that address without a look at the status. */
async function pullBlob(under: MirrorUnderTest, digest: string, size: number): Promise<Buffer> {
  const path = `/v2/Qwen/Qwen3-0.6B-GGUF/blobs/${digest}`
  const head = await under.fetch(path, { method: 'HEAD' })
  assert.equal(Number(head.headers.get('content-length')), size)
  const direct = await under.fetch(path)
  assert.ok([200, 307].includes(direct.status))
  const location = direct.headers.get('location') ?? ''
  assert.equal(new URL(location).host, new URL(under.url).host, 'it follows no other host')
  await direct.body?.cancel()
  const part = Math.ceil(size / 4)
  const parts = await Promise.all(
    Array.from({ length: Math.ceil(size / part) }, async (_none, at) => {
      const range = `bytes=${at * part}-${Math.min(size, (at + 1) * part) - 1}`
      return Buffer.from(await (await fetch(location, { headers: { range } })).arrayBuffer())
    }),
  )
  const bytes = Buffer.concat(parts)
  assert.equal(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, digest)
  return bytes
}

test('Ollama pulls a quantisation with everything that it verifies', async (t) => {
  const { under } = await offline(t)
  const accept = 'application/vnd.docker.distribution.manifest.v2+json'
  const response = await under.fetch('/v2/Qwen/Qwen3-0.6B-GGUF/manifests/Q4_K_M', { headers: { accept } })
  assert.equal(response.headers.get('content-type'), accept)
  const manifest = (await response.json()) as ImageManifest
  const texts = new Map<string, string>()
  for (const { mediaType, digest, size } of manifest.layers) {
    const bytes = await pullBlob(under, digest, size)
    texts.set(mediaType.replace('application/vnd.ollama.image.', ''), bytes.subarray(0, 500).toString())
  }
  assert.deepEqual([...texts.keys()], ['model', 'projector', 'template', 'params'])
  assert.ok(texts.get('model')?.startsWith('GGUF'))
  assert.match(texts.get('template') ?? '', /<\|im_start\|>\{\{ \.Role \}\}/)
  assert.deepEqual(JSON.parse(texts.get('params') ?? ''), { stop: ['<|im_start|>', '<|im_end|>'] })
  const config = JSON.parse((await pullBlob(under, manifest.config.digest, manifest.config.size)).toString()) as object
  assert.deepEqual(
    { ...config, rootfs: undefined },
    {
      model_format: 'gguf',
      model_family: 'qwen3',
      model_families: ['qwen3'],
      model_type: '0.6B',
      file_type: 'Q4_K_M',
      architecture: 'amd64',
      os: 'linux',
      rootfs: undefined,
    },
  )
})

test('Ollama is told in a sentence which tags there are, and gets no blob of another repository', async (t) => {
  const { under } = await offline(t)
  const bad = await under.fetch('/v2/Qwen/Qwen3-0.6B-GGUF/manifests/Q9_X')
  assert.equal(bad.status, 400)
  assert.match(((await bad.json()) as { error: string }).error, /known here: latest, Q4_K_M, Q8_0/)
  assert.equal((await under.fetch('/v2/Qwen/Qwen3-0.6B/manifests/latest')).status, 400)
  const { layers } = (await under.json('/v2/Qwen/Qwen3-0.6B-GGUF/manifests/latest')) as ImageManifest
  assert.equal((await under.fetch(`/v2/Qwen/Qwen3-0.6B/blobs/${layers[0]?.digest}`)).status, 404)
  assert.equal((await under.fetch(`/v2/Qwen/Qwen3-0.6B-GGUF/blobs/sha256:${'0'.repeat(64)}`)).status, 404)
})

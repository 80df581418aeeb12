/** Requests meant to get out, in, or on our nerves: all of them are answered, and change nothing. */
import assert from 'node:assert/strict'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { startMirrorOf, type MirrorUnderTest } from './mirror-under-test.ts'

const CANARY = 'canary: nobody may ever be sent this'

/** An archive with a hostile listing, and with secrets beside its blobs that a path could lead to. */
async function start(t: TestContext): Promise<MirrorUnderTest> {
  const under = await startMirrorOf(t, (world) => {
    world.addRepo('Qwen/A', {
      files: [
        { path: 'a.json', content: '{}' },
        { path: '../../outside.txt', content: 'climbs' },
        { path: '/etc/passwd', content: 'absolute' },
        { path: 'C:\\evil.txt', content: 'drive' },
        { path: '__proto__', content: 'a file of this name' },
        { path: 'both', content: 'file' },
        { path: 'both/below', content: 'and folder' },
        { path: 'line\r\nX-Injected: yes', content: 'header' },
      ],
    })
  })
  for (const path of [
    join(under.vault.root, '..', 'secret.txt'),
    `${under.vault.root}-secret/secret.txt`,
    join(under.vault.root, 'blobs', 'secret.txt'),
  ]) {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, CANARY)
  }
  return under
}

async function raw(port: number, request: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  // Left open: a client that has closed its side is taken for gone.
  socket.write(request)
  return text(socket).catch(() => '')
}

const get = (target: string, ...headers: string[]) =>
  `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${[...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])

/** Names and times of everything in the archive. */
async function stateOf(root: string): Promise<string> {
  const names = (await readdir(root, { recursive: true })).filter((name) => !name.startsWith('catalog.db')).sort()
  const lines = await Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs, ctimeMs } = await stat(join(root, name))
      return `${name} ${size} ${mtimeMs} ${ctimeMs}`
    }),
  )
  return lines.join('\n')
}

const TRICKS = [
  '..%2f..%2fetc%2fpasswd',
  '..%5c..%5cwin.ini',
  '%2e%2e/%2e%2e/secret.txt',
  '%252e%252e%252fsecret.txt',
  '../../secret.txt',
  '..\\..\\secret.txt',
  '/\\..\\..\\secret.txt',
  'a%00b',
  'a.json%00',
  '%ff',
  '%c0%ae%c0%ae/secret.txt',
  '..;/secret.txt',
  '/etc/passwd',
  '%2fetc%2fpasswd',
  '//etc/passwd',
  './a.json',
  'a.json/',
  'a.json/.',
  'a.json%20',
  'A.JSON',
  '..../secret.txt',
  '../../outside.txt',
  '..%2f..%2foutside.txt',
  'C:\\evil.txt',
  'C:%5Cevil.txt',
  'both',
  'both/below',
  'constructor',
  'toString',
  'blobs/secret.txt',
  '../archive-secret/secret.txt',
  'file:///etc/passwd',
  '%0d%0aX-Injected:%20yes',
  '%u002e%u002e/x',
  '',
  '%',
  'line%0D%0AX-Injected:%20yes%0D',
  '~root/.ssh/id_rsa',
  '.git/config',
  `${'a/'.repeat(3000)}b`,
  `${'%2e%2e%2f'.repeat(500)}etc/passwd`,
]

test('no spelling of a path gets out of the manifest', async (t) => {
  const under = await start(t)
  const before = await stateOf(under.vault.root)
  const places = [
    '/Qwen/A/resolve/main/',
    '/Qwen/A/raw/main/',
    '/api/models/Qwen/A/tree/main/',
    '/api/resolve-cache/models/Qwen/A/main/',
    '/api/models/Qwen/A/treesize/main/',
    '/datasets/Qwen/A/resolve/main/',
    '/v2/Qwen/A/blobs/',
    '/v2/Qwen/A/manifests/',
  ]
  for (const place of places) {
    for (const trick of TRICKS) {
      const answer = await raw(under.mirror.port, get(`${place}${trick}`))
      const status = statusOf(answer)
      const isTree = place.includes('/tree') || place.includes('manifests')
      assert.ok(
        status === 400 || status === 404 || status === 414 || (isTree && status === 200),
        `${place}${trick}: ${status}`,
      )
      assert.doesNotMatch(answer, /canary|root:|climbs|absolute|drive|and folder/, `${place}${trick}`)
      assert.doesNotMatch(answer, /^X-Injected/m, `${place}${trick}`)
      if (status !== 200) assert.match(answer, /^X-Error-Code: \w+/im, `${place}${trick}`)
    }
  }
  assert.equal(await stateOf(under.vault.root), before)
})

test('no revision, name or digest gets anywhere', async (t) => {
  const under = await start(t)
  for (const trick of TRICKS) {
    for (const target of [
      `/Qwen/A/resolve/${trick}/a.json`,
      `/Qwen/${trick}/resolve/main/a.json`,
      `/${trick}/A/resolve/main/a.json`,
      `/${trick}`,
      `/api/models/Qwen/${trick}`,
      `/api/models/Qwen/A/revision/${trick}`,
      `/api/${trick}`,
      `/v2/Qwen/A/blobs/sha256:${trick}`,
    ]) {
      const answer = await raw(under.mirror.port, get(target))
      assert.ok([200, 307, 400, 404, 414].includes(statusOf(answer)), `${target}: ${statusOf(answer)}`)
      assert.doesNotMatch(answer, /canary|root:|climbs|drive|and folder/, target)
      assert.doesNotMatch(answer, /^X-Injected|^Location: (?!\/[^/\\])/im, target)
    }
  }
})

test('clients are handed no name that could leave a folder, and names of objects are names', async (t) => {
  const under = await start(t)
  const tree = (await under.json('/api/models/Qwen/A/tree/main?recursive=true')) as { path: string }[]
  const paths = tree.map(({ path }) => path)
  assert.ok(paths.includes('a.json') && paths.includes('__proto__'))
  assert.deepEqual(
    paths.filter((path) => /\.\.|^\/|\\|^both/.test(path)),
    [],
  )
  const info = (await under.json('/api/models/Qwen/A?blobs=true')) as {
    siblings: { rfilename: string }[]
    weightvault: { namesLeftOut: number }
  }
  assert.deepEqual(
    info.siblings.filter(({ rfilename }) => /\.\.|^\/|\\|^both/.test(rfilename)),
    [],
  )
  assert.equal(info.weightvault.namesLeftOut, 5)
  assert.equal(await (await under.fetch('/Qwen/A/resolve/main/__proto__')).text(), 'a file of this name')
  const posted = await under.fetch('/api/models/Qwen/A/paths-info/main', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ paths: ['../../outside.txt', '/etc/passwd', '__proto__', 'constructor', 'a.json', ''] }),
  })
  assert.deepEqual(
    ((await posted.json()) as { path: string }[]).map(({ path }) => path),
    ['__proto__', 'a.json'],
  )
})

test('a method that could change something is refused, and changes nothing', async (t) => {
  const under = await start(t)
  const before = await stateOf(under.vault.root)
  for (const path of [
    '/Qwen/A/resolve/main/a.json',
    '/api/models/Qwen/A',
    '/api/models',
    '/',
    '/v2/Qwen/A/blobs/sha256:x',
  ]) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'PURGE']) {
      const body = method === 'OPTIONS' ? '' : 'Content-Length: 2\r\n\r\nhi'
      const answer = await raw(
        under.mirror.port,
        `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${body || '\r\n'}`,
      )
      assert.equal(statusOf(answer), 405, `${method} ${path}`)
      assert.match(answer, /^X-Error-Code: MethodNotAllowed/im)
      assert.match(answer, /^Allow: GET, HEAD/im)
    }
    const override = await under.fetch(path, { headers: { 'x-http-method-override': 'DELETE' } })
    assert.ok([200, 404].includes(override.status))
  }
  for (const request of [
    'TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    'CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n',
  ]) {
    assert.doesNotMatch(await raw(under.mirror.port, request), /^HTTP\/1\.1 2/)
  }
  assert.equal(await stateOf(under.vault.root), before)
})

test('bodies of paths-info are read as what they are, up to a limit', async (t) => {
  const under = await start(t)
  const ask = async (type: string, body: string, headers: Record<string, string> = {}) => {
    const init = { method: 'POST', headers: { 'content-type': type, ...headers }, body }
    return (await under.fetch('/api/models/Qwen/A/paths-info/main', init)).status
  }
  assert.equal(await ask('application/x-www-form-urlencoded', 'paths=a.json&paths=b&expand=false'), 200)
  assert.equal(await ask('application/json; charset=utf-8', '{"paths":["a.json"]}'), 200)
  assert.equal(await ask('text/plain', '{"paths":["a.json"]}'), 400)
  for (const body of ['', 'null', '[]', '{"paths":[1]}', '{"paths":{"0":"a"}}', '{"paths":', '['.repeat(100_000)]) {
    assert.equal(await ask('application/json', body), 400, body.slice(0, 20))
  }
  assert.equal(await ask('application/json', JSON.stringify({ paths: Array.from({ length: 2001 }, () => 'a') })), 400)
  assert.equal(await ask('application/json', JSON.stringify({ paths: ['a'.repeat(3_000_000)] })), 413)
  assert.equal(await ask('application/json', '{"paths":["a.json"]}', { origin: 'null' }), 403)
  assert.equal(await ask('application/json', '{"paths":["a.json"]}', { origin: 'http://evil.test' }), 403)
})

test('another host’s name, two names, an absolute target or a flood of headers is turned away', async (t) => {
  const under = await start(t)
  const { port } = under.mirror
  const bare = (head: string) => raw(port, `${head}\r\nConnection: close\r\n\r\n`)
  assert.equal(statusOf(await bare('GET /api/models HTTP/1.1\r\nHost: evil.test')), 421)
  assert.equal(statusOf(await bare(`GET /api/models HTTP/1.1\r\nHost: rebound.evil.test:${port}`)), 421)
  assert.equal(statusOf(await bare('GET /api/models HTTP/1.1')), 400)
  assert.equal(statusOf(await bare('GET /api/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.test')), 400)
  assert.equal(statusOf(await bare('GET http://evil.test/api/models HTTP/1.1\r\nHost: localhost')), 400)
  assert.equal(statusOf(await bare('GET //evil.test/api/models HTTP/1.1\r\nHost: localhost')), 400)
  assert.equal(statusOf(await bare('GET * HTTP/1.1\r\nHost: localhost')), 400)
  assert.equal(statusOf(await raw(port, get('/api/models', `X: ${'a'.repeat(50_000)}`))), 431)
  const many = Array.from({ length: 500 }, (_none, at) => `X-${at}: 1`)
  assert.ok([200, 400, 431].includes(statusOf(await raw(port, get('/api/models', ...many)))))
  const forwarded = await raw(
    port,
    get('/api/models?limit=1', 'X-Forwarded-Host: evil.test', 'X-Forwarded-For: 127.0.0.1'),
  )
  assert.equal(statusOf(forwarded), 200)
  assert.doesNotMatch(forwarded, /evil/)
})

test('queries of any kind are answered', async (t) => {
  const under = await start(t)
  for (const query of [
    'limit=-1',
    'limit=1e9',
    'limit=NaN',
    'cursor=%00',
    `cursor=${'A'.repeat(5000)}`,
    'expand=__proto__',
    'expand[]=constructor',
    'sort=__proto__',
    'sort=%00',
    'filter=(((((',
    'search=%ff',
    'author=..',
    'full=true&full=false',
    'p=-1',
    'p=1e308',
    'recursive=maybe',
  ]) {
    for (const path of [
      '/api/models',
      '/api/models/Qwen/A',
      '/api/models/Qwen/A/tree/main',
      '/api/models/Qwen/A/commits/main',
    ]) {
      assert.equal((await under.fetch(`${path}?${query}`)).status, 200, `${path}?${query}`)
    }
  }
})

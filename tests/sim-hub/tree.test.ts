import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, askJson } from '../support/sim-hub/ask.ts'
import { rawJson } from '../support/sim-hub/json-text.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'

interface TreeRow {
  type: string
  path: string
  oid: string
  size: number
  [key: string]: unknown
}

const TREE = '/api/models/Qwen/A/tree/main'

test('the tree of a missing folder is EntryNotFound, not RepoNotFound', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A', { files: [{ path: 'sub/a.txt', content: 'a' }] })

  const answer = await ask(`${hub.url}${TREE}/additional_chat_templates?recursive=false&expand=false`)
  assert.equal(answer.status, 404)
  assert.equal(answer.headers['x-error-code'], 'EntryNotFound')
  assert.equal((await ask(`${hub.url}${TREE}/su`)).status, 404, 'a prefix is not a folder')
})

test('a recursive tree gives folders first, then files, each in path order; a flat one only the level', async () => {
  await using hub = await startSimHub()
  const paths = ['b.txt', '.gitattributes', 'fp8/config.json', 'a/z.txt', 'a/b/c.txt', 'fp8/model.safetensors']
  hub.world.addRepo('Qwen/A', { files: paths.map((path) => ({ path, content: path })) })
  const rows = async (path: string) => (await askJson<TreeRow[]>(hub.url + path)).map((row) => row.path)

  assert.deepEqual(await rows(`${TREE}?recursive=true`), [
    'a',
    'a/b',
    'fp8',
    '.gitattributes',
    'a/b/c.txt',
    'a/z.txt',
    'b.txt',
    'fp8/config.json',
    'fp8/model.safetensors',
  ])
  assert.deepEqual(await rows(TREE), ['a', 'fp8', '.gitattributes', 'b.txt'])
  assert.deepEqual(await rows(`${TREE}/a`), ['a/b', 'a/z.txt'])
  assert.deepEqual(await rows(`${TREE}/a?recursive=true`), ['a/b', 'a/b/c.txt', 'a/z.txt'])
  hub.world.addRepo('Qwen/Empty', { files: [] })
  assert.deepEqual(await rows('/api/models/Qwen/Empty/tree/main'), [])
})

test('a folder keeps its oid as long as nothing below it changes', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A', {
    files: [
      { path: 'a/x.txt', content: '1' },
      { path: 'b/x.txt', content: '1' },
    ],
  })
  const oids = async () => {
    const rows = await askJson<TreeRow[]>(hub.url + TREE)
    return rows.map((row) => row.oid)
  }

  const before = await oids()
  hub.world.commit('Qwen/A', { set: [{ path: 'b/x.txt', content: '2' }] })
  const after = await oids()

  assert.match(before[0] ?? '', /^[0-9a-f]{40}$/)
  assert.equal(after[0], before[0])
  assert.notEqual(after[1], before[1])
})

test('a tree of more than 1000 entries comes in pages, of 100 with expand', async () => {
  await using hub = await startSimHub()
  const files = Array.from({ length: 1203 }, (_, index) => ({
    path: `f${String(index).padStart(5, '0')}.txt`,
    content: 'x',
  }))
  hub.world.addRepo('Qwen/A', { files })

  const seen: string[] = []
  const sizes: number[] = []
  for (let url: string | undefined = `${hub.url}${TREE}?recursive=true`; url !== undefined;) {
    const answer = await ask(url)
    const rows = JSON.parse(answer.text) as TreeRow[]
    sizes.push(rows.length)
    seen.push(...rows.map((row) => row.path))
    url = /<(http:\/\/[^>]+)>; rel="next"/.exec(answer.headers['link'] ?? '')?.[1]
  }
  assert.deepEqual(sizes, [1000, 203])
  assert.deepEqual(
    seen,
    files.map((file) => file.path),
  )
  const expanded = await askJson<TreeRow[]>(`${hub.url}${TREE}?expand=true`)
  assert.equal(expanded.length, 100)
  assert.deepEqual(Object.keys(expanded[0]?.['securityFileStatus'] ?? {}).sort(), [
    'avScan',
    'pickleImportScan',
    'status',
  ])
  assert.equal((await askJson<TreeRow[]>(`${hub.url}${TREE}?limit=7`)).length, 7)
})

test('treeOverride puts any value on the wire: huge integers, numbers no double holds, missing keys', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A', {
    files: [
      { path: 'a.bin', content: 'a', treeOverride: { size: 9007199254740993n } },
      { path: 'b.bin', content: 'b', treeOverride: { size: rawJson('1e400') } },
      { path: 'c.bin', content: 'c', treeOverride: { size: undefined, lfs: { oid: 'nonsense' } } },
    ],
  })

  const { text } = await ask(hub.url + TREE)

  assert.match(text, /"size":9007199254740993\b/)
  assert.match(text, /"size":1e400\b/)
  const third = (JSON.parse(text) as TreeRow[])[2]
  assert.equal(third && 'size' in third, false)
  assert.deepEqual(third?.['lfs'], { oid: 'nonsense' })
})

test('names of every kind are listed exactly, and served when a URL can name them', async () => {
  await using hub = await startSimHub()
  const paths = [
    'a b.txt',
    'hash#.txt',
    '100%.txt',
    'plus+.txt',
    'ünï.txt',
    'Readme.txt',
    'README.TXT',
    'con.txt',
    'q?.txt',
    '../x',
    '/etc/passwd',
    'a//b',
    'nul\0.txt',
    '\ud800.bin',
    '',
    '.',
    'C:\\evil',
    `${'deep/'.repeat(300)}x`,
    'é'.repeat(128),
  ]
  hub.world.addRepo('Qwen/A', { files: paths.map((path) => ({ path, content: `content of ${path}`, lfs: false })) })

  const rows = await askJson<TreeRow[]>(`${hub.url}${TREE}?recursive=true`)
  assert.deepEqual(
    rows
      .filter((row) => row.type === 'file')
      .map((row) => row.path)
      .sort(),
    [...paths].sort(),
  )
  for (const path of paths.filter((one) => one.isWellFormed() && one !== '')) {
    const target = `/Qwen/A/resolve/main/${path.split('/').map(encodeURIComponent).join('/')}`
    const hop = await ask(hub.url + target)
    assert.equal(hop.status, 307, path)
    const served = await ask(`${hub.url}${hop.headers['location']}`)
    assert.equal(served.text, `content of ${path}`)
  }
})

test('paths-info takes a form or JSON, leaves unknown paths out and has a limit', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A', {
    files: [
      { path: 'sub/a.txt', content: 'a' },
      { path: 'b.gguf', content: 'b' },
    ],
  })
  const post = (type: string, body: string) => {
    const headers = { 'Content-Type': type }
    return ask(`${hub.url}/api/models/Qwen/A/paths-info/main`, { method: 'POST', headers, body })
  }
  const paths = (text: string) => (JSON.parse(text) as TreeRow[]).map((row) => [row.type, row.path])

  const form = await post('application/x-www-form-urlencoded', 'paths=b.gguf&paths=none&paths=sub&expand=false')
  assert.deepEqual(paths(form.text), [
    ['file', 'b.gguf'],
    ['directory', 'sub'],
  ])
  assert.doesNotMatch(form.text, /lastCommit/)
  const json = await post('application/json', JSON.stringify({ paths: ['sub/a.txt'], expand: true }))
  assert.deepEqual(paths(json.text), [['file', 'sub/a.txt']])
  assert.match(json.text, /lastCommit/)
  assert.equal((await post('application/json', '{"paths":7}')).status, 400)
  assert.equal((await post('application/json', 'nonsense')).status, 400)
  assert.equal((await post('application/json', JSON.stringify({ paths: Array(2001).fill('a') }))).status, 400)
})

test('treesize sums what lies below a path', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A', {
    files: [
      { path: 'sub/a.txt', content: 'abc' },
      { path: 'b.gguf', content: 'b' },
    ],
  })

  assert.deepEqual(await askJson(`${hub.url}/api/models/Qwen/A/treesize/main/sub`), { path: '/sub', size: 3 })
  assert.deepEqual(await askJson(`${hub.url}/api/models/Qwen/A/treesize/main/`), { path: '/', size: 4 })
  assert.equal((await ask(`${hub.url}/api/models/Qwen/A/treesize/main/none`)).status, 404)
})

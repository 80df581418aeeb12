import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { parse } from 'yaml'
import type { Content } from '../support/content/content.ts'
import { sha256Of } from '../support/content/digests.ts'
import { fixtureRows } from '../support/content/fixture-file.ts'
import { literal } from '../support/content/generated.ts'
import { FEATURED, qwenLineUp } from '../support/content/line-up.ts'
import type { LineUpRepo } from '../support/content/line-up.ts'
import { quantiserLineUp } from '../support/content/quantiser-repos.ts'
import { QWEN3_COMMIT, publishedQwen3Files } from '../support/content/qwen3-revision.ts'
import { parametersInName } from '../support/content/repo-facts.ts'
import { syntheticRepos } from '../support/content/synthetic-repos.ts'
import { STAND_IN } from '../support/content/weight-files.ts'

/** Without the 16 MB of real tokenizer files, and with small weights. */
const SMALL = { real: false, scale: 1e-8 }

function contentOf(repo: LineUpRepo | undefined, path: string): Content {
  const file = repo?.files.find((candidate) => candidate.path === path)
  assert.ok(file, `${repo?.id} has no ${path}`)
  const { content } = file
  return typeof content === 'string' || content instanceof Uint8Array ? literal(content) : content
}

function textOf(repo: LineUpRepo | undefined, path: string): string {
  const content = contentOf(repo, path)
  return Buffer.from(content.read(0, content.size)).toString()
}

function pathsOf(repo: LineUpRepo | undefined): string[] {
  return repo?.files.map((file) => file.path) ?? []
}

function byId(repos: readonly LineUpRepo[]): (id: string) => LineUpRepo | undefined {
  const map = new Map(repos.map((repo) => [repo.id, repo]))
  return (id) => map.get(id)
}

function digestOf(repos: readonly LineUpRepo[]): string {
  const hash = createHash('sha256')
  for (const repo of repos) {
    hash.update(JSON.stringify([repo.id, repo.createdAt, repo.date, repo.card, repo.tags]))
    for (const { path, lfs } of repo.files) hash.update(JSON.stringify([path, lfs, sha256Of(contentOf(repo, path))]))
  }
  return hash.digest('hex')
}

test('qwenLineUp refuses more repos than are recorded', () => {
  assert.throws(() => qwenLineUp({ ...SMALL, repos: 377 }), /has 376 repos/)
})

test('qwenLineUp gives every recorded repo once, the featured ones first, the same each time', () => {
  const repos = qwenLineUp({ ...SMALL, repos: 376 })

  const recorded = fixtureRows('qwen/qwen-lineup.csv').map((row) => row.get('repo_id'))
  assert.deepEqual(new Set(repos.map((repo) => repo.id)), new Set(recorded))
  assert.deepEqual(
    repos.slice(0, FEATURED.length).map((repo) => repo.id),
    FEATURED.map((name) => `Qwen/${name}`),
  )
  assert.equal(digestOf(repos), digestOf(qwenLineUp({ ...SMALL, repos: 376 })))
  for (const repo of repos) {
    assert.equal(new Set(pathsOf(repo)).size, repo.files.length, repo.id)
    assert.ok(pathsOf(repo).includes('README.md') && repo.files.some((file) => file.lfs), repo.id)
    assert.ok(Date.parse(repo.createdAt) < Date.parse(repo.date), repo.id)
    assert.match(repo.createdAt, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.deepEqual(parse(textOf(repo, 'README.md').split('---\n')[1] ?? ''), repo.card, repo.id)
  }
})

test('qwenLineUp keeps recorded dates and licences, and leaves an unknown licence out', () => {
  const repo = byId(qwenLineUp({ ...SMALL, repos: 376 }))

  for (const row of fixtureRows('qwen/qwen-lineup.csv')) {
    const found = repo(row.get('repo_id') ?? '')
    assert.ok(found)
    const recordedDate = row.get('first_published') || found.createdAt.slice(0, 10)
    if (found.id !== 'Qwen/Qwen-Image-2.1') assert.equal(found.createdAt.slice(0, 10), recordedDate)
    const [license] = (row.get('license') ?? '').split(' ')
    assert.equal(found.card['license'], license || undefined, found.id)
    assert.ok(license || !pathsOf(found).includes('LICENSE'), found.id)
  }
  assert.equal(repo('Qwen/Qwen-Image-2.1')?.createdAt, '2026-09-14T03:47:26.000Z')
  assert.deepEqual(
    ['Qwen/Qwen-7B', 'Qwen/Qwen2.5-3B', 'Qwen/Qwen2.5-72B-Instruct', 'Qwen/Qwen3.8-2.4T-A95B'].map(
      (id) => repo(id)?.card['license_name'],
    ),
    ['tongyi-qianwen-license-agreement', 'qwen-research', 'qwen', 'Qwen3.8-Max License'],
  )
  assert.equal(repo('Qwen/Qwen-Image-2.1')?.card['license_link'], 'LICENSE')
})

test('qwenLineUp serves real licence texts, none where the repo has none, and marks a missing one', () => {
  const repo = byId(qwenLineUp(SMALL))
  const license = (id: string) => sha256Of(contentOf(repo(id), 'LICENSE')).slice(0, 8)

  assert.deepEqual(
    ['Qwen/Qwen3-8B', 'Qwen/Qwen-7B', 'Qwen/Qwen2.5-72B-Instruct', 'Qwen/Qwen2.5-3B-Instruct'].map(license),
    ['832dd9e0', '7c7b8e24', '8aff84e2', 'b5c0e5cf'],
  )
  assert.ok(!pathsOf(repo('Qwen/Qwen3.5-27B')).includes('LICENSE'))
  assert.ok(!pathsOf(repo('Qwen/Qwen3-VL-2B-Instruct')).includes('LICENSE'))
  for (const id of ['Qwen/Qwen-Image-2.1', 'Qwen/Qwen3.8-2.4T-A95B']) {
    assert.match(textOf(repo(id), 'LICENSE'), /the text of this licence is not held here/)
  }
})

test('qwenLineUp names weights as the real repos do', () => {
  const repo = byId(qwenLineUp(SMALL))
  const count = (id: string, pattern: RegExp) => pathsOf(repo(id)).filter((path) => pattern.test(path)).length

  assert.equal(count('Qwen/Qwen3.5-397B-A17B', /^model\.safetensors-000\d\d-of-00094\.safetensors$/), 94)
  assert.equal(count('Qwen/Qwen3.6-35B-A3B', /^model-000\d\d-of-00026\.safetensors$/), 26)
  assert.equal(count('Qwen/Qwen3.8-27B-FP8', /^(?:layers-\d+|mtp|outside)\.safetensors$/), 66)
  assert.equal(count('Qwen/Qwen-Image-2.1', /^transformer\/diffusion_pytorch_model-\d{5}-of-\d{5}\.safetensors$/), 4)
  assert.equal(count('Qwen/Qwen2.5-7B-Instruct-GGUF', /^qwen2\.5-7b-instruct-q4_k_m-0000\d-of-00002\.gguf$/), 2)
  for (const [id, path] of [
    ['Qwen/Qwen3.5-2B', 'model.safetensors-00001-of-00001.safetensors'],
    ['Qwen/Qwen3-8B-GGUF', 'Qwen3-8B-Q4_K_M.gguf'],
    ['Qwen/Qwen3-VL-2B-Instruct-GGUF', 'mmproj-Qwen3VL-2B-Instruct-F16.gguf'],
    ['Qwen/CodeQwen1.5-7B-Chat-GGUF', 'codeqwen-1_5-7b-chat-q2_k.gguf'],
  ] as const) {
    assert.ok(pathsOf(repo(id)).includes(path), `${id} ${path}: ${pathsOf(repo(id)).join()}`)
  }
  for (const row of fixtureRows('qwen/qwen-files.csv')) {
    const found = repo(row.get('repo_id') ?? '')
    const path = row.get('path') ?? ''
    if (!found) continue
    const file = found.files.find((candidate) => candidate.path === path)
    assert.ok(file, `${found.id} lacks ${path}`)
    assert.equal(file.lfs, row.get('is_lfs') === '1', `${found.id} ${path}`)
  }
})

test('qwenLineUp scales weights down in proportion, and the default stays below 100 MB', () => {
  const size = (repo: LineUpRepo | undefined) =>
    pathsOf(repo).reduce((sum, path) => sum + contentOf(repo, path).size, 0)

  const repos = qwenLineUp({ real: false, scale: 1e-5 })
  const shard = contentOf(byId(repos)('Qwen/Qwen3.5-9B'), 'model.safetensors-00001-of-00004.safetensors').size
  assert.ok(Math.abs(shard - 52_764) < 2_000, `${shard} bytes`)

  const total = qwenLineUp().reduce((sum, repo) => sum + size(repo), 0)
  assert.ok(total > 30e6 && total < 100e6, `${total} bytes`)
})

test('qwenLineUp holds the real files of Qwen/Qwen3-0.6B under its real commit, the rest is marked', () => {
  const repo = byId(qwenLineUp({ scale: 1e-8 }))
  const real = repo('Qwen/Qwen3-0.6B')

  assert.equal(real?.commit, QWEN3_COMMIT)
  assert.deepEqual(
    pathsOf(real).sort(),
    publishedQwen3Files().map((file) => file.path),
  )
  for (const file of publishedQwen3Files()) {
    const sha256 = sha256Of(contentOf(real, file.path))
    if (['README.md', 'model.safetensors'].includes(file.path)) assert.notEqual(sha256, file.sha256)
    else assert.equal(sha256, file.sha256)
  }
  assert.match(textOf(real, 'README.md'), /Stand-in of the weightvault tests/)
  assert.ok(textOf(real, 'model.safetensors').includes(STAND_IN))
  assert.ok(textOf(repo('Qwen/Qwen3-8B-GGUF'), 'Qwen3-8B-Q8_0.gguf').includes(STAND_IN))
  assert.equal(
    sha256Of(contentOf(repo('Qwen/Qwen3-8B'), 'tokenizer.json')),
    sha256Of(contentOf(real, 'tokenizer.json')),
  )
  assert.equal(
    qwenLineUp(SMALL).find((other) => other.commit !== undefined),
    undefined,
  )
})

test('qwenLineUp shares tokenizer files within a family, as the Hub does', () => {
  const repo = byId(qwenLineUp(SMALL))
  const tokenizer = (id: string) => sha256Of(contentOf(repo(id), 'tokenizer.json'))

  assert.equal(tokenizer('Qwen/Qwen3.5-9B'), tokenizer('Qwen/Qwen3.5-4B'))
  assert.notEqual(tokenizer('Qwen/Qwen3.5-9B'), tokenizer('Qwen/Qwen3-8B'))
})

test('quantiserLineUp has a repo with files in the root and one with split files in folders', () => {
  const [small, large] = quantiserLineUp({ scale: 1e-8 })

  assert.equal(small?.id, 'unsloth/Qwen3.5-9B-GGUF')
  for (const path of ['Qwen3.5-9B-UD-Q4_K_XL.gguf', 'Qwen3.5-9B-Q8_0.gguf', 'mmproj-F16.gguf', 'README.md']) {
    assert.ok(pathsOf(small).includes(path), path)
  }
  // The numbers of parts of the real repo, as the gallery in tests/fixtures/qwen lists them.
  const parts = (quant: string) => pathsOf(large).filter((path) => path.startsWith(`${quant}/`))
  assert.equal(parts('Q4_K_M')[5], 'Q4_K_M/Qwen3.5-397B-A17B-Q4_K_M-00006-of-00006.gguf')
  assert.equal(parts('Q8_0').length, 10)
})

test('syntheticRepos gives as many different small repos as wanted', () => {
  const repos = syntheticRepos({ count: 600, owner: 'Many' })

  assert.equal(new Set(repos.map((repo) => repo.id)).size, 600)
  assert.equal(new Set(repos.map((repo) => sha256Of(contentOf(repo, 'model.safetensors')))).size, 600)
  assert.ok(repos.every((repo) => repo.id.startsWith('Many/') && repo.files.length === 4))
})

test('parametersInName reads the forms that Qwen uses', () => {
  const read = ['Qwen3.8-2.4T-A95B', 'Qwen3.5-35B-A3B', 'Qwen-1_8B-Chat', 'Qwen3-0.6B', 'Qwen3-TTS-12Hz-1.7B-Base', 'X']

  assert.deepEqual(read.map(parametersInName), [2.4e12, 35e9, 1.8e9, 0.6e9, 1.7e9, 7e9])
})

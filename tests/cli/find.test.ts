import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { CliFolder } from './cli-harness.ts'

interface FoundJson {
  readonly held: boolean
  readonly listed: {
    repo: string
    commit: string
    path: string
    sha256: string | null
    held: boolean
    license: string | null
    licenseNow: string | null
  }[]
  readonly hasMore: boolean
}

const WEIGHTS = generated('weights', 50_000)
const KEEP = `budget: { total: 100GB, reserve: 1MB }
watch:
  - { org: Qwen, every: 1h, keep: { exclude: ["*.gguf"] } }
  - { org: other, every: 1h, keep: { files: metadata } }
`

function sha256Of(): string {
  return createHash('sha256').update(WEIGHTS.read(0, WEIGHTS.size)).digest('hex')
}

async function archived(): Promise<CliFolder> {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A', {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'model.safetensors', content: WEIGHTS, lfs: true },
      { path: 'config.json', content: '{"a":1}\n' },
      { path: 'q/A-Q4_K_M.gguf', content: generated('q4', 1000), lfs: true },
    ],
  })
  hub.world.addRepo('other/Copy', {
    card: { license: 'mit' },
    files: [{ path: 'renamed.safetensors', content: WEIGHTS, lfs: true }],
  })
  const folder = await CliFolder.watching(hub, KEEP)
  await folder.call(['sync'])
  return folder
}

test('find by digest tells every listing, who holds the bytes, and the licence of each', async () => {
  await using folder = await archived()
  const sha256 = sha256Of()
  for (const what of [sha256, `sha256:${sha256}`, `SHA256:${sha256.toUpperCase()}`]) {
    const found = await folder.json<FoundJson>('find', what)

    assert.ok(found.held)
    assert.deepEqual(
      found.listed.map(({ repo, path, license, held }) => `${repo} ${path} ${license} ${held}`).toSorted(),
      ['Qwen/A model.safetensors apache-2.0 true', 'other/Copy renamed.safetensors mit true'],
      'the copy was not wanted, but its bytes are held',
    )
  }
})

test('find tells the licence of each commit as it was offered, beside the one of today, also by file and by name', async () => {
  await using hub = await startSimHub()
  const content = { path: 'model.safetensors', content: WEIGHTS, lfs: true }
  hub.world.addRepo('Qwen/A', { card: { license: 'apache-2.0' }, files: [content] })
  hub.world.addRepo('Qwen/B', {
    card: { license: 'other', license_name: 'qwen-research', license_link: 'https://example.com/LICENSE' },
    files: [content],
  })
  hub.world.addRepo('Qwen/C', { files: [content] })
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  hub.world.commit('Qwen/A', { card: { license: 'cc-by-nc-4.0' } })
  await folder.call(['sync'])
  writeFileSync(join(folder.path, 'copy.bin'), WEIGHTS.read(0, WEIGHTS.size))

  for (const what of [sha256Of(), 'copy.bin', '*.safetensors']) {
    const found = await folder.json<FoundJson>('find', what)

    assert.deepEqual(
      found.listed.map(({ repo, license, licenseNow }) => `${repo} ${license}, now ${licenseNow}`).toSorted(),
      [
        'Qwen/A apache-2.0, now cc-by-nc-4.0',
        'Qwen/A cc-by-nc-4.0, now cc-by-nc-4.0',
        'Qwen/B qwen-research, now qwen-research',
        'Qwen/C null, now null',
      ],
      what,
    )
  }
  const text = await folder.call(['find', sha256Of()])
  assert.match(text.out, /LICENCE/)
  for (const license of ['apache-2.0', 'cc-by-nc-4.0', 'qwen-research']) assert.ok(text.out.includes(license), license)
})

test('find by a file hashes it, a small file that is held is found by either digest', async () => {
  await using folder = await archived()
  writeFileSync(join(folder.path, 'mine.json'), '{"a":1}\n')
  const sha256 = createHash('sha256').update('{"a":1}\n').digest('hex')
  const gitOid = createHash('sha1').update('blob 8\0{"a":1}\n').digest('hex')
  for (const what of ['mine.json', sha256, `git:${gitOid}`, gitOid]) {
    const found = await folder.json<FoundJson>('find', what)

    assert.deepEqual(
      found.listed.map(({ repo, path, held }) => [repo, path, held]),
      [['Qwen/A', 'config.json', true]],
      what,
    )
    assert.ok(found.held)
  }
})

test('find by name pattern looks at paths and their last parts, held or not', async () => {
  await using folder = await archived()
  writeFileSync(join(folder.path, 'config.json'), 'a file of this name is here')

  const quant = await folder.json<FoundJson>('find', '*Q4_K_M.gguf')
  const whole = await folder.json<FoundJson>('find', 'q/*')
  const named = await folder.json<FoundJson>('find', '--name', 'config.json')
  const limited = await folder.json<FoundJson>('find', '*', '--limit', '2')
  const text = await folder.call(['find', '*.safetensors'])

  assert.deepEqual(
    quant.listed.map(({ path, held }) => [path, held]),
    [['q/A-Q4_K_M.gguf', false]],
  )
  assert.equal(whole.listed.length, 1)
  assert.equal(named.listed.length, 1)
  assert.deepEqual([limited.listed.length, limited.hasMore], [2, true])
  assert.match(text.out, /REPO +COMMIT +PATH/)
  assert.match(text.out, /2 files of 2 repositories/)
})

test('what nobody lists ends with 1, a digest that is none with 2', async () => {
  await using folder = await archived()
  const nobody = await folder.call(['find', `sha256:${'0'.repeat(64)}`])
  const wrong = await folder.call(['find', 'sha256:abc'])
  const pattern = await folder.call(['find', '[%_*.gguf', '--json'])

  assert.equal(nobody.code, 1)
  assert.match(nobody.out, /no listing has it/)
  assert.match(nobody.out, /git:<40 hex>/)
  assert.equal(wrong.code, 2)
  assert.equal(pattern.code, 1)
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { apacheLicense } from '../support/content/apache-license.ts'
import { fixtureText } from '../support/content/fixture-file.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { CliFolder } from './cli-harness.ts'

const WEIGHTS = { path: 'model.safetensors', content: generated('weights', 20_000), lfs: true }
const RESEARCH = fixtureText('licenses/qwen-research-2024-09-19.txt')
const EVIL = 'LICENSE-\u001b[31m\u202e'

interface Entry {
  readonly commit: string
  readonly license: string | null
  readonly spdx: string | null
  readonly kind: string
  readonly texts: readonly { path: string; sha256: string | null; match: string | null; ids: string[] }[]
  readonly contradictions: readonly { path: string; reads: string }[]
  readonly baseModels: readonly { repo: string; spdx: string | null }[]
  readonly gateTerms: unknown
}

/** The example of one commit in the documentation. */
function documented(): unknown {
  const page = readFileSync(new URL('../../docs/licenses.md', import.meta.url), 'utf8')
  return JSON.parse(/^```json\n([^]*?)^```/m.exec(page)?.[1] ?? 'null')
}

/** The names of an object's fields and of those of its first texts, base models and card. */
function shapeOf(entry: unknown): unknown {
  const fields = entry as Record<string, unknown>
  const first = (key: string): string[] => Object.keys((fields[key] as object[] | undefined)?.[0] ?? {})
  return {
    own: Object.keys(fields),
    texts: first('texts'),
    bases: first('baseModels'),
    card: Object.keys(fields['card'] ?? {}),
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

test('licenses tells every commit, what each text is, and how it differs from the one before', async () => {
  await using hub = await startSimHub()
  const card = { license: 'apache-2.0', base_model: ['Qwen/Base', 'Some/One'], extra_gated_prompt: 'Agree first.' }
  const first = hub.world.addRepo('Qwen/A-1B', {
    card,
    files: [{ path: 'LICENSE', content: apacheLicense() }, WEIGHTS],
  })
  hub.world.addRepo('Qwen/Base', { card: { license: 'other', license_name: 'qwen' }, files: [] })
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  const second = hub.world.commit('Qwen/A-1B', { set: [{ path: 'LICENSE', content: RESEARCH }] })
  await folder.call(['sync'])

  const { licenses } = await folder.json<{ licenses: Entry[] }>('licenses', 'Qwen/A-1B')
  assert.deepEqual(
    licenses.map(({ commit, license, spdx, kind, texts, contradictions }) => ({
      commit,
      stated: [license, spdx, kind],
      texts: texts.map((text) => [text.path, text.sha256, text.match, ...text.ids]),
      contradictions,
    })),
    [
      {
        commit: second,
        stated: ['apache-2.0', 'Apache-2.0', 'permissive'],
        texts: [['LICENSE', sha256(RESEARCH), 'exact', 'LicenseRef-qwen-research']],
        contradictions: [{ path: 'LICENSE', reads: 'LicenseRef-qwen-research' }],
      },
      {
        commit: first,
        stated: ['apache-2.0', 'Apache-2.0', 'permissive'],
        texts: [['LICENSE', sha256(apacheLicense()), 'exact', 'Apache-2.0']],
        contradictions: [],
      },
    ],
  )
  assert.deepEqual(licenses[0]?.baseModels, [
    { repo: 'Qwen/Base', spdx: 'LicenseRef-qwen' },
    { repo: 'Some/One', spdx: null },
  ])
  assert.deepEqual(licenses[0]?.gateTerms, { extra_gated_prompt: 'Agree first.' })
  assert.deepEqual(shapeOf(licenses[0]), shapeOf(documented()))
  const shown = await folder.json<{ licenses: Entry[] }>('show', 'Qwen/A-1B')
  assert.deepEqual(shown.licenses, licenses)

  const { diffs } = await folder.json<{ diffs: { path: string; diff: string }[] }>('licenses', 'Qwen/A-1B', '--diff')
  assert.equal(diffs.length, 1)
  assert.match(diffs[0]?.diff ?? '', /^-.*Apache License\n[^]*^\+.*Qwen RESEARCH LICENSE AGREEMENT/m)
  const text = await folder.call(['licenses', 'Qwen/A-1B', '--diff'])
  assert.match(text.out, /contradiction: the card and LICENSE are different licences/)
  assert.match(text.out, /^\+.*Qwen RESEARCH LICENSE AGREEMENT/m)
  assert.match(
    (await folder.call(['show', 'Qwen/A-1B'])).out,
    /licence .*apache-2.0; but LICENSE reads LicenseRef-qwen-research/,
  )
  const events = await folder.call(['events', '--since', '0'])
  assert.match(events.out, /changed the text of its licence LICENSE: Apache-2.0 .* → LicenseRef-qwen-research/)
  assert.match(events.out, /states Apache-2.0 on its card, but LICENSE reads LicenseRef-qwen-research/)
})

test('licenses --receipt says which licence covered which bytes, and that it is no legal advice', async () => {
  await using hub = await startSimHub()
  const first = hub.world.addRepo('Qwen/A-1B', {
    card: { license: 'apache-2.0' },
    files: [{ path: 'LICENSE', content: apacheLicense() }, WEIGHTS],
  })
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  hub.world.commit('Qwen/A-1B', { card: { license: 'other', license_name: 'closed' } })
  await folder.call(['sync'])

  const called = await folder.call(['licenses', `Qwen/A-1B@${first.slice(0, 8)}`, '--receipt'])
  const receipt = JSON.parse(called.out) as {
    note: string
    commit: string
    license: Entry
    listingSha256: string
    files: { path: string; sha256: string }[]
    filesCovered: number
  }

  assert.match(receipt.note, /not legal advice/)
  assert.equal(receipt.commit, first)
  assert.equal(receipt.license.spdx, 'Apache-2.0')
  assert.equal(receipt.license.texts[0]?.sha256, sha256(apacheLicense()))
  const [listing] = await folder
    .json<{ files: { path: string; sha256: string }[] }>('show', `Qwen/A-1B@${first}`)
    .then(({ files }) => [files])
  assert.deepEqual(
    receipt.files.map(({ path, sha256: digest }) => [path, digest]),
    listing?.map(({ path, sha256: digest }) => [path, digest]),
  )
  assert.equal(receipt.filesCovered, 3)
  assert.match(receipt.listingSha256, /^[0-9a-f]{64}$/)
})

test('licenses lists every repository, and shows hostile names and texts harmless', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', {
    card: { license: 'other', license_name: '\u001b[2Jmit', license_link: 'https://x/\u202e' },
    files: [{ path: EVIL, content: 'free\u001b]0;owned\u0007\n' }],
  })
  hub.world.addRepo('Qwen/B-1B', { files: [] })
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  hub.world.commit('Qwen/A-1B', { set: [{ path: EVIL, content: 'not free\u001b[2J\n' }] })
  await folder.call(['sync'])

  for (const words of [['licenses'], ['licenses', 'Qwen/A-1B', '--diff'], ['licenses', 'Qwen/A-1B', '--receipt']]) {
    for (const more of [[], ['--json']]) {
      const { out, code } = await folder.call([...words, ...more])
      assert.equal(code, 0)
      assert.doesNotMatch(out.replaceAll('\n', ''), /[\p{Cc}\u202e]/u)
    }
  }
  const { repos } = await folder.json<{ repos: (Entry & { repo: string })[] }>('licenses')
  assert.deepEqual(
    repos.map(({ repo, spdx, kind }) => [repo, spdx, kind]),
    [
      ['Qwen/A-1B', 'LicenseRef--u1b--u5b-2jmit', 'unknown'],
      ['Qwen/B-1B', null, 'unknown'],
    ],
  )
})

test('licenses refuses what makes no sense', async () => {
  await using hub = await startSimHub()
  await using folder = await CliFolder.watching(hub)
  await folder.call(['sync'])

  assert.equal((await folder.call(['licenses', '--receipt'])).code, 2)
  assert.equal((await folder.call(['licenses', 'Qwen/A', '--diff', '--receipt'])).code, 2)
  const unknown = await folder.call(['licenses', 'Qwen/None'])
  assert.equal(unknown.code, 1)
  assert.match(unknown.err, /REPO_UNKNOWN/)
})

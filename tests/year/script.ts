import { fixtureText } from '../support/content/fixture-file.ts'
import type { World } from '../support/sim-hub/types.ts'
import { smallModel } from '../support/small-model.ts'
import { sealed, updated, weights } from './lines.ts'
import { listings, quotas, redirects, silentWire, transfers } from './wire.ts'
import { DAY_MS, HOUR_MS, type Year } from './year.ts'
import { ownClock } from './own-clock.ts'

const APACHE = fixtureText('licenses/apache-2.0.qwenlm-qwen.txt')
const RESEARCH = fixtureText('licenses/qwen-research-2024-09-19.txt')

/** The Hub on the first day. */
export function populate(world: World): void {
  for (const name of ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H']) {
    const { files, card } = smallModel(name, 2000)
    world.addRepo(`Qwen/${name}`, { card, files: [...files, { path: 'LICENSE', content: APACHE }] })
  }
  world.addRepo('friend/Quant', { card: { license: 'mit' }, files: [weights('model.gguf', 'quant')] })
  world.addRepo('Other/Single', { card: { license: 'mit' }, files: [weights('model.safetensors', 'single')] })
  world.setTag('Qwen/E', 'v1', world.repo('Qwen/E').head)
}

const NAMES = [
  'Qwen/A',
  'Qwen/B',
  'Qwen/C',
  'Qwen/D',
  'Qwen/E',
  'Qwen/F',
  'Qwen/G',
  'Qwen/H',
  'friend/Quant',
  'Other/Single',
]

/**
 * A part of the year, in order; each leaves the Hub as the next one expects it. What a Hub may do, and where it is played:
 *
 * | what | part |
 * |---|---|
 * | README-only commit, weight replaced, file renamed, file of 0 bytes | `content` |
 * | 1000+ entries; blanks, `#`, `%`, `+`, other alphabets, long paths; only case differs, `con.txt`, `../x` | `names` |
 * | gate open → auto → manual → open; disabled in both shapes, in a listing and when asked for by name | `gates` |
 * | deletion, recreation; private and public again; staged in private with old dates; listed or answering only | `losses` |
 * | renamed with 307: in place, to another watched owner, to a stranger, and back; the old name taken | `renames` |
 * | page 2 fails, empty list, rows shifted and doubled, wrong count, Hub refuses connections, page of a proxy | `listings` |
 * | 429 with r=0 and t, with Retry-After, with neither; a quota counted down by us, and by others | `quotas` |
 * | skewed Date header, times without milliseconds | `quotas` |
 * | redirect to another host, where the token does not follow; redirect loop; of a listing and of bytes | `redirects` |
 * | tag, file, spelling, file removed, line ends only, card without a licence | `licences` |
 * | tag and branch moved and deleted, branch moved back, commit gone, super-squash, bytes purged that we hold | `history` |
 * | digests withheld, and another listing for the same commit | `conflicts` |
 * | link expired, cut, 200 to a range, wrong Content-Range, short body, drip, ETag, gzip, bit flipped once and each time, purged | `transfers` |
 * | no answer at all: to questions, to a transfer, in mid-file; connections that end without one | `silentWire` |
 * | our own clock ten years ahead, ten years behind, and set right | `ownClock` |
 * | an organisation falls silent | `silence` |
 */
export const MONTHS: readonly ((year: Year) => Promise<void>)[] = [
  content,
  names,
  gates,
  losses,
  renames,
  listings,
  quotas,
  redirects,
  licences,
  history,
  conflicts,
  transfers,
  silentWire,
  ownClock,
  silence,
]

async function content(year: Year): Promise<void> {
  const { world } = year
  await year.pass()
  await year.expect('the backlog', ...NAMES.flatMap((name) => [`repo-published info ${name}`, sealed(name)]))
  await year.pass(3)
  await year.expect('nothing happened')

  world.commit('Qwen/A', {
    set: [{ path: 'README.md', content: '---\nlicense: apache-2.0\n---\n# A\n' }],
    date: year.today(),
  })
  await year.passAfterCommit()
  await year.expect('a README-only commit', ...updated('Qwen/A'))

  world.commit('Qwen/A', { set: [weights('model.safetensors', 'fixed')], date: year.today() })
  await year.passAfterCommit()
  await year.expect('a weight replaced under its name', 'files-replaced warning Qwen/A', ...updated('Qwen/A', 'notice'))

  world.commit('Qwen/A', { remove: ['config.json'], set: [{ path: 'configuration.json', content: '{"seed":"A"}\n' }] })
  await year.passAfterCommit()
  await year.expect('a file renamed', ...updated('Qwen/A'))

  world.commit('Qwen/A', { set: [{ path: 'empty.txt', content: '' }] })
  await year.passAfterCommit()
  await year.expect('a file of 0 bytes', ...updated('Qwen/A'))

  // The same news twice: two watches, two passes, one event.
  await year.vault.sync({ repos: [{ type: 'model', name: 'Qwen/A' as never }] })
  await year.expect('a pass over what is known by name')
}

async function names(year: Year): Promise<void> {
  const { world } = year
  const many = Array.from({ length: 1100 }, (_, at) => ({ path: `data/${at}.json`, content: 'same\n' }))
  world.commit('Qwen/B', { set: many })
  await year.passAfterCommit()
  await year.expect('more entries than one page of a tree', ...updated('Qwen/B'))

  world.commit('Qwen/B', {
    remove: many.map(({ path }) => path),
    set: ['a b#c%d+é.json', 'ü/日本.json', `${'long/'.repeat(40)}x.json`].map((path) => ({ path, content: '{}\n' })),
  })
  await year.passAfterCommit()
  await year.expect('unusual names', ...updated('Qwen/B'))

  world.commit('Qwen/B', {
    set: ['con.txt', 'X.json', 'x.json', '../x'].map((path) => ({ path, content: `${path}\n` })),
  })
  await year.passAfterCommit()
  await year.expect('names that no disk may get', 'unsafe-name warning Qwen/B', ...updated('Qwen/B'))
}

async function gates(year: Year): Promise<void> {
  const { world } = year
  await year.restart()
  for (const [gate, severity] of [
    ['auto', 'warning'],
    ['manual', 'warning'],
    [false, 'notice'],
  ] as const) {
    world.setGated('Qwen/C', gate)
    await year.passAfterChange()
    await year.expect(`the gate becomes ${String(gate)}`, `gate-changed ${severity} Qwen/C`)
  }
  for (const shape of ['info-200', 'info-403'] as const) {
    world.setDisabled('Qwen/C', shape)
    await year.passAfterChange()
    await year.expect(`disabled, ${shape}`, 'repo-disabled critical Qwen/C')
    world.setDisabled('Qwen/C', false)
    await year.passAfterChange()
    await year.expect('enabled again', 'repo-disabled notice Qwen/C')
  }
  world.setDisabled('Other/Single', 'info-403')
  await year.pass(3)
  await year.expect('a single repository disabled', 'repo-disabled critical Other/Single')
  world.setDisabled('Other/Single', false)
  await year.passAfterChange()
  await year.expect('and enabled', 'repo-disabled notice Other/Single')
}

async function losses(year: Year): Promise<void> {
  const { world } = year
  world.deleteRepo('Qwen/D')
  await year.pass(2, 10 * 60_000)
  await year.expect('missing for a moment is no loss')
  await year.restart()
  await year.loss()
  await year.expect('a deletion', 'repo-unavailable critical Qwen/D')
  await year.pass(3)
  await year.expect('told once')
  world.addRepo('Qwen/D', { card: { license: 'mit' }, files: [weights('model.safetensors', 'impostor')] })
  await year.passAfterChange()
  await year.expect('another repository takes the name', 'repo-recreated critical Qwen/D', sealed('Qwen/D'))

  world.setPrivate('Qwen/C', true)
  await year.loss()
  await year.expect('made private', 'repo-unavailable critical Qwen/C')
  world.setPrivate('Qwen/C', false)
  await year.passAfterChange()
  await year.expect('public again', 'repo-restored notice Qwen/C')

  world.addRepo('Qwen/Staged', {
    ...smallModel('staged', 2000),
    private: true,
    createdAt: '2025-12-24T00:00:00.000Z',
    date: '2025-12-25T00:00:00.000Z',
  })
  await year.pass(3, DAY_MS)
  await year.expect('a repository is staged in private')
  world.setPrivate('Qwen/Staged', false)
  await year.passAfterChange()
  await year.expect('published with old dates', 'repo-published notice Qwen/Staged', sealed('Qwen/Staged'))

  world.hideFromListing('Qwen/C', true)
  await year.pass(4, 20 * 60_000)
  await year.expect('not listed, and there when asked')
  world.hideFromListing('Qwen/C', false)
  world.hideFromInfo('Qwen/C', true)
  await year.pass(4, 20 * 60_000)
  await year.expect('listed, and not there when asked')
  world.hideFromInfo('Qwen/C', false)
}

async function renames(year: Year): Promise<void> {
  const { world } = year
  world.rename('Qwen/F', 'Qwen/F-2')
  await year.passAfterChange()
  await year.expect('a new name', 'repo-renamed warning Qwen/F-2')
  world.addRepo('Qwen/F', { card: { license: 'mit' }, files: [weights('model.safetensors', 'squatter')] })
  await year.passAfterChange()
  await year.expect('the old name is taken by another', 'repo-recreated critical Qwen/F', sealed('Qwen/F'))
  world.rename('Qwen/G', 'friend/G')
  await year.loss()
  await year.expect('moved to another owner who is watched', 'repo-renamed warning friend/G')
  world.rename('Qwen/H', 'stranger/H')
  await year.loss()
  await year.pass(3)
  await year.expect('moved to an owner nobody watches', 'repo-renamed warning Qwen/H')
  world.rename('stranger/H', 'Qwen/H')
  await year.passAfterChange()
  await year.expect('and back', 'repo-restored notice Qwen/H')
}

async function licences(year: Year): Promise<void> {
  const { world } = year
  await year.pass()
  world.commit('Qwen/E', { card: { license: 'other', license_name: 'qwen-research', license_link: 'LICENSE' } })
  await year.passAfterCommit()
  await year.expect(
    'another licence in the card, which the file contradicts',
    ...updated('Qwen/E'),
    'license-changed critical Qwen/E',
    'license-changed warning Qwen/E',
  )
  world.commit('Qwen/E', { set: [{ path: 'LICENSE', content: RESEARCH }] })
  await year.passAfterCommit()
  await year.expect('another licence file', 'license-text-changed critical Qwen/E', ...updated('Qwen/E'))
  world.commit('Qwen/E', { card: { license: 'other', license_name: 'Qwen-Research', license_link: 'LICENSE' } })
  await year.passAfterCommit()
  await year.expect('another spelling', 'license-changed info Qwen/E', ...updated('Qwen/E'))
  world.commit('Qwen/E', { set: [{ path: 'LICENSE', content: RESEARCH.replaceAll('\n', '\r\n') }] })
  await year.passAfterCommit()
  await year.expect('other line ends: the same licence', ...updated('Qwen/E'))
  world.commit('Qwen/E', { remove: ['LICENSE'] })
  await year.passAfterCommit()
  await year.expect('the licence file is gone', 'license-text-changed warning Qwen/E', ...updated('Qwen/E'))
  world.commit('Qwen/E', { card: {} })
  await year.passAfterCommit()
  await year.expect('a card without a licence', 'license-changed critical Qwen/E', ...updated('Qwen/E'))
}

async function history(year: Year): Promise<void> {
  const { world } = year
  const [head = '', parent = ''] = world.repo('Qwen/A').commits
  world.setTag('Qwen/E', 'v1', world.repo('Qwen/E').head)
  world.commit('Qwen/E', { set: [{ path: 'note.txt', content: 'tagged\n' }] })
  await year.passAfterChange()
  await year.expect('a tag moves', 'ref-moved warning Qwen/E', ...updated('Qwen/E'))
  world.setTag('Qwen/E', 'v1', undefined)
  world.moveBranch('Qwen/E', 'dev', world.repo('Qwen/E').head)
  await year.pass(3, 8 * DAY_MS)
  await year.expect(
    'a tag is deleted, and nothing else changes: noticed within the rotation',
    'ref-deleted warning Qwen/E',
  )
  world.deleteBranch('Qwen/E', 'dev')
  await year.pass(3, 8 * DAY_MS)
  await year.expect('a branch is deleted', 'ref-deleted warning Qwen/E')
  world.purgeLfs('Qwen/H', 'model.safetensors')
  await year.pass(4, 8 * DAY_MS)
  await year.expect('bytes that we hold are purged: noticed within the rotation, once', 'bytes-purged warning Qwen/H')
  world.moveBranch('Qwen/A', 'main', parent)
  await year.passAfterChange()
  await year.expect('the branch goes back', 'history-rewritten warning Qwen/A')
  world.forgetCommit('Qwen/A', head)
  await year.passAfterChange()
  await year.expect('an old commit no longer resolves')
  world.superSquash('Qwen/B')
  await year.passAfterChange()
  await year.expect(
    'a super-squash',
    'history-rewritten warning Qwen/B',
    'unsafe-name warning Qwen/B',
    ...updated('Qwen/B'),
  )
}

async function conflicts(year: Year): Promise<void> {
  const { hub, world } = year
  const tree = /\/api\/models\/Qwen\/C\/tree\//
  let fault = hub.faults.add({ path: tree, mutateJson: withheld })
  world.commit('Qwen/C', { set: [weights('withheld.safetensors', 'withheld')], date: year.today() })
  await year.passAfterCommit()
  await year.expect('digests are withheld: nothing that cannot be proven is held', ...updated('Qwen/C', 'notice'))
  fault.remove()
  fault = hub.faults.add({ path: tree, mutateJson: withOneMore })
  await year.pass(4, DAY_MS)
  await year.expect(
    'another listing of the same commit, again and again: told once',
    'listing-conflict critical Qwen/C',
  )
  fault.remove()
  await year.pass(2, DAY_MS)
  await year.expect('the first listing again, and its digests', sealed('Qwen/C'))
}

type Entries = readonly { readonly lfs?: object }[]

function withheld(json: unknown): unknown {
  return (json as Entries).map((entry) =>
    entry.lfs === undefined ? entry : { ...entry, lfs: { ...entry.lfs, oid: '*'.repeat(64) } },
  )
}

function withOneMore(json: unknown): unknown {
  return [...(json as Entries), { type: 'file', path: 'extra.json', size: 2, oid: 'a'.repeat(40) }]
}

async function silence(year: Year): Promise<void> {
  await year.restart()
  await year.pass(4, 21 * DAY_MS)
  year.skip(HOUR_MS)
  await year.pass(2, 14 * DAY_MS)
  await year.expect('an organisation falls silent, once', 'org-silent warning')
  year.world.addRepo('Qwen/Return', { ...smallModel('return', 2000), createdAt: year.today() })
  await year.pass(2)
  await year.expect('and speaks again', 'repo-published notice Qwen/Return', sealed('Qwen/Return'))
}

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import type { LicenseRow } from '../../src/license-port.ts'
import { apacheLicense } from '../support/content/apache-license.ts'
import { fixtureText } from '../support/content/fixture-file.ts'
import { generated, joined, literal } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'

const APACHE = { license: 'apache-2.0' }
const RESEARCH = fixtureText('licenses/qwen-research-2024-09-19.txt')

async function history(vault: TestVault, name = 'Qwen/A-1B'): Promise<LicenseRow[]> {
  const { catalog } = vault.archive
  const repo = (await catalog.listRepos({ text: name }, { after: undefined, limit: 1, withSnapshots: false }))[0]
  return catalog.licenses.history(repo?.repoId ?? -1, 100)
}

function readsOf(state: unknown): string | undefined {
  return (state as { reads: string } | undefined)?.reads
}

function licenseFile(content: string) {
  return { path: 'LICENSE', content }
}

test('readLicenses says what each text is, and a second copy in other form is no event', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: APACHE, files: [licenseFile(apacheLicense())] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.commit('Qwen/A-1B', {
    set: [licenseFile(apacheLicense('Copyright 2026 Someone').replaceAll('\n', '\r\n'))],
  })
  await vault.sync()

  const rows = await history(vault)

  assert.deepEqual(
    rows.map((row) =>
      row.files.slice(0, 1).map(({ path, reading }) => ({ path, match: reading?.role === 'license' && reading.match })),
    ),
    [0, 1].map(() => [{ path: 'LICENSE', match: { kind: 'exact', ids: ['Apache-2.0'] } }]),
  )
  assert.notEqual(rows[0]?.files[0]?.sha256, rows[1]?.files[0]?.sha256)
  assert.deepEqual(await vault.eventsOf('license-text-changed'), [])
  assert.deepEqual(await vault.eventsOf('license-changed'), [])
})

test('readLicenses raises a text that changed under the same name, and the contradiction with the card', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: APACHE, files: [licenseFile(apacheLicense())] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const changed = apacheLicense().replace('royalty-free, irrevocable', 'royalty-free, revocable')
  const commit = hub.world.commit('Qwen/A-1B', { set: [licenseFile(changed)] })
  await vault.sync()
  await vault.sync()

  const [text, ...more] = await vault.eventsOf('license-text-changed')
  assert.deepEqual(more, [])
  assert.equal(text?.severity, 'warning')
  assert.equal(readsOf(text?.before), 'Apache-2.0')
  assert.equal(readsOf(text?.after), 'altered Apache-2.0')
  assert.equal(text?.detail['commit'], commit)
  const contradictions = await vault.eventsOf('license-changed')
  assert.deepEqual(
    contradictions.map(({ severity, detail }) => [severity, detail['contradiction'], detail['reads']]),
    [['warning', true, 'altered Apache-2.0']],
  )

  hub.world.commit('Qwen/A-1B', { set: [{ path: 'config.json', content: '{}' }] })
  await vault.sync()
  assert.equal((await vault.eventsOf('license-changed')).length, 1, 'the same contradiction is no news')
})

test('readLicenses calls a permissive text that became a known restrictive one critical', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: APACHE, files: [licenseFile(apacheLicense())] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.commit('Qwen/A-1B', { set: [licenseFile(RESEARCH)] })
  await vault.sync()

  const [event] = await vault.eventsOf('license-text-changed')
  assert.equal(event?.severity, 'critical')
  assert.equal(readsOf(event?.after), 'LicenseRef-qwen-research')
})

test('readLicenses tells a text that went away and one that came', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: APACHE, files: [licenseFile(apacheLicense())] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.commit('Qwen/A-1B', { remove: ['LICENSE'] })
  await vault.sync()
  hub.world.commit('Qwen/A-1B', { set: [{ path: 'COPYING', content: apacheLicense() }] })
  await vault.sync()

  assert.deepEqual(
    (await vault.eventsOf('license-text-changed')).map(({ severity, detail, before, after }) => [
      severity,
      detail['path'],
      before === null,
      after === null,
    ]),
    [
      ['warning', 'LICENSE', false, true],
      ['notice', 'COPYING', true, false],
    ],
  )
})

test('readLicenses concludes nothing from hostile cards and texts, and goes on', async () => {
  await using hub = await startSimHub()
  const bomb = `---\na: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'.replaceAll(/./g, (name, at: number) => {
    const before = 'abcdefgh'[at]
    return `${name}: &${name} [*${before},*${before},*${before},*${before},*${before},*${before},*${before}]\n`
  })}---\n`
  hub.world.addRepo('Qwen/A-1B', {
    files: [
      { path: 'README.md', content: bomb },
      licenseFile(`${apacheLicense()}${'x '.repeat(1_500_000)}`),
      { path: 'LICENSE-\u001b[31mred', content: 'a'.repeat(50_000) },
      { path: 'NOTICE', content: '\0\u001b]0;owned\u0007' },
    ],
  })
  hub.world.addRepo('Qwen/B-1B', { card: { license: 'mit' }, files: [licenseFile(apacheLicense())] })
  await using vault = await TestVault.open(hub)

  await vault.sync()

  const [row] = await history(vault)
  const matches = row?.files.flatMap(({ reading }) =>
    reading === undefined || reading.role === 'card' ? [] : [reading.match.kind],
  )
  assert.deepEqual(matches, ['unread', 'unknown', 'unknown'])
  assert.equal(row?.files.find(({ role }) => role === 'card')?.reading?.role, 'card')
  assert.deepEqual(
    (await vault.eventsOf('license-changed')).map((event) => event.repo?.name),
    ['Qwen/B-1B'],
  )
})

test('readLicenses passes over a commit that is no head any more, and tells its change with the head that follows', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: APACHE, files: [licenseFile(apacheLicense())] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.commit('Qwen/A-1B', { set: [licenseFile(RESEARCH)] })
  // Listed, and not fetched before the head moves on.
  await vault.sync({ checkOnly: true })
  const head = hub.world.commit('Qwen/A-1B', { set: [{ path: 'config.json', content: '{}' }] })
  await vault.sync()
  await vault.sync()

  assert.deepEqual(
    (await vault.eventsOf('license-text-changed')).map(({ severity, detail }) => [severity, detail['commit']]),
    [['critical', head]],
  )
})

test('readLicenses tells a text that comes back with an old head', async () => {
  await using hub = await startSimHub()
  const first = hub.world.addRepo('Qwen/A-1B', { card: APACHE, files: [licenseFile(apacheLicense())] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const second = hub.world.commit('Qwen/A-1B', { set: [licenseFile(RESEARCH)] })
  await vault.sync()
  hub.world.moveBranch('Qwen/A-1B', 'main', first)
  await vault.sync()
  hub.world.commit('Qwen/A-1B', { set: [{ path: 'config.json', content: '{}' }] })
  await vault.sync()

  assert.deepEqual(
    (await vault.eventsOf('license-text-changed')).map(({ after, detail }) => [readsOf(after), detail['commit']]),
    [
      ['LicenseRef-qwen-research', second],
      ['Apache-2.0', first],
    ],
  )
})

test('readLicenses takes a card of 100 MB and a licence text of 10 MB in small pieces', async () => {
  await using hub = await startSimHub()
  const start = literal(Buffer.from('---\nlicense: mit\n---\n'))
  const card = joined([start, generated('card', 100 * 1024 * 1024)])
  const text = joined([literal(Buffer.from(apacheLicense())), generated('text', 10 * 1024 * 1024)])
  hub.world.addRepo('Qwen/A-1B', {
    files: [
      { path: 'README.md', content: card },
      { path: 'LICENSE', content: text },
    ],
  })
  await using vault = await TestVault.open(hub)

  await vault.sync()

  const [row] = await history(vault)
  assert.deepEqual([row?.form?.expression, row?.statedBy], ['MIT', 'card'])
  const [license] = row?.files ?? []
  assert.deepEqual(license?.reading, { role: 'license', match: { kind: 'unread' } })
})

test('the ledger is made again from listings and blobs, and raises no event twice', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', { card: APACHE, files: [licenseFile(apacheLicense())] })
  hub.world.addRepo('Qwen/B-1B', { card: { license: 'mit' }, files: [licenseFile(RESEARCH)] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.commit('Qwen/A-1B', { set: [licenseFile(RESEARCH)] })
  await vault.sync()
  const before = [await history(vault), await history(vault, 'Qwen/B-1B')]
  const events = await vault.events()

  await vault.archive[Symbol.asyncDispose]()
  const raw = new Database(join(vault.root, 'catalog.db'))
  raw.exec(
    "DELETE FROM license_files; DELETE FROM license_readings; DELETE FROM licenses; DELETE FROM meta WHERE key = 'licenses_recorded'",
  )
  raw.close()
  await vault.openAgain()
  assert.deepEqual(await history(vault), [])
  await vault.sync()

  assert.deepEqual([await history(vault), await history(vault, 'Qwen/B-1B')], before)
  assert.deepEqual(await vault.events(), events)
})

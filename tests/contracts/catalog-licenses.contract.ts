import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LicenseEntry, LicenseReading } from '../../src/domain/license-entry.ts'
import type { RepoName } from '../../src/domain/repo.ts'
import type { Catalog } from '../../src/catalog-port.ts'
import {
  addListed,
  addRepos,
  AT,
  commitOf,
  eventOf,
  factsOf,
  fetchAll,
  listingRecordOf,
  smallFile,
} from '../db/catalog-fixtures.ts'
import type { OpenEmptyCatalog } from './catalog.contract.ts'

const FILES = [smallFile('LICENSE', 20, 'text'), smallFile('README.md', 30), smallFile('config.json')]

async function readAll(catalog: Catalog): Promise<number> {
  let read = 0
  for (;;) {
    const unread = await catalog.licenses.takeUnread(100)
    if (unread.length === 0) return read
    for (const { sha256, role } of unread) {
      const text = { match: { kind: 'unknown' }, wordsSha256: 'ab' } as const
      const reading: LicenseReading = role === 'card' ? { role, stated: undefined } : { role, ...text }
      await catalog.licenses.recordReading(sha256, reading)
      read += 1
    }
  }
}

/** The licence ledger. */
export function catalogLicensesContract(name: string, open: OpenEmptyCatalog): void {
  describe(`${name}: licences`, () => {
    test('`recordListing` writes what the card and the tree say of the licence', async () => {
      await using catalog = await open()
      const [repoId = -1] = await addRepos(catalog, factsOf('Qwen/A'))
      const record = listingRecordOf(repoId, 'Qwen/A', FILES)
      const cardData = { base_model: ['Qwen/Base', 'nonsense'], extra_gated_prompt: 'agree \ud800' }
      const listing = { ...record.listing, tags: ['gguf', 'license:apache-2.0'], cardData }
      await catalog.recordListing({ ...record, listing })

      const [row] = await catalog.licenses.history(repoId, 10)

      assert.deepEqual(row?.form, { expression: 'Apache-2.0', kind: 'permissive' })
      assert.deepEqual(row?.tags, ['apache-2.0'])
      assert.deepEqual(row?.baseModels, ['Qwen/Base'])
      assert.equal(row?.gateTerms, '{"extra_gated_prompt":"agree \\ud800"}')
      assert.deepEqual(
        row?.files.map(({ path, role, sha256 }) => ({ path, role, sha256 })),
        [
          { path: 'LICENSE', role: 'license', sha256: undefined },
          { path: 'README.md', role: 'card', sha256: undefined },
        ],
      )
      assert.equal(row?.at, AT)
    })

    test('`takeUnread` gives bytes once, whatever files have them, and only when they are held', async () => {
      await using catalog = await open()
      await addListed(catalog, 'Qwen/A', FILES)
      await addListed(catalog, 'Qwen/B', [smallFile('LICENSE.txt', 20, 'text')])
      assert.deepEqual(await catalog.licenses.takeUnread(10), [])
      assert.equal(await catalog.licenses.hasWork(), true)

      await fetchAll(catalog)

      assert.equal(await readAll(catalog), 2)
      const { repoId, snapshotId } = await addListed(catalog, 'Qwen/C', [smallFile('COPYING', 20, 'text')])
      assert.ok(snapshotId > 0)
      assert.deepEqual(await catalog.licenses.takeUnread(10), [], 'known bytes need not be read again')
      const [row] = await catalog.licenses.history(repoId, 1)
      assert.equal(row?.files[0]?.reading?.role, 'license')
    })

    test('`comparable` waits for every wanted licence file, and gives each entry until it was compared', async () => {
      await using catalog = await open()
      const { repoId, snapshotId } = await addListed(catalog, 'Qwen/A', FILES)
      const skipping = await addListed(catalog, 'Qwen/B', FILES, ['LICENSE', 'README.md'])
      const ids = async (): Promise<number[]> => (await catalog.licenses.comparable(10)).map((row) => row.snapshotId)
      assert.deepEqual(await ids(), [skipping.snapshotId])

      await fetchAll(catalog)
      assert.deepEqual(await ids(), [skipping.snapshotId], 'held, but not read')
      await readAll(catalog)
      assert.deepEqual(await ids(), [snapshotId, skipping.snapshotId])

      const event = eventOf('license-text-changed')
      assert.equal(
        (await catalog.licenses.recordCompared(snapshotId, { isPassedOver: false, events: [event] })).length,
        1,
      )
      assert.deepEqual(
        await catalog.licenses.recordCompared(snapshotId, { isPassedOver: false, events: [event] }),
        [],
        'never twice',
      )
      assert.deepEqual(await ids(), [skipping.snapshotId])
      assert.equal((await catalog.licenses.lastCompared(repoId))?.snapshotId, snapshotId)
      await catalog.licenses.recordCompared(skipping.snapshotId, { isPassedOver: true, events: [] })
      assert.deepEqual(await ids(), [])
      assert.equal(await catalog.licenses.lastCompared(skipping.repoId), undefined)
      assert.equal(await catalog.licenses.hasWork(), false)
    })

    test('where the Hub states none, README.md of the commit does', async () => {
      await using catalog = await open()
      const [repoId = -1] = await addRepos(catalog, factsOf('Qwen/A'))
      const record = listingRecordOf(repoId, 'Qwen/A', FILES)
      const none = { license: undefined, license_name: undefined, license_link: undefined }
      const { snapshotId } = await catalog.recordListing({ ...record, listing: { ...record.listing, license: none } })
      assert.equal((await catalog.licenses.entryOf(snapshotId))?.form, undefined)

      await fetchAll(catalog)
      for (const { sha256, role } of await catalog.licenses.takeUnread(10)) {
        if (role !== 'card') continue
        await catalog.licenses.recordReading(sha256, { role, stated: { ...none, license: 'mit' } })
      }
      await catalog.licenses.takeUnread(10)

      const entry = await catalog.licenses.entryOf(snapshotId)
      assert.deepEqual([entry?.form?.expression, entry?.stated.license, entry?.statedBy], ['MIT', 'mit', 'card'])
    })

    test('`unrecorded` finds no snapshot that has an entry, and `record` leaves an entry as it is', async () => {
      await using catalog = await open()
      const { repoId, snapshotId } = await addListed(catalog, 'Qwen/A', FILES)
      const other: LicenseEntry = {
        stated: { license: 'mit', license_name: undefined, license_link: undefined },
        tags: [],
        form: undefined,
        baseModels: [],
        gateTerms: undefined,
        files: [],
      }

      const { rows, upTo } = await catalog.licenses.unrecorded(10)
      await catalog.licenses.recordedUpTo(upTo)
      await catalog.licenses.record(snapshotId, other)

      assert.deepEqual([rows, upTo], [[], snapshotId])
      assert.equal((await catalog.licenses.history(repoId, 1))[0]?.stated.license, 'apache-2.0')
    })

    test('`formAt` tells the licence of a repository at a time, and of an unknown one nothing', async () => {
      await using catalog = await open()
      const { repoId } = await addListed(catalog, 'Qwen/Base', FILES)
      const later = listingRecordOf(repoId, 'Qwen/Base', FILES, { commit: commitOf('second') })
      const license = { license: 'other', license_name: 'qwen', license_link: undefined }
      await catalog.recordListing({
        ...later,
        listing: { ...later.listing, license, observedAt: '2026-05-01T00:00:00.000Z' },
      })
      const at = (time: string): Promise<string | undefined> => catalog.licenses.formAt('qwen/base' as RepoName, time)

      assert.equal(await at('2026-04-01T00:00:00.000Z'), 'Apache-2.0')
      assert.equal(await at('2026-06-01T00:00:00.000Z'), 'LicenseRef-qwen')
      assert.equal(await at('2020-01-01T00:00:00.000Z'), 'Apache-2.0')
      assert.equal(await catalog.licenses.formAt('Qwen/None' as RepoName, AT), undefined)
    })
  })
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Digests } from '../../src/domain/digest.ts'
import type { Sibling } from '../../src/domain/listing.ts'
import {
  addListed,
  ANY_JOB,
  AT,
  fetchAll,
  gitOidOf,
  largeFile,
  LATER,
  sha256Of,
  smallFile,
} from '../db/catalog-fixtures.ts'
import type { OpenEmptyCatalog } from './catalog.contract.ts'

/** The digests of a file's bytes, as a folder of them would be hashed. */
function bytesOf(file: Sibling): Digests {
  const { size } = file
  if (file.lfsOid !== undefined) return { sha256: file.lfsOid, gitOid: gitOidOf(`git of ${file.lfsOid}`), size }
  return { sha256: sha256Of(`sha of ${file.gitOid}`), gitOid: file.gitOid, size }
}

/** Finding content in listings, and taking over bytes that no job fetched. */
export function catalogAdoptContract(name: string, open: OpenEmptyCatalog): void {
  describe(`${name}: find and adopt`, () => {
    test('`adoptBlobs` holds every listed file with the bytes, wanted or not, and its jobs go', async () => {
      await using catalog = await open()
      const weights = largeFile('model.safetensors')
      const config = smallFile('config.json')
      const wanted = await addListed(catalog, 'Qwen/A', [weights, config])
      const unwanted = await addListed(
        catalog,
        'other/B',
        [largeFile('renamed.bin', 5000, 'model.safetensors'), config],
        ['renamed.bin', 'config.json'],
      )

      const first = await catalog.adoptBlobs([bytesOf(weights)], AT)
      const second = await catalog.adoptBlobs([bytesOf(weights), bytesOf(config)], LATER)

      assert.deepEqual(
        [first, second],
        [
          { files: 2, snapshots: 2, events: [] },
          { files: 2, snapshots: 2, events: [] },
        ],
      )
      assert.equal(await catalog.leaseJob(ANY_JOB), undefined)
      for (const { snapshotId } of [wanted, unwanted]) {
        const rows = await catalog.files(snapshotId, { after: undefined, limit: 10 })
        assert.ok(rows.every((row) => row.sha256 !== undefined && row.attestedBy.length === 1))
      }
      const { blobs, blobBytes } = await catalog.totals()
      assert.deepEqual([blobs, blobBytes], [2, 5010])
      assert.deepEqual(
        (await catalog.sealable()).map((snapshot) => [snapshot.ref.name, snapshot.filesHeld]),
        [
          ['Qwen/A', 2],
          ['other/B', 2],
        ],
      )
    })

    test('`adoptBlobs` takes the same size or nothing, opens a sealed snapshot that has more now, and may be repeated', async () => {
      await using catalog = await open()
      const weights = largeFile('model.safetensors')
      const other = largeFile('model.gguf')
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [weights, other], ['model.gguf'])
      await fetchAll(catalog)
      await catalog.recordSealed(snapshotId, 1, 'selection', AT, [])

      const wrong = await catalog.adoptBlobs([{ ...bytesOf(other), size: 4999 }], AT)
      const right = await catalog.adoptBlobs([bytesOf(other)], AT)
      const again = await catalog.adoptBlobs([bytesOf(other)], AT)

      assert.deepEqual([wrong.files, right.files, again.files], [0, 1, 0])
      const [sealable] = await catalog.sealable()
      assert.deepEqual([sealable?.snapshotId, sealable?.manifestRevision, sealable?.filesHeld], [snapshotId, 1, 2])
    })

    test('`adoptBlobs` opens a snapshot whose commit is gone once it lacks nothing', async () => {
      await using catalog = await open()
      const weights = largeFile('model.safetensors')
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [weights])
      await catalog.blockSnapshot(snapshotId, 'SNAPSHOT_UNKNOWN')

      await catalog.adoptBlobs([bytesOf(weights)], AT)

      assert.deepEqual(
        (await catalog.sealable()).map((snapshot) => snapshot.snapshotId),
        [snapshotId],
      )
    })

    test('`whereListed` finds content by each digest it is promised by, and says who holds it', async () => {
      await using catalog = await open()
      const weights = largeFile('model.safetensors')
      const config = smallFile('config.json')
      await addListed(catalog, 'Qwen/A', [weights, config])
      await addListed(catalog, 'other/B', [largeFile('copy.bin', 5000, 'model.safetensors')], ['copy.bin'])
      const where = async (sha256: Digests['sha256'] | undefined, gitOid: Digests['gitOid']): Promise<unknown[]> =>
        (await catalog.whereListed({ sha256, gitOid }, 10)).map((row) => [row.ref.name, row.path, row.held])
      const held = bytesOf(config)

      assert.deepEqual(await where(weights.lfsOid, undefined), [
        ['Qwen/A', 'model.safetensors', false],
        ['other/B', 'copy.bin', false],
      ])
      assert.deepEqual(await where(undefined, config.gitOid), [['Qwen/A', 'config.json', false]])
      assert.deepEqual(await where(undefined, weights.gitOid), [], 'the git id of a pointer is no content')
      assert.deepEqual(await where(held.sha256, undefined), [], 'nobody knows this SHA-256 yet')
      await catalog.adoptBlobs([held], AT)
      assert.deepEqual(await where(held.sha256, undefined), [['Qwen/A', 'config.json', true]])
      assert.equal((await catalog.whereListed({ sha256: weights.lfsOid, gitOid: undefined }, 1)).length, 1)
      assert.deepEqual([await catalog.holdsBlob(held.sha256), await catalog.holdsBlob(weights.lfsOid!)], [true, false])
    })

    test('`whereNamed` finds paths by patterns, hostile ones too, and takes no character of SQL for a pattern', async () => {
      await using catalog = await open()
      const paths = ['a/config.json', 'config.json', '100%_[x].json', 'lone\ud800.json', 'b.bin']
      await addListed(
        catalog,
        'Qwen/A',
        paths.map((path) => smallFile(path)),
      )
      const named = async (pattern: string): Promise<string[]> =>
        (await catalog.whereNamed({ pattern }, 100)).map((row) => row.path).toSorted()

      assert.deepEqual(await named('config.json'), ['a/config.json', 'config.json'])
      assert.deepEqual(await named('a/*'), ['a/config.json'])
      assert.deepEqual(await named('*%_[x]*'), ['100%_[x].json'])
      assert.deepEqual(await named('lone?.json'), ['lone\ud800.json'])
      assert.deepEqual(await named('*'), paths.toSorted())
      assert.deepEqual(await named('nothing*'), [])
    })

    test('`listedContents` knows every size and digest, those too that became known later', async () => {
      await using catalog = await open()
      const withheld: Sibling = { ...largeFile('gated.bin', 7000), lfsOid: undefined }
      const config = smallFile('config.json')
      const { snapshotId } = await addListed(catalog, 'Qwen/A', [withheld, config])
      const weights = largeFile('gated.bin', 7000)
      const other = gitOidOf('nobody')

      const before = await catalog.listedContents()
      await catalog.addDigests(snapshotId, [weights, config], LATER)
      const after = await catalog.listedContents()

      assert.deepEqual([before.hasSize(7000), before.hasSize(10), before.hasSize(11)], [true, true, false])
      assert.equal(before.mayList(sha256Of('x'), config.gitOid!), true)
      assert.equal(before.mayList(weights.lfsOid!, other), false)
      assert.equal(after.mayList(weights.lfsOid!, other), true)
    })

    test('`noteSeen` remembers a file until it changes', async () => {
      await using catalog = await open()
      const seen = { pathDigest: 'a'.repeat(32), stamp: 'b'.repeat(32) }
      const digests = { sha256: sha256Of('x'), gitOid: gitOidOf('x') }
      await catalog.noteSeen([{ seen, ...digests }])
      await catalog.noteSeen([{ seen: { ...seen, stamp: 'c'.repeat(32) }, ...digests }])

      assert.equal(await catalog.digestsOfSeen(seen), undefined)
      assert.deepEqual(await catalog.digestsOfSeen({ ...seen, stamp: 'c'.repeat(32) }), digests)
    })
  })
}

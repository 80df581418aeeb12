import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Digests, Sha256 } from '../../src/domain/digest.ts'
import { ArchiveError } from '../../src/domain/errors.ts'
import { readHeld } from '../../src/pipeline/held-blob.ts'
import { generated } from '../support/content/generated.ts'
import { provenBlobs } from '../support/held-files.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'

const SHA256 = 'a'.repeat(64) as Sha256
const RIGHT: Digests = { sha256: SHA256, gitOid: undefined, size: 5 }

for (const [size, lfs] of [
  [30_000, true],
  [30_000, false],
  [400_000, true],
  [400_000, false],
] as const) {
  for (const wrong of [size, size - 1]) {
    const what = `${wrong} wrong bytes under the name of a${lfs ? 'n LFS' : ' git'} file of ${size}`
    test(`${what} are set aside, told, and replaced by the right ones`, async () => {
      await using hub = await startSimHub()
      const files = [{ path: 'model.safetensors', content: generated('a', size), lfs }]
      hub.world.addRepo('Qwen/A-1B', { card: {}, files })
      const { sha256 } = await hub.world.file('Qwen/A-1B', 'model.safetensors')
      await using vault = await TestVault.open(hub)
      const path = join(vault.root, 'blobs', 'sha256', sha256.slice(0, 2), sha256)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, Buffer.alloc(wrong, 7), { mode: 0o440 })

      const { sealed, failed } = await vault.sync()

      assert.deepEqual([sealed.length, failed], [1, []])
      assert.ok(provenBlobs(vault.root).includes(sha256))
      const [kept] = (await readdir(join(vault.root, 'quarantine'))).filter((name) => name.endsWith('.bin'))
      assert.deepEqual(await readFile(join(vault.root, 'quarantine', kept!)), Buffer.alloc(wrong, 7))
      const [told] = await vault.eventsOf('fixity-failed')
      assert.deepEqual([told?.detail['repo'], told?.detail['path']], ['Qwen/A-1B', 'model.safetensors'])
      assert.equal((await vault.eventsOf('fixity-repaired')).length, 1)
    })
  }
}

/** A disk that answers each reading of the blob in its turn. */
function readingsOf(t: TestContext, ...answers: readonly (Digests | Error)[]) {
  const digest = t.mock.fn(async (): Promise<Digests> => {
    const answer = answers[digest.mock.callCount()]
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('it was read too often')
    return answer
  })
  return { digest }
}

function diskError(code: string): ArchiveError {
  return new ArchiveError('DISK_FAILED', code, { cause: Object.assign(new Error(code), { code }) })
}

test('readHeld calls nothing damaged that a second reading shows to be right', async (t) => {
  const other = { ...RIGHT, sha256: 'b'.repeat(64) as Sha256 }

  assert.equal(await readHeld(readingsOf(t, other, RIGHT), SHA256, t.signal), RIGHT)
  assert.equal(await readHeld(readingsOf(t, diskError('EIO'), RIGHT), SHA256, t.signal), RIGHT)
})

test('readHeld calls damaged what is other bytes, or unreadable, twice; a disk that is gone is no damage', async (t) => {
  const other = { ...RIGHT, sha256: 'b'.repeat(64) as Sha256 }

  assert.equal(await readHeld(readingsOf(t, other, other), SHA256, t.signal), undefined)
  assert.equal(await readHeld(readingsOf(t, diskError('EIO'), diskError('EIO')), SHA256, t.signal), undefined)
  await assert.rejects(readHeld(readingsOf(t, diskError('EMFILE')), SHA256, t.signal), { code: 'DISK_FAILED' })
})

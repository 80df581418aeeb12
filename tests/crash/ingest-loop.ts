import { randomInt } from 'node:crypto'
import { writeSync } from 'node:fs'
import { HashPool } from '../../src/lib/hash-files.ts'
import { createBlobStore } from '../../src/store/blob-store.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { SILENT } from '../store/store-fixture.ts'
import { contentOf, CRASH_PIECE_BYTES } from './contents.ts'

/**
 * Fetches and publishes the same list of contents at every start, one after another, as a download does:
 * `ingest-loop.ts <root> <first> <end>`. Says on stdout, unbuffered, `at <step>` before each step, `ack <sha256>` when
 * a blob is published, `failed <code>` when one was not, and `done`.
 */
const [root, first, end] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])]
const { signal } = new AbortController()

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

const pool = new HashPool(1)
say('at open')
const { archiveId } = await openArchiveFolder(root, { create: true })
const store = createBlobStore({ root, archiveId, pieceBytes: CRASH_PIECE_BYTES, hashPool: pool, log: SILENT })

for (let index = first; index < end; index += 1) {
  const bytes = contentOf(index)
  const { sha256 } = digestsOf(bytes)
  try {
    if ((await store.sizeOf(sha256)) !== bytes.length) {
      say('at partial')
      await using partial = await store.openPartial(keyOf(bytes), bytes.length, signal)
      for (let at = partial.position; at < bytes.length;) {
        const chunk = bytes.subarray(at, at + randomInt(1, 70_000))
        await partial.append(chunk, signal)
        at += chunk.length
      }
      say('at finish')
      const digests = await partial.finish(signal)
      say('at publish')
      await store.publish(keyOf(bytes), digests, signal)
    }
    say(`ack ${sha256}`)
  } catch (error) {
    say(`failed ${(error as { code?: string }).code ?? String(error)}`)
  }
}
await pool.close()
say('done')

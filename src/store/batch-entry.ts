import type { Digests } from '../domain/digest.ts'
import { invariant } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import type { StoredSmall } from '../intake-port.ts'
import { isErrno } from '../lib/fs-durable.ts'
import type { BatchIo } from './batch-io.ts'
import type { Layout } from './layout.ts'
import { storeError } from './store-error.ts'

/** One content of a batch, and the key it is asked for under. */
export interface BatchItem {
  readonly key: ContentKey
  readonly bytes: Uint8Array
}

/** What became of an item: stored, set aside as what its key does not promise, or failed and gone. */
export type BatchResult = StoredSmall | Error

/** One content on its way to a name. */
export interface Entry {
  readonly item: BatchItem
  readonly io: BatchIo
  readonly partial: string
  fd: number | undefined
  digests: Digests | undefined
  blob: string
  /** It got its name from us, just now. */
  isLinked: boolean
  result: BatchResult | undefined
}

/** Runs a step for what has not failed; whatever it throws is the end of that one. */
export async function forPending(
  layout: Layout,
  entries: readonly Entry[],
  step: (entry: Entry) => Promise<void>,
): Promise<void> {
  const pending = entries.filter((entry) => entry.result === undefined)
  await Promise.all(pending.map((entry) => orFail(layout, entry, step)))
}

/** A step of one content, whose failure is its end. */
export function orFail(layout: Layout, entry: Entry, step: (entry: Entry) => Promise<void>): Promise<void> {
  return step(entry).catch((error: unknown) => fail(layout, entry, error))
}

/** Nothing of a file that failed may be used: after a failed fsync the cache may show bytes that the disk does not have. */
export async function fail(layout: Layout, entry: Entry, error: unknown): Promise<void> {
  const { io, partial, fd } = entry
  entry.result = await storeError(layout, (isErrno(error) ? error.path : undefined) ?? partial, error)
  if (fd !== undefined) {
    try {
      io.close(fd)
    } catch {
      // The first failure is the one to tell.
    }
  }
  await io.unlink(partial).catch(() => undefined)
}

/** Digests of what was proven. */
export function digestsOf(entry: Entry): Digests {
  invariant(entry.digests !== undefined, 'what is published was proven')
  return entry.digests
}

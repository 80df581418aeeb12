import type { Mutant } from './mutant.ts'

const BATCH = 'tests/store/commit-batch.test.ts'

/** The guards of small files, which become durable in batches: I1 to I3, I9 and I10. */
export const SMALL_MUTANTS: readonly Mutant[] = [
  {
    invariant: 'I1',
    guard: 'a small file is hashed as it is in the file',
    file: 'src/store/prove-content.ts',
    find: "hash('sha256', readBack.subarray(PREFIX_BYTES, end), 'hex')",
    replace: "hash('sha256', readBack.subarray(PREFIX_BYTES, PREFIX_BYTES + 1), 'hex')",
    test: BATCH,
  },
  {
    invariant: 'I2',
    guard: 'fsync of a small file before the name',
    file: 'src/store/prove-content.ts',
    find: '  await io.fsync(fd)\n  const digests',
    replace: '  const digests',
    test: BATCH,
  },
  {
    invariant: 'I2',
    guard: 'fsync of the folder after the links of a batch',
    file: 'src/store/name-contents.ts',
    find: 'await syncFolders(layout, entries)',
    replace: '',
    test: BATCH,
  },
  {
    invariant: 'I2',
    guard: 'batches give names one after another',
    file: 'src/store/turns-together.ts',
    find: 'if (this.#isBusy || this.#asked.length === 0) return',
    replace: 'if (this.#asked.length === 0) return',
    test: BATCH,
  },
  {
    invariant: 'I3',
    guard: 'a small file whose fsync failed is dead',
    file: 'src/store/batch-entry.ts',
    find: 'step(entry).catch((error: unknown) => fail(layout, entry, error))',
    replace: 'step(entry).catch(() => undefined)',
    test: BATCH,
  },
  {
    invariant: 'I9',
    guard: 'a partial of a small file is a new file',
    file: 'src/store/prove-content.ts',
    find: 'O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR',
    replace: 'O_CREAT | O_NOFOLLOW | O_RDWR',
    test: BATCH,
  },
  {
    invariant: 'I10',
    guard: 'a small blob is read-only',
    file: 'src/store/prove-content.ts',
    find: 'return await io.open(path, flags, 0o440)',
    replace: 'return await io.open(path, flags, 0o640)',
    test: BATCH,
  },
  {
    invariant: 'I10',
    guard: 'what has the name of a small blob is looked at',
    file: 'src/store/name-contents.ts',
    find: '  await assertSameBytes(layout, entry)',
    replace: '',
    test: BATCH,
  },
  {
    invariant: 'I1',
    guard: 'what has the name of a small blob is read before it counts as the blob',
    file: 'src/store/name-contents.ts',
    find: 'if (readDigests(io, fd).sha256 !== digests.sha256) throw',
    replace: 'if (false) throw',
    test: BATCH,
  },
]

import type { Mutant } from './mutant.ts'

const RANGES = 'tests/store/partial-ranges.test.ts'
const STORE = 'tests/store/blob-store.test.ts'

/** The guards of large files in blocks of shared memory. */
export const BLOCK_MUTANTS: readonly Mutant[] = [
  {
    invariant: 'I1',
    guard: 'memory is used again only when its write has ended',
    file: 'src/store/block-hasher.ts',
    find: "if (!resident.isWritten || resident.hash !== 'done') return",
    replace: "if (resident.hash !== 'done') return",
    test: RANGES,
  },
  {
    invariant: 'I1',
    guard: 'memory is used again only when it is hashed',
    file: 'src/store/block-hasher.ts',
    find: "if (!resident.isWritten || resident.hash !== 'done') return",
    replace: 'if (!resident.isWritten) return',
    test: RANGES,
  },
  {
    invariant: 'I8',
    guard: 'bytes that changed on disk are found when the digest is wrong',
    file: 'src/store/partial-file.ts',
    find: 'if (!isContentOf(this.#key, digests)) await this.#forgetDamage(signal)',
    replace: '',
    test: STORE,
  },
]

import type { Mutant } from './mutant.ts'

const RANGES = 'tests/store/partial-ranges.test.ts'
const STORE = 'tests/store/blob-store.test.ts'
const LOOK = 'tests/store/second-look.test.ts'
const PASS = 'tests/pipeline/look-again.test.ts'

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
  {
    invariant: 'I8',
    guard: 'bytes that came wrongly are compared with a second copy',
    file: 'src/pipeline/download-blob.ts',
    find: 'return { ...(await lookAgain(transfer, partial, digests, prove, signal)), source }',
    replace: 'return { digests, source }',
    test: PASS,
  },
  {
    invariant: 'I8',
    guard: 'wrong bytes that are known are not compared again',
    file: 'src/pipeline/look-again.ts',
    find: 'if (await deps.blobs.isQuarantined(job.key, wrong)) {',
    replace: 'if (false) {',
    test: PASS,
  },
  {
    invariant: 'I8',
    guard: 'a block is replaced only by what came twice',
    file: 'src/domain/second-look.ts',
    find: "if (seen.includes(now)) return 'replace'",
    replace: "if (seen.length > 0) return 'replace'",
    test: 'tests/domain/second-look.test.ts',
  },
  {
    invariant: 'I8',
    guard: 'a block is asked for again a few times only',
    file: 'src/domain/second-look.ts',
    find: "return seen.length + 1 < MAX_ASKS ? 'ask-again' : 'undecided'",
    replace: "return 'ask-again'",
    test: LOOK,
  },
  {
    invariant: 'I8',
    guard: 'what is replaced is the block that differed, as it came twice',
    file: 'src/store/second-look.ts',
    find: "if (verdict === 'confirmed' || (verdict === 'replace' && hasRoom)) this.#blocks.hold(index, crc)",
    replace: "if (verdict !== 'undecided') this.#blocks.hold(index, crc)",
    test: LOOK,
  },
  {
    invariant: 'I8',
    guard: 'a look that was stopped goes on where it was',
    file: 'src/store/second-look.ts',
    find: "if (verdict === 'confirmed') this.#note(index)",
    replace: '',
    test: LOOK,
  },
  {
    invariant: 'I8',
    guard: 'what came twice from one place does not count for another',
    file: 'src/pipeline/look-again.ts',
    find: 'partial.lookAgain(isOnlyPlace)',
    replace: 'partial.lookAgain(true)',
    test: PASS,
  },
  {
    invariant: 'I8',
    guard: 'a block counts as confirmed only where the same line is there twice',
    file: 'src/store/piece-journal.ts',
    find: 'isConfirmed: earlier?.length === length && earlier.crc === crc',
    replace: 'isConfirmed: earlier?.length === length',
    test: LOOK,
  },
  {
    invariant: 'I1',
    guard: 'the memory of a block that was begun in a look is used again',
    file: 'src/store/second-look.ts',
    find: 'if (begun !== undefined) this.#options.memory.giveBack(begun.block)',
    replace: '',
    test: LOOK,
  },
  {
    invariant: 'I1',
    guard: 'what was found of a file counts no more once a block is replaced',
    file: 'src/store/partial-file.ts',
    find: 'await this.#writer.seal()\n      this.#observer.changing()',
    replace: 'await this.#writer.seal()',
    test: LOOK,
  },
  {
    invariant: 'I9',
    guard: 'a file that another process took over is not taken back to replace a block',
    file: 'src/store/partial-file.ts',
    find: 'await this.#writer.seal()\n      this.#observer.changing()',
    replace: 'this.#observer.changing()',
    test: LOOK,
  },
]

/** One guard taken away, and the test that must notice. */
export interface Mutant {
  /** Of the design's list: I1 to I10 are about bytes. */
  readonly invariant: string
  /** What is taken away, in a few words. */
  readonly guard: string
  readonly file: string
  /** Is in the file exactly once. */
  readonly find: string
  readonly replace: string
  /** A fast test file that fails without the guard. */
  readonly test: string
}

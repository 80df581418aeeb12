/** One guard taken away, and the test that must notice. */
export interface Mutant {
  /** I1 to I10 are about bytes, I37 to I40 about connections; other numbers have no mutants yet. */
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

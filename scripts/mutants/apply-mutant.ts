import type { Mutant } from './mutant.ts'

/**
 * The text of a file without one of its guards.
 * @throws Error when the guard's text is not in the file exactly once: then the table is out of date
 */
export function applyMutant(text: string, { file, find, replace, guard }: Mutant): string {
  const found = text.split(find).length - 1
  if (found !== 1) throw new Error(`${file} has the text of "${guard}" ${found} times instead of once: ${find}`)
  return text.replace(find, () => replace)
}

// A decision's sentence is shared by many files, except where it names the file. With a placeholder for the path it is
// stored once for all of them, and a file row stays a number longer, not a sentence.

/** Stands for the path; a control character that no sentence needs. */
const PATH_MARK = '\u001a'
const WITH_PATH = '~'
const AS_IS = '='

/** The form in which a sentence about `path` is stored. */
export function packDetail(detail: string, path: string): string {
  const text = detail.toWellFormed()
  const canMark = path !== '' && detail.includes(path) && !detail.includes(PATH_MARK)
  return canMark ? WITH_PATH + detail.split(path).join(PATH_MARK).toWellFormed() : AS_IS + text
}

/** The sentence again. */
export function unpackDetail(stored: string, path: string): string {
  const text = stored.slice(1)
  return stored.startsWith(WITH_PATH) ? text.split(PATH_MARK).join(path) : text
}

/**
 * The rule that many files of one reason share, in a sentence. Each file's own sentence may name its own format or
 * quantisation, which is not that of the others.
 * @param isMixed whether the sentences differ
 */
export function groupDetail(reason: string, detail: string, isMixed: boolean): string {
  if (!isMixed) return detail
  const at = detail.indexOf(' is not in keep.')
  if (at >= 0 && reason === 'quant-not-wanted') return `their quantisation${detail.slice(at)}`
  if (at >= 0 && reason === 'format-not-wanted') return `their format${detail.slice(at)}`
  return `${detail}; and others`
}

/** What each exit code means; a code never gets another meaning. The order is that of the help. */
const EXIT_STATUS: ReadonlyMap<number, string> = new Map([
  [0, 'it worked'],
  [1, 'an error, or the repository is unknown'],
  [2, 'wrong usage'],
  [3, 'bad configuration or credentials'],
  [6, 'corrupt or missing data found'],
  [8, 'some transfers failed, or the Hub is unreachable'],
  [9, 'refused by a guard: wrong disk, reserve, permissions, a second process'],
  [10, 'stopped by the budget'],
  [20, 'changes found (--check)'],
  [78, 'this Node.js is too old'],
  [130, 'interrupted'],
])

/** The help's last block: the exit codes a command can end with. */
export function exitStatusText(codes: readonly number[]): string {
  const shown = [...new Set([0, 1, 2, ...codes])].sort((a, b) => a - b)
  const lines = shown.map((code) => `  ${String(code).padStart(3)}  ${EXIT_STATUS.get(code) ?? ''}`)
  return ['Exit status:', ...lines].join('\n')
}

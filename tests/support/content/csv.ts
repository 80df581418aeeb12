/**
 * Rows of a CSV text (RFC 4180: commas, double quotes, `""` inside quotes) as maps from the first line's names.
 * @throws Error with the line's number when a row has another number of cells than the first line
 */
export function parseCsv(text: string): Map<string, string>[] {
  const [names = [], ...rows] = cells(text)
  return rows.map((row, index) => {
    if (row.length !== names.length) throw new Error(`row ${index + 2} has ${row.length} cells, not ${names.length}`)
    return new Map(names.map((name, column) => [name, row[column] ?? '']))
  })
}

function cells(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  // Each match is one cell and what ended it: a comma, a line end or the end of the text.
  for (const [all, quotedCell, plainCell, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    if (all === '' && row.length === 0) break
    row.push(quotedCell === undefined ? (plainCell ?? '') : quotedCell.replaceAll('""', '"'))
    if (end === ',') continue
    rows.push(row)
    row = []
  }
  return rows
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCsv } from '../support/content/csv.ts'

test('parseCsv refuses a row with a missing or an extra cell, naming it', () => {
  assert.throws(() => parseCsv('a,b\n1,2\n3\n'), /row 3 has 1 cells, not 2/)
  assert.throws(() => parseCsv('a,b\n1,2,3\n'), /row 2 has 3 cells, not 2/)
})

test('parseCsv reads quotes, commas, line ends in cells, empty cells and CRLF', () => {
  const rows = parseCsv('a,b,c\r\n"x, ""y""",,"two\nlines"\r\n,,\r\n1,2,3')

  assert.deepEqual(
    rows.map((row) => [...row.values()]),
    [
      ['x, "y"', '', 'two\nlines'],
      ['', '', ''],
      ['1', '2', '3'],
    ],
  )
})

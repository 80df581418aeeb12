import assert from 'node:assert/strict'
import { test } from 'node:test'
import { displayWidth, shorten } from '../../src/cli/display-width.ts'
import { layoutTable, renderRow, renderTable, type Column } from '../../src/cli/table.ts'

const HOSTILE = [
  'evil\u001b[2J\u001b]0;owned\u0007.bin',
  'line\nbreak\r\n.txt',
  'gpj.\u202eexe\u202c',
  'c1\u009b31m',
  'zero\u0000byte',
  'separator\u2028\u2029.md',
  '\ud800lone',
  'x'.repeat(100_000),
  '模型'.repeat(500),
  'e\u0301'.repeat(500),
]
const plain = (text: string): string => text

interface Row {
  readonly name: string
  readonly size: string
}
const COLUMNS: Column<Row>[] = [
  { header: 'NAME', text: (row) => row.name, minWidth: 12, shorten: 'middle' },
  { header: 'SIZE', align: 'right', text: (row) => row.size },
  { header: 'NOTE', text: () => 'a note', dropRank: 2 },
  { header: 'WIDE NOTE', text: () => 'w'.repeat(30), dropRank: 1 },
]

test('renderTable lets no control character of a hostile name through, and keeps one line a row', () => {
  for (const name of HOSTILE) {
    const text = renderTable(COLUMNS, [{ name, size: '1 B' }], 80, plain)

    assert.equal(text.split('\n').length, 2, JSON.stringify(name.slice(0, 20)))
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/)
  }
})

test('renderTable never gets wider than the terminal, whatever the names are', () => {
  const rows = HOSTILE.map((name) => ({ name, size: '1.23 GB' }))
  for (const width of [40, 80, 160]) {
    for (const line of renderTable(COLUMNS, rows, width, plain).split('\n')) {
      assert.ok(displayWidth(line) <= width, `${displayWidth(line)} > ${width}: ${line.slice(0, 60)}`)
    }
  }
})

test('renderTable bounds a cell when the output is piped', () => {
  const text = renderTable(COLUMNS, [{ name: 'x'.repeat(1_000_000), size: '1 B' }], Infinity, plain)

  assert.ok(text.length < 1000)
})

test('layoutTable drops the least important column first, and takes back what fits after all', () => {
  const rows = [{ name: 'short', size: '1 B' }]

  const headers = (width: number): string[] =>
    layoutTable(COLUMNS, rows, width).columns.map(({ column }) => column.header)

  assert.deepEqual(headers(80), ['NAME', 'SIZE', 'NOTE', 'WIDE NOTE'])
  assert.deepEqual(headers(30), ['NAME', 'SIZE', 'NOTE'])
  assert.deepEqual(headers(14), ['NAME', 'SIZE'])
  assert.deepEqual(headers(1), ['NAME', 'SIZE'])
})

test('renderRow aligns numbers right and leaves no blanks at the end of a line', () => {
  const columns: Column<Row>[] = [COLUMNS[1]!, { header: 'NAME', text: (row) => row.name }]
  const rows = [
    { name: 'a', size: '9 B' },
    { name: 'bbb', size: '123 GB' },
  ]
  const layout = layoutTable(columns, rows, 80)

  assert.equal(renderRow(layout, rows[0]!), '   9 B  a')
  assert.equal(renderRow(layout, rows[1]!), '123 GB  bbb')
})

test('renderRow paints a cell without counting the colour as width', () => {
  const columns: Column<Row>[] = [
    { header: 'NAME', text: (row) => row.name, paint: () => (text) => `\u001b[31m${text}\u001b[39m` },
    { header: 'SIZE', text: (row) => row.size },
  ]
  const row = { name: 'ab', size: '1 B' }

  assert.equal(renderRow(layoutTable(columns, [row], 80), row), '\u001b[31mab\u001b[39m    1 B')
})

test('displayWidth counts wide characters twice and combining ones not at all', () => {
  assert.equal(displayWidth('abc'), 3)
  assert.equal(displayWidth('模型'), 4)
  assert.equal(displayWidth('e\u0301'), 1)
  assert.equal(displayWidth('🚀'), 2)
  assert.equal(displayWidth(''), 0)
})

test('shorten keeps both ends of a name and never cuts a wide character in half', () => {
  assert.equal(shorten('model-00001-of-00026.safetensors', 15, 'middle'), 'model-0…tensors')
  assert.equal(shorten('model-00001-of-00026.safetensors', 15, 'start'), '…26.safetensors')
  assert.equal(shorten('abcdef', 4, 'end'), 'abc…')
  assert.equal(shorten('abc', 3, 'end'), 'abc')
  assert.equal(shorten('abc', 0, 'middle'), '')
  assert.ok(displayWidth(shorten('模型模型模型', 5, 'middle')) <= 5)
})

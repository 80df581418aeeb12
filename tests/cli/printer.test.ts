import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonObject } from '../../src/cli/json-pieces.ts'
import { outcome, type Screen } from '../../src/cli/command.ts'
import { createPalette } from '../../src/cli/palette.ts'
import { errorJson, errorText, printOutcome, reportOf } from '../../src/cli/printer.ts'
import { ArchiveError } from '../../src/domain/errors.ts'

const screen: Screen = { columns: 80, palette: createPalette(false), nowMs: 0 }

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

async function* counting(count: number): AsyncIterable<unknown> {
  for (let at = 0; at < count; at += 1) yield { at }
}

test('printOutcome with JSON sends no control character, and loses none', async () => {
  const name = 'a\u001b[31m\u007f\u009b\u202e\u2028\ufeff\ud800'
  const pieces: string[] = []

  await printOutcome(
    outcome({ name }, () => ''),
    { write: async (text) => void pieces.push(text) },
    screen,
    true,
  )

  const text = pieces.join('')
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\ufeff]/)
  assert.equal((JSON.parse(text) as { name: string }).name, name)
})

test('jsonObject makes one document of arrays that are never held whole', async () => {
  const pieces: string[] = []
  const arrays = [
    { key: 'take', elements: counting(10_000) },
    { key: 'skip', elements: counting(0) },
  ]
  for await (const piece of jsonObject({ a: 1, gone: undefined }, arrays, () => ({ z: true }))) pieces.push(piece)

  const parsed = JSON.parse(pieces.join('')) as Record<string, unknown[]>
  assert.deepEqual(Object.keys(parsed), ['a', 'take', 'skip', 'z'])
  assert.equal(parsed['take']!.length, 10_000)
  assert.deepEqual(parsed['skip'], [])
  assert.ok(pieces.length > 5 && pieces.every((piece) => piece.length < 64_000))
})

test('jsonObject without arrays and fields is an empty object', async () => {
  assert.deepEqual(JSON.parse(await joined(jsonObject({}, []))), {})
})

test('reportOf calls a bug a bug, in one line, and says what to do', () => {
  const report = reportOf(new TypeError('x is not a function\n  at secret/path'))

  assert.deepEqual({ ...report, hint: '' }, { code: 'INTERNAL', message: 'x is not a function', hint: '', exitCode: 1 })
  assert.match(report.hint ?? '', /bug/)
})

test('reportOf gives an abort the code of an interruption', () => {
  const abort = new DOMException('This operation was aborted', 'AbortError')

  assert.equal(reportOf(abort).exitCode, 130)
})

test('an error is two or three lines that no upstream text can extend', () => {
  const error = new ArchiveError('REPO_UNKNOWN', 'evil\u001b[2J\u202ename', { hint: 'do\u0007this' })
  const report = reportOf(error)

  assert.equal(
    errorText(report, createPalette(false)),
    'error: evil\\u{1b}[2J\\u{202e}name\nhint: do\\u{7}this\ncode: REPO_UNKNOWN (docs/errors.md#repo_unknown)\n',
  )
  assert.deepEqual(JSON.parse(errorJson(report)), {
    error: { code: 'REPO_UNKNOWN', message: error.message, hint: error.hint },
  })
})

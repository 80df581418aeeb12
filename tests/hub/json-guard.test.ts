import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readJson } from '../../src/hub/json-guard.ts'

const read = (text: string) => readJson(Buffer.from(text))

test('readJson refuses depth before it costs anything', () => {
  assert.equal(read('['.repeat(5_000_000)).kind, 'refused')
  assert.equal(read(`${'{"a":'.repeat(201)}1${'}'.repeat(201)}`).kind, 'refused')
  assert.equal(read(`${'['.repeat(200)}1${']'.repeat(200)}`).kind, 'value')
})

test('readJson refuses a text that would become millions of objects', () => {
  assert.equal(read(`[${'{},'.repeat(1_000_001)}{}]`).kind, 'refused')
  assert.equal(read(`[${'0,'.repeat(8_000_001)}0]`).kind, 'refused')
})

test('readJson is not misled by brackets and quotes in texts', () => {
  const value = { a: '[[[[{{{{"\\', b: ['\\"', '"]'], c: '['.repeat(1000) }

  assert.deepEqual(read(JSON.stringify(value)), { kind: 'value', value })
})

test('readJson tells a web page from broken JSON', () => {
  assert.match(JSON.stringify(read('<!DOCTYPE html><title>Sign in</title>')), /web page/)
  assert.match(JSON.stringify(read('[{"id":')), /not JSON/)
  assert.match(JSON.stringify(read('')), /not JSON/)
})

test('readJson turns invalid UTF-8 into U+FFFD and keeps lone surrogates apart', () => {
  const invalid = readJson(Buffer.from([0x22, 0xff, 0xfe, 0x2e, 0x62, 0x22]))

  assert.deepEqual(invalid, { kind: 'value', value: '\ufffd\ufffd.b' })
  assert.deepEqual(read('["\\ud800.bin","\\ud801.bin"]'), { kind: 'value', value: ['\ud800.bin', '\ud801.bin'] })
})

test('readJson reads every JSON value as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.deepEqual(read(text), { kind: 'value', value: JSON.parse(text) as unknown })
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { encodePath, endpointTarget, isEndpoint, readEndpoint, readInfoPath } from '../../src/hub/endpoint.ts'
import { readTarget, type Target } from '../../src/hub/url-target.ts'

function target(text: string): Target {
  const reading = readTarget(text, undefined)
  if (reading.kind === 'refused') throw new Error(reading.reason)
  return reading.target
}

test('readEndpoint refuses what is no address of a Hub', () => {
  for (const text of ['', 'huggingface.co', 'ftp://hub.test', 'https://u:p@hub.test', 'https://hub.test/?x=1']) {
    assert.throws(() => readEndpoint(text), { code: 'CONFIG_INVALID' }, text)
  }
})

test('readEndpoint never repeats credentials in its error', () => {
  assert.throws(
    () => readEndpoint('https://me:hf_secret@hub.test'),
    (error: Error) => !error.message.includes('hf_secret'),
  )
})

test('readEndpoint drops slashes at the end and keeps a path', () => {
  assert.equal(readEndpoint('https://hub.test/').text, 'https://hub.test')
  assert.equal(readEndpoint('https://hub.test/hf//').text, 'https://hub.test/hf')
  assert.equal(endpointTarget(readEndpoint('https://hub.test/hf'), '/api/models').path, '/hf/api/models')
})

test('isEndpoint compares scheme, host and port exactly', () => {
  const endpoint = readEndpoint('https://hub.test')

  for (const url of ['http://hub.test/', 'https://hub.test:444/', 'https://hub.test.evil/', 'https://a.hub.test/']) {
    assert.equal(isEndpoint(endpoint, target(url)), false, url)
  }
  assert.equal(isEndpoint(endpoint, target('https://HUB.test:443/x')), true)
})

test('readInfoPath reads addresses of repositories and no others', () => {
  const endpoint = readEndpoint('https://hub.test/hf')
  const read = (path: string) => readInfoPath(endpoint, target(`https://hub.test${path}`))

  assert.deepEqual(read('/hf/api/models/Qwen/A?expand=sha'), { type: 'model', name: 'Qwen/A', rest: '?expand=sha' })
  assert.deepEqual(read('/hf/api/datasets/Qwen/A/tree/x'), { type: 'dataset', name: 'Qwen/A', rest: '/tree/x' })
  for (const path of [
    '/api/models/Qwen/A',
    '/hfx/api/models/Qwen/A',
    '/hf/api/kernels/Qwen/A',
    '/hf/api/models/A',
    '/hf',
  ]) {
    assert.equal(read(path), undefined, path)
  }
})

test('encodePath keeps every byte of a hostile name', () => {
  const names: [string, string][] = [
    ['a/../b', 'a/%2E%2E/b'],
    ['./a', '%2E/a'],
    ['..', '%2E%2E'],
    ['...', '...'],
    ['//srv/x', '//srv/x'],
    ['a b#c?d%e+f', 'a%20b%23c%3Fd%25e%2Bf'],
    ['C:\\Windows', 'C%3A%5CWindows'],
    ['a\u0000b\n', 'a%00b%0A'],
    ['caf\u00e9', 'caf%C3%A9'],
    ['\ud83d\ude00', '%F0%9F%98%80'],
    ['\ud800.bin', '%ED%A0%80.bin'],
    ['\ud801.bin', '%ED%A0%81.bin'],
    ['\ufffd', '%EF%BF%BD'],
  ]

  for (const [name, encoded] of names) assert.equal(encodePath(name), encoded)
})

test('encodePath gives different names different paths, all of them valid', () => {
  const name = fc.string({ unit: 'binary', maxLength: 40 })
  fc.assert(
    fc.property(name, name, (one, other) => {
      assert.equal(encodePath(one) === encodePath(other), one === other)
      assert.match(encodePath(one), /^[A-Za-z0-9._~%/-]*$/)
      if (one.isWellFormed()) assert.equal(decodeURIComponent(encodePath(one)), one)
    }),
  )
})

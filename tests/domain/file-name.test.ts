import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  displayName,
  escapedName,
  isPortableName,
  judgeName,
  pathsBothFileAndFolder,
} from '../../src/domain/file-name.ts'
import { processorMs } from '../support/processor-time.ts'

/** Asserts the verdict of every name; the id is the row of the catalogue of hostile names the input comes from. */
function assertVerdict(
  kind: ReturnType<typeof judgeName>['kind'],
  names: readonly (readonly [string, string])[],
): void {
  for (const [id, name] of names) {
    const verdict = judgeName(name)
    assert.equal(verdict.kind, kind, `${id}: ${JSON.stringify(name).slice(0, 80)}`)
    if (verdict.kind !== 'plain') assert.ok(verdict.reason.length > 5, `${id} says why`)
    assert.equal(isPortableName(name), kind === 'plain', id)
  }
}

test('judgeName refuses what is no path', () => {
  assertVerdict('refuse', [
    ['N15', ''],
    ['N16', '.'],
    ['N17', '..'],
    ['N18', 'a//b'],
    ['N19', 'a/./b'],
    ['N20', 'a/'],
    ['N21', './a'],
    ['kin', '/'],
    ['kin', '//'],
    ['kin', 'a/.'],
    ['kin', '../'],
    ['kin', 'a///b'],
  ])
})

test('judgeName never lets a climbing, absolute, drive or UNC name become a file', () => {
  assertVerdict('keep-only', [
    ['N1', '../../../etc/passwd'],
    ['N2', 'folder/../../x'],
    ['N3', '..\\..\\Windows\\evil'],
    ['N4', 'a/..\\..\\b'],
    ['N5', '/etc/cron.d/x'],
    ['N6', '//srv/x'],
    ['N7', 'C:\\Windows\\evil'],
    ['N8', 'D:rel\\evil'],
    ['N9', '\\\\host\\share\\x'],
    ['N10', '\\evil'],
    ['N11', 'folder/C:\\evil'],
    ['N12', 'folder/\\\\host\\s\\x'],
    ['N13', '\\\\?\\C:\\x'],
    ['N14', '//?/UNC/h/s'],
    ['kin', 'C:/Windows/evil'],
    ['kin', 'z:evil'],
    ['kin', 'folder/c:'],
    ['kin', 'a/..'],
    ['kin', '/'.padEnd(10, 'x')],
    ['kin', 'a\\b'],
    ['kin', '.git/config'],
    ['kin', 'a/.GIT/hooks/post-checkout'],
    ['kin', '.g\u200cit/config'],
    ['kin', '.gi\ufefft'],
  ])
})

test('judgeName keeps names that are no Unicode text apart and off the disk', () => {
  assertVerdict('keep-only', [
    ['N23', 'a\u0000b'],
    ['N24', 'a\u0000.safetensors'],
    ['N25', '\u0000'],
    ['N26', '\ud800.bin'],
    ['N26', '\ud801.bin'],
    ['N27', 'a\udfffb'],
    ['N28', Buffer.from([0xff, 0xfe, 0x2e, 0x62]).toString()],
  ])
  // As JSON they stay two, where UTF-8 would make both the same.
  assert.notEqual(JSON.stringify('\ud800.bin'), JSON.stringify('\ud801.bin'))
  assert.equal(Buffer.from('\ud800.bin').toString(), Buffer.from('\ud801.bin').toString())
  assert.notEqual(displayName('\ud800.bin'), displayName('\ud801.bin'))
})

test('judgeName bounds length and depth by bytes, not characters', () => {
  const path4096 = Array.from({ length: 17 }, () => 'x'.repeat(240)).join('/')
  assert.equal(Buffer.byteLength(path4096), 4096)
  assertVerdict('plain', [
    ['N32', path4096],
    ['N29', 'x'.repeat(255)],
    ['kin', `${'é'.repeat(127)}x`],
    ['kin', Array.from({ length: 16 }, () => 'x'.repeat(255)).join('/')],
    ['kin', Array.from({ length: 100 }, () => 'd').join('/')],
  ])
  assertVerdict('keep-only', [
    ['N30', 'x'.repeat(256)],
    ['N31', 'é'.repeat(128)],
    ['kin', '😀'.repeat(64)],
    ['N32', `${path4096}x`],
    ['N33', Array.from({ length: 300 }, () => 'd').join('/')],
    ['kin', Array.from({ length: 101 }, () => 'd').join('/')],
  ])
})

test('judgeName escapes what Windows, a terminal or a page would take for something else', () => {
  assertVerdict('escape', [
    ['N39', 'CON'],
    ['N40', 'prn.txt'],
    ['N41', 'aux.h/x'],
    ['N42', 'NUL.safetensors'],
    ['N43', 'COM1'],
    ['N44', 'COM\u00b9'],
    ['N45', 'CONIN$'],
    ['N46', 'LPT9.bin'],
    ['N47', 'a.txt:evil'],
    ['N48', 'a::$DATA'],
    ['N49', 'file.'],
    ['N50', 'file '],
    ['N51', 'PROGRA~1'],
    ['kin', 'nul .txt'],
    ['kin', 'folder/conout$'],
    ['kin', 'folder./x'],
    ['kin', 'GIT~1/config'],
    ['kin', 'a?b'],
    ['kin', '<script>'],
    ['kin', 'a|b'],
    ['kin', '*'],
    ['kin', 'a\u001b]0;owned\u0007'],
    ['kin', 'a\nb'],
    ['kin', 'a\rb'],
    ['kin', '\u009b31m'],
    ['kin', 'model\u202egnp.exe'],
    ['kin', 'a\u2066b'],
    ['kin', 'a\u061cb'],
    ['kin', 'a\u200bb'],
    ['kin', '\ufeffREADME.md'],
    ['kin', 'a\u{e0041}b'],
  ])
})

test('judgeName takes the names of real and of merely unusual files as they are', () => {
  assertVerdict('plain', [
    ['N35', 'README.md'],
    ['N35', 'readme.md'],
    ['N36', 'caf\u00e9'],
    ['N36', 'cafe\u0301'],
    ['N37', 'straße'],
    ['N38', '\u212aey'],
    ['kin', '.gitattributes'],
    ['kin', '.github/workflows/x.yml'],
    ['kin', 'model.safetensors-00001-of-00094.safetensors'],
    ['kin', 'text_encoder/model-00001-of-00004.safetensors'],
    ['kin', 'a b/c d.txt'],
    ['kin', ' leading'],
    ['kin', '-rf'],
    ['kin', '__proto__'],
    ['kin', 'constructor/prototype'],
    ['kin', '$(touch x)'],
    ['kin', 'a..b'],
    ['kin', '...x'],
    ['kin', 'console.txt'],
    ['kin', 'nullable'],
    ['kin', 'com10'],
    ['kin', '模型/权重.safetensors'],
    ['kin', '👩‍🔬.txt'],
  ])
})

test('judgeName lets no name pass as plain that could leave its folder', () => {
  const nasty = fc.constantFrom('..', '.', '/', '\\', 'C:', '\0', 'a', ' ', '\u202e', '\ud800', '~1', 'CON', '.git', '')
  fc.assert(
    fc.property(fc.array(fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 4 })), { maxLength: 12 }), (parts) => {
      const path = parts.join('')
      if (judgeName(path).kind !== 'plain') return
      const components = path.split('/')
      assert.ok(!path.startsWith('/') && path !== '' && !/[\0\\]/.test(path), path)
      assert.ok(
        components.every((part) => !['', '.', '..', '.git'].includes(part)),
        path,
      )
      assert.equal(Buffer.from(path).toString(), path)
      assert.equal(displayName(path), path)
    }),
    { numRuns: 1000 },
  )
})

test('judgeName and displayName take time in proportion to a name', () => {
  for (const piece of ['a/', '../', 'x', '\u202e', '\ud800', 'CON', ' ', '~', ':', '.git/', '\u200c', 'é', '\\', '.']) {
    const path = piece.repeat(1_000_000 / piece.length)

    const ms = processorMs(() => [judgeName(`x${path}`), displayName(path)])

    // Quadratic work on a megabyte would take minutes.
    assert.ok(ms < 10_000, `${JSON.stringify(piece)}: ${ms} ms`)
    assert.notEqual(judgeName(`${path.slice(0, 4096)}x`).kind, 'plain', JSON.stringify(piece))
  }
})

test('displayName shows nothing that moves the cursor or turns the text round', () => {
  assert.equal(displayName('a\u001b[31mb'), 'a\\u{1b}[31mb')
  assert.equal(displayName('x\u202egnp'), 'x\\u{202e}gnp')
  assert.equal(displayName('\ud800'), '\\u{d800}')
  assert.equal(displayName('\r\n\t'), '\\u{d}\\u{a}\\u{9}')
  assert.equal(displayName('Qwen3.5 模型 👩‍🔬'), 'Qwen3.5 模型 👩‍🔬')
})

test('pathsBothFileAndFolder names a file that is a folder at once and everything below it', () => {
  assert.deepEqual([...pathsBothFileAndFolder(['a', 'a/b', 'a/c/d', 'ab', 'b/a'])].sort(), ['a', 'a/b', 'a/c/d'])
  assert.deepEqual([...pathsBothFileAndFolder(['a/b', 'a/c', 'README.md'])], [])
  assert.deepEqual([...pathsBothFileAndFolder(['x/y', 'x/y/z'])].sort(), ['x/y', 'x/y/z'])
})

test('escapedName gives every escape path a portable name of its own', () => {
  const names = ['CON', 'aux.h/x', 'ab:c', 'file.', 'file ', 'PROGRA~1', 'a\u0007b', 'x\u202ey', 'a%3Ab:c', 'a%253Ab:c']
  const escaped = names.map((name) => escapedName(name))

  assert.equal(new Set(escaped).size, names.length)
  for (const [at, name] of names.entries()) {
    assert.equal(judgeName(name).kind, 'escape', name)
    assert.ok(isPortableName(escaped[at] ?? ''), `${name} as ${escaped[at]}`)
  }
  assert.equal(escapedName('ab:c'), 'ab%3Ac')
  assert.equal(escapedName(`${':'.repeat(254)}x`), undefined, 'too long to be escaped')
})

test('escapedName is injective and portable for any path that is escaped', () => {
  const path = fc.string({
    unit: fc.constantFrom('a', '%', ':', '.', ' ', '~', '1', '/', '\u0007', 'C', 'O', 'N', '3', 'A'),
  })
  fc.assert(
    fc.property(path, path, (first, second) => {
      const [one, two] = [escapedName(first), escapedName(second)]
      if (judgeName(first).kind !== 'escape' || one === undefined) return
      assert.ok(isPortableName(one))
      if (judgeName(second).kind === 'escape' && two !== undefined && first !== second) assert.notEqual(one, two)
    }),
    { numRuns: 3000 },
  )
})

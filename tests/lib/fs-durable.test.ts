import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ArchiveError } from '../../src/domain/errors.ts'
import {
  diskError,
  fileHolds,
  isErrno,
  linkOnce,
  makeDirectories,
  readRegularFile,
  replaceFileDurably,
  syncDirectory,
  writeAll,
  writeFileOnce,
} from '../../src/lib/fs-durable.ts'

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'wv-durable-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** An error as Node makes it; one it has no name for when `code` is undefined. */
function errnoError(code: string | undefined, errno: number): Error {
  return Object.assign(new Error('x'), { code: code ?? `Unknown system error ${errno}`, errno, syscall: 'write' })
}

test('diskError names the file and tells full, refused and failed disks apart', () => {
  const table: [Error, string][] = [
    [errnoError('ENOSPC', -28), 'DISK_FULL'],
    [errnoError('EFBIG', -27), 'DISK_FULL'],
    [errnoError(undefined, -122), 'DISK_FULL'],
    [errnoError('EROFS', -30), 'ARCHIVE_READ_ONLY'],
    [errnoError('EACCES', -13), 'ARCHIVE_READ_ONLY'],
    [errnoError('EPERM', -1), 'ARCHIVE_READ_ONLY'],
    [errnoError('EIO', -5), 'DISK_FAILED'],
    [errnoError('EMFILE', -24), 'DISK_FAILED'],
    [errnoError('ENFILE', -23), 'DISK_FAILED'],
    [errnoError('EXDEV', -18), 'DISK_FAILED'],
  ]

  for (const [cause, code] of table) {
    const error = diskError(cause, 'partial/x.part')
    assert.ok(error instanceof ArchiveError)
    assert.equal(error.code, code)
    assert.match(error.message, /^partial\/x\.part: .* in write\)$/)
    assert.ok(error.hint !== undefined && error.cause === cause)
  }
})

test('diskError leaves alone what is no operating system error', () => {
  const errors = [new ArchiveError('DISK_FULL', 'x'), new Error('bug'), new DOMException('stop', 'AbortError')]

  for (const error of errors) assert.equal(diskError(error, 'x'), error)
  assert.equal(isErrno(errors[0], 'DISK_FULL'), false)
})

test('writeAll goes on after short writes and gives up when nothing is taken', async () => {
  const taken: number[] = []
  const lengths = [3, 1, 4]
  const short = {
    write: async (_bytes: Uint8Array, offset: number, length: number, position: number) => {
      taken.push(offset, length, position)
      return { bytesWritten: lengths.shift() ?? 0 }
    },
  } as unknown as FileHandle

  await writeAll(short, Buffer.alloc(8), 100)

  assert.deepEqual(taken, [0, 8, 100, 3, 5, 103, 4, 4, 104])
  await assert.rejects(writeAll(short, Buffer.alloc(1), 0), { code: 'EIO' })
})

test('writeFileOnce never replaces a file, a link or a folder, and leaves no litter', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), 'first')
  symlinkSync('nowhere', join(folder, 'link'))
  mkdirSync(join(folder, 'folder'))

  for (const name of ['file', 'link', 'folder']) {
    assert.equal(await writeFileOnce(join(folder, name), Buffer.from('second')), 'exists')
  }

  assert.equal(readFileSync(join(folder, 'file'), 'utf8'), 'first')
  assert.ok(lstatSync(join(folder, 'link')).isSymbolicLink())
  assert.deepEqual(readdirSync(folder).sort(), ['file', 'folder', 'link'])
})

test('writeFileOnce makes a read-only file with every byte, and one of many writers wins', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'record')
  writeFileSync(join(folder, '.record.0123456789ab.tmp'), 'left by a kill')

  const outcomes = await Promise.all(
    Array.from({ length: 8 }, (_, index) => writeFileOnce(path, Buffer.alloc(100_000, String(index)))),
  )

  assert.equal(outcomes.filter((outcome) => outcome === 'written').length, 1)
  const winner = outcomes.indexOf('written')
  assert.deepEqual(readFileSync(path), Buffer.alloc(100_000, String(winner)))
  assert.equal(lstatSync(path).mode & 0o777, 0o440)
  assert.deepEqual(readdirSync(folder), ['record'])
})

test('writeFileOnce into a folder that is not there makes nothing', async (t) => {
  const folder = temporaryFolder(t)

  await assert.rejects(writeFileOnce(join(folder, 'missing', 'file'), Buffer.from('x')), { code: 'ENOENT' })

  assert.deepEqual(readdirSync(folder), [])
})

test('replaceFileDurably replaces a file, and a link instead of its target', async (t) => {
  const folder = temporaryFolder(t)
  const [path, target] = [join(folder, 'file'), join(folder, 'target')]
  writeFileSync(target, 'target')
  symlinkSync(target, path)

  await replaceFileDurably(path, Buffer.from('one'))
  await replaceFileDurably(path, Buffer.from('two'))

  assert.equal(readFileSync(path, 'utf8'), 'two')
  assert.equal(readFileSync(target, 'utf8'), 'target')
  assert.deepEqual(readdirSync(folder).sort(), ['file', 'target'])
})

test('makeDirectories refuses a link or a file as a level', async (t) => {
  const folder = temporaryFolder(t)
  symlinkSync('/', join(folder, 'link'))
  writeFileSync(join(folder, 'file'), '')

  for (const name of ['link', 'file']) {
    await assert.rejects(makeDirectories(folder, [name, 'below'], new Set()), { code: 'ENOTDIR' })
  }
})

test('makeDirectories makes what is missing, private, and remembers it', async (t) => {
  const folder = temporaryFolder(t)
  const known = new Set<string>()
  mkdirSync(join(folder, 'a'))

  assert.equal(await makeDirectories(folder, ['a', 'b', 'c'], known), join(folder, 'a', 'b', 'c'))

  assert.equal(lstatSync(join(folder, 'a', 'b', 'c')).mode & 0o777, 0o750)
  assert.deepEqual([...known], [join(folder, 'a'), join(folder, 'a', 'b'), join(folder, 'a', 'b', 'c')])
})

test('linkOnce says when the name is taken', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'one'), '1')
  writeFileSync(join(folder, 'two'), '2')

  assert.equal(await linkOnce(join(folder, 'one'), join(folder, 'two')), 'exists')
  assert.equal(await linkOnce(join(folder, 'one'), join(folder, 'three')), 'linked')

  assert.equal(readFileSync(join(folder, 'two'), 'utf8'), '2')
})

test('readRegularFile reads no link, pipe, folder or giant, and knows "none"', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), 'text')
  symlinkSync('file', join(folder, 'link'))
  mkdirSync(join(folder, 'folder'))
  execFileSync('mkfifo', [join(folder, 'pipe')])

  for (const name of ['link', 'folder', 'pipe']) {
    await assert.rejects(readRegularFile(join(folder, name), name, 100), { code: 'RECORD_INVALID' }, name)
  }
  await assert.rejects(readRegularFile(join(folder, 'file'), 'file', 3), { code: 'RECORD_INVALID' })

  assert.equal(String(await readRegularFile(join(folder, 'file'), 'file', 4)), 'text')
  assert.equal(await readRegularFile(join(folder, 'none'), 'none', 4), undefined)
})

test('syncDirectory tolerates a folder that cannot be synced, and no file', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), '')

  await syncDirectory(folder)
  await syncDirectory('/proc/self/fd')
  await assert.rejects(syncDirectory(join(folder, 'file')), { code: 'ENOTDIR' })
  await using handle = await open('/proc/self', 'r')
  await assert.rejects(handle.sync(), { code: 'EINVAL' }, 'the folder was one that cannot be synced')
})

test('fileHolds compares piece by piece: other, missing and further bytes are no match, and no link is followed', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'record')
  writeFileSync(path, 'one two')
  const pieces = (...texts: string[]): Uint8Array[] => texts.map((text) => Buffer.from(text))

  assert.equal(await fileHolds(path, 'record', pieces('one ', 'two')), true)
  assert.equal(await fileHolds(path, 'record', Buffer.from('one two')), true)
  for (const other of [pieces('one ', 'tow'), pieces('one ', 'two', '!'), pieces('one '), []]) {
    assert.equal(await fileHolds(path, 'record', other), false)
  }
  assert.equal(await fileHolds(join(folder, 'none'), 'none', []), false)
  symlinkSync(path, join(folder, 'link'))
  await assert.rejects(fileHolds(join(folder, 'link'), 'link', pieces('one two')), { code: 'RECORD_INVALID' })
})

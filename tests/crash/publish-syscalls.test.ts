import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { Layout } from '../../src/store/layout.ts'
import { openArchiveFolder } from '../../src/store/marker.ts'
import { digestsOf, keyOf } from '../contracts/blob-digests.ts'
import { assertNoWrongBlob, restartAndIngest } from './archive-check.ts'
import { contentOf, CRASH_PIECE_BYTES } from './contents.ts'
import { runTraced, whyNotTraced, type TracedRun } from './traced-child.ts'

const folder = mkdtempSync(join(tmpdir(), 'wv-trace-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const untraced = whyNotTraced()

/** 150,000 bytes: four pieces and a rest. */
const INDEX = 5
const CONTENT = contentOf(INDEX)
const { sha256 } = digestsOf(CONTENT)
const ACK = `ack ${sha256}`

const template = join(folder, 'template')
await openArchiveFolder(template, { create: true })
let archives = 0

function newArchive(): string {
  const root = join(folder, `archive-${archives++}`)
  cpSync(template, root, { recursive: true })
  return root
}

/** An unharmed run, also to know which calls there are. */
const plainRoot = newArchive()
const plain: TracedRun = untraced === undefined ? runTraced(folder, plainRoot, INDEX) : { said: [], calls: [] }
const layout = new Layout(plainRoot)

function indexOfCall(start: string, ...parts: string[]): number {
  const found = plain.calls.findIndex((call) => call.startsWith(start) && parts.every((part) => call.includes(part)))
  assert.ok(found >= 0, `${start} ${parts.join(' ')} is in\n${plain.calls.join('\n')}`)
  return found
}

test('publish keeps the order write, fsync, link, fsync of the folders, unlink', (t) => {
  if (untraced !== undefined) return t.diagnostic(untraced)
  const [part, blob] = [layout.partialFile(keyOf(CONTENT)), layout.blob(sha256)]
  const prefix = join(layout.blobs, sha256.slice(0, 2))
  const lastWrite = plain.calls.findLastIndex((call) => call.startsWith('pwrite64(') && call.includes(`<${part}>`))

  const order = [
    lastWrite,
    indexOfCall('fchmod(', `<${part}>`, '0440'),
    indexOfCall('fsync(', `<${part}>`),
    indexOfCall('mkdir(', `"${prefix}"`),
    indexOfCall('fsync(', `<${layout.blobs}>`),
    indexOfCall('link(', `"${part}"`, `"${blob}"`),
    indexOfCall('fsync(', `<${prefix}>`),
    plain.calls.findLastIndex((call) => call.startsWith('unlink(') && call.includes(`"${part}"`)),
  ]

  assert.ok(lastWrite >= 0)
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
    plain.calls.join('\n'),
  )
  assert.deepEqual(plain.said.slice(-2), [ACK, 'done'])
  assert.ok(
    !plain.calls
      .slice(order[5])
      .some((call) => call.startsWith('pwrite64(') && (call.includes(part) || call.includes(blob))),
  )
})

test('blocks are written before their lines, and both are made durable while the rest arrives', (t) => {
  if (untraced !== undefined) return t.diagnostic(untraced)
  const part = layout.partialFile(keyOf(CONTENT))
  const journal = layout.pieceJournal(keyOf(CONTENT))
  const lines = plain.calls.flatMap((call, index) =>
    call.startsWith('pwrite64(') && call.includes('.pieces') && !call.includes('"weightva') ? [index] : [],
  )

  assert.ok(lines.length >= 2, plain.calls.join('\n'))
  for (const index of lines) {
    // A line begins with the number of its block.
    const start = Number(/"(\d+) /.exec(plain.calls[index]!)?.[1]) * CRASH_PIECE_BYTES
    const ofBlock = (call: string): boolean => call.includes(`<${part}>`) && call.includes(`, ${start}) = `)
    assert.ok(plain.calls.slice(0, index).some(ofBlock), `${plain.calls[index]} after its block`)
  }
  assert.match(plain.calls[lines[0]! - 1]!, /^pwrite64\(/)
  assert.ok(plain.calls[lines[0]! - 1]!.includes(`<${part}>`))
  const [data, names] = [indexOfCall('fdatasync(', `<${part}>`), indexOfCall('fsync(', `<${layout.partial}>`)]
  assert.ok(data < indexOfCall('fdatasync(', `<${journal}>`), plain.calls.join('\n'))
  assert.ok(data > lines[0]! && names < indexOfCall('fchmod('), plain.calls.join('\n'))
})

test('a partial and its journal are new files: nobody else can have them open', (t) => {
  if (untraced !== undefined) return t.diagnostic(untraced)
  const { calls } = runTraced(folder, newArchive(), INDEX, undefined, ['openat'])
  const made = calls.filter((call) => call.includes('/partial/') && call.includes('O_CREAT'))

  assert.ok(made.some((call) => call.includes('.part"')) && made.some((call) => call.includes('.pieces')), made.join())
  for (const call of made) assert.match(call, /O_EXCL.*O_NOFOLLOW|O_NOFOLLOW.*O_EXCL/)
})

test('the marker of an archive has its name only after its bytes are durable, and then its folder is', (t) => {
  if (untraced !== undefined) return t.diagnostic(untraced)
  const { calls } = runTraced(folder, join(folder, 'marked', 'archive'), INDEX)
  const named = calls.findIndex((call) => /^(link|rename)\(.*weightvault\.json"/.test(call))
  const ofMarker = (call: string): boolean => /weightvault\.json\.\w+\.tmp>/.test(call)
  const written = calls.findLastIndex((call) => call.startsWith('pwrite64(') && ofMarker(call))
  const synced = calls.findIndex((call, at) => at > written && call.startsWith('fsync(') && ofMarker(call))

  assert.ok(written >= 0 && written < synced && synced < named, calls.join('\n'))
  assert.match(calls[named + 1]!, /^fsync\(/)
})

test('killed before any of its system calls, a restart publishes the bytes and leaves nothing behind', async (t) => {
  if (untraced !== undefined) return t.diagnostic(untraced)
  const names = plain.calls.map((call) => call.slice(0, call.indexOf('(')))
  const points = names.map(
    (name, index) => `${name}:signal=SIGKILL:when=${names.slice(0, index + 1).filter((each) => each === name).length}`,
  )

  for (const [index, point] of points.entries()) {
    const root = newArchive()
    const run = runTraced(folder, root, INDEX, point)

    assert.ok(!run.said.includes(ACK) && !run.said.includes('done'), `killed at ${plain.calls[index]}`)
    assertNoWrongBlob(root, new Set())
    await restartAndIngest(root, CONTENT)
  }
  t.diagnostic(`${points.length} kills, one before each of: ${[...new Set(names)].join(' ')}`)
})

const MAKING_AN_ARCHIVE = [
  'mkdir:signal=SIGKILL:when=2',
  'mkdir:signal=SIGKILL:when=8',
  'link:signal=SIGKILL:when=1',
  'rename:signal=SIGKILL:when=1',
  'fsync:signal=SIGKILL:when=11',
]

test('killed while it makes an archive, a restart makes it', async (t) => {
  if (untraced !== undefined) return t.diagnostic(untraced)
  for (const [index, point] of MAKING_AN_ARCHIVE.entries()) {
    const parent = join(folder, `making-${index}`)
    const root = join(parent, 'archive')

    const run = runTraced(folder, root, INDEX, point)

    assert.deepEqual(run.said, ['at open'], point)
    await restartAndIngest(root, CONTENT)
    assert.deepEqual(readdirSync(parent), ['archive'], point)
  }
})

interface Fault {
  readonly what: string
  readonly inject: string
  /** What the child says instead of the acknowledgement. */
  readonly failed: string
  /** Whether the partial must be gone. */
  readonly isDead: boolean
}

const FAULTS: Fault[] = [
  { what: 'a failed fsync of a piece', inject: 'fdatasync:error=EIO:when=1', failed: 'DISK_FAILED', isDead: true },
  { what: 'a failed fsync of the whole file', inject: 'fsync:error=EIO:when=2', failed: 'DISK_FAILED', isDead: true },
  { what: 'a disk found full by fsync', inject: 'fsync:error=ENOSPC:when=2', failed: 'DISK_FULL', isDead: true },
  { what: 'a failed write', inject: 'pwrite64:error=EIO:when=2', failed: 'DISK_FAILED', isDead: true },
  { what: 'a full disk', inject: 'pwrite64:error=ENOSPC:when=2', failed: 'DISK_FULL', isDead: false },
  { what: 'an exhausted quota', inject: 'pwrite64:error=EDQUOT:when=2', failed: 'DISK_FULL', isDead: false },
  // As many bytes as the smallest first write has: it may be one block or all of them.
  { what: 'a write that lies', inject: 'pwrite64:retval=32768:when=2', failed: 'PARTIAL_DAMAGED', isDead: false },
  { what: 'a failed fsync of the blob folder', inject: 'fsync:error=EIO:when=4', failed: 'DISK_FAILED', isDead: false },
  { what: 'partial and blobs on two disks', inject: 'link:error=EXDEV:when=1', failed: 'DISK_FAILED', isDead: false },
  {
    what: 'a blob folder that cannot be made',
    inject: 'mkdir:error=EDQUOT:when=1',
    failed: 'DISK_FULL',
    isDead: false,
  },
]

for (const { what, inject, failed, isDead } of FAULTS) {
  test(`${what} publishes nothing, says ${failed}, and a restart heals it`, async (t) => {
    if (untraced !== undefined) return t.diagnostic(untraced)
    const root = newArchive()

    const run = runTraced(folder, root, INDEX, inject)

    assert.deepEqual(run.said.slice(-2), [`failed ${failed}`, 'done'], run.calls.join('\n'))
    assert.equal(existsSync(new Layout(root).blob(sha256)), false)
    assert.equal(existsSync(new Layout(root).partialFile(keyOf(CONTENT))), !isDead)
    await restartAndIngest(root, CONTENT)
  })
}

for (const error of ['EPERM', 'EOPNOTSUPP', 'EMLINK']) {
  test(`without hard links (${error}) the partial is moved into place`, (t) => {
    if (untraced !== undefined) return t.diagnostic(untraced)
    const root = newArchive()

    const run = runTraced(folder, root, INDEX, `link:error=${error}`)

    assert.deepEqual(run.said.slice(-2), [ACK, 'done'])
    assertNoWrongBlob(root, new Set())
    assert.equal(lstatSync(new Layout(root).blob(sha256)).nlink, 1)
    assert.deepEqual(readdirSync(join(root, 'partial')), [])
  })
}

test('without hard links, too, nothing that has the name of the blob is overwritten', (t) => {
  if (untraced !== undefined) return t.diagnostic(untraced)
  const root = newArchive()
  const blob = new Layout(root).blob(sha256)
  mkdirSync(dirname(blob))
  writeFileSync(blob, 'something else')

  const run = runTraced(folder, root, INDEX, 'link:error=EPERM')

  assert.deepEqual(run.said.slice(-2), ['failed FIXITY_FAILED', 'done'])
  assert.equal(readFileSync(blob, 'utf8'), 'something else')
})

test('without modes (EPERM of fchmod) the blob is published all the same', (t) => {
  if (untraced !== undefined) return t.diagnostic(untraced)
  const root = newArchive()

  const run = runTraced(folder, root, INDEX, 'fchmod:error=EPERM')

  assert.deepEqual(run.said.slice(-2), [ACK, 'done'])
})

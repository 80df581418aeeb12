import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { acquireArchiveLock, readArchiveWriter } from '../../src/db/archive-lock.ts'
import { HANGS_AFTER_MS } from '../support/until.ts'

const CHILD = new URL('./hold-lock.ts', import.meta.url).pathname

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'wv-lock-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function startHolder(t: TestContext, root: string): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [CHILD, root], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const [data] = (await once(child.stdout, 'data', { signal: AbortSignal.timeout(HANGS_AFTER_MS) })) as [Buffer]
  return { child, said: data.toString() }
}

test('a second process is refused and told who is there; kill -9 of the first frees the lock at once', async (t) => {
  const root = temporaryFolder(t)
  const first = await startHolder(t, root)
  assert.equal(first.said, 'locked\n')

  const second = await startHolder(t, root)
  assert.match(second.said, new RegExp(`^refused ARCHIVE_LOCKED .* process ${first.child.pid} on .*, started \\d{4}-`))
  await assert.rejects(acquireArchiveLock(root), { code: 'ARCHIVE_LOCKED' })

  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  await using lock = await acquireArchiveLock(root)

  assert.ok(lock)
  assert.equal((await startHolder(t, root)).said.split(' ')[1], 'ARCHIVE_LOCKED')
})

test('one process has the lock once, and again after it gave it back', async (t) => {
  const root = temporaryFolder(t)

  {
    await using _lock = await acquireArchiveLock(root)
    await assert.rejects(acquireArchiveLock(root), { code: 'ARCHIVE_LOCKED' })
  }
  await using _again = await acquireArchiveLock(root)

  assert.deepEqual(readdirSync(root).sort(), ['weightvault.lock', 'weightvault.lock.json'])
  assert.equal(readFileSync(join(root, 'weightvault.lock'), 'utf8'), '')
})

test('a link or a folder in place of the lock file is not followed', async (t) => {
  const root = temporaryFolder(t)
  const target = join(root, 'target')
  writeFileSync(target, 'secret')
  symlinkSync(target, join(root, 'weightvault.lock'))

  await assert.rejects(acquireArchiveLock(root), { code: 'DISK_FAILED' })

  assert.equal(readFileSync(target, 'utf8'), 'secret')
})

test('an unreadable note about the holder does not hide that the archive is locked', async (t) => {
  const root = temporaryFolder(t)
  await using _lock = await acquireArchiveLock(root)
  writeFileSync(join(root, 'weightvault.lock.json'), '{torn')

  await assert.rejects(acquireArchiveLock(root), { code: 'ARCHIVE_LOCKED', message: /another process/ })
})

test('a folder that may not be written gives ARCHIVE_READ_ONLY', async () => {
  await assert.rejects(acquireArchiveLock('/proc/self'), { code: 'ARCHIVE_READ_ONLY' })
})

test('readArchiveWriter tells who holds the lock, and nobody from the note of a killed process', async (t) => {
  const root = temporaryFolder(t)
  const nobodyYet = await readArchiveWriter(root)
  const { child } = await startHolder(t, root)

  const holder = await readArchiveWriter(root)

  assert.equal(nobodyYet, undefined)
  assert.equal(holder?.pid, child.pid)
  assert.ok(Date.parse(holder!.startedAt) <= Date.now())
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.ok(readdirSync(root).includes('weightvault.lock.json'), 'the note is still there')
  assert.equal(await readArchiveWriter(root), undefined)
  await using _lock = await acquireArchiveLock(root)
  assert.equal((await readArchiveWriter(root))?.pid, process.pid)
})

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { HashPool } from '../../src/lib/hash-files.ts'
import { HANGS_AFTER_MS } from '../support/until.ts'

const MIB = 1024 * 1024
const folder = mkdtempSync(join(tmpdir(), 'wv-hash-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function makeFile(name: string, bytes: Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

function expected(bytes: Uint8Array): { sha256: string; gitOid: string; size: number } {
  return {
    sha256: createHash('sha256').update(bytes).digest('hex'),
    gitOid: createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'),
    size: bytes.length,
  }
}

test('hashFile refuses a link, a folder and a pipe, and names a missing file, without waiting', async (t) => {
  await using pool = new HashPool()
  const link = join(folder, 'link')
  symlinkSync(makeFile('target', randomBytes(10)), link)
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])

  await assert.rejects(pool.hashFile(link, t.signal), { code: 'ELOOP' })
  await assert.rejects(pool.hashFile(folder, t.signal), { code: 'EINVAL' })
  await assert.rejects(pool.hashFile(pipe, t.signal), { code: 'EINVAL' })
  await assert.rejects(pool.hashFile(join(folder, 'missing'), t.signal), { code: 'ENOENT' })
})

test('hashFile rejects as soon as the signal aborts and the pool works on', async (t) => {
  await using pool = new HashPool(1)
  const bytes = randomBytes(40 * MIB)
  const path = makeFile('abort', bytes)
  const controller = new AbortController()
  const seen: number[] = []

  const onBytes = (done: number): void => {
    seen.push(done)
    controller.abort()
  }
  const run = pool.hashFile(path, controller.signal, { onBytes })

  await assert.rejects(run, { name: 'AbortError' })
  assert.deepEqual(seen, [32 * MIB])
  assert.deepEqual(await pool.hashFile(path, t.signal), { ...expected(bytes), gitOid: undefined })
  assert.deepEqual(await pool.hashFile(path, t.signal, { gitOid: 'always' }), expected(bytes))
})

test('close rejects what is running', async (t) => {
  const pool = new HashPool(1)
  const path = makeFile('closing', randomBytes(20 * MIB))

  const run = pool.hashFile(path, t.signal, { onBytes: () => void pool.close() })

  await assert.rejects(run, /hash worker stopped/)
  await assert.rejects(pool.hashFile(path, t.signal), /closed/)
})

test('hashFile returns SHA-256, git blob id and size of files of every kind of size', async (t) => {
  await using pool = new HashPool()
  for (const size of [0, 1, 256 * 1024, 256 * 1024 + 1, MIB, MIB + 1, 15 * MIB + 7]) {
    const bytes = randomBytes(size)
    const path = makeFile(`size-${size}`, bytes)

    assert.deepEqual(await pool.hashFile(path, t.signal), expected(bytes), `size ${size}`)
  }
})

test('hashFile hashes many files at once, each right', async (t) => {
  await using pool = new HashPool()
  const files = Array.from({ length: 12 }, (_, index) => randomBytes(300_000 + index))

  const digests = await Promise.all(
    files.map((bytes, index) => pool.hashFile(makeFile(`many-${index}`, bytes), t.signal)),
  )

  assert.deepEqual(digests, files.map(expected))
})

test('findBadPieces names the pieces that are not what they were', async (t) => {
  await using pool = new HashPool()
  const bytes = randomBytes(5 * 1000)
  const pieces = Array.from({ length: 5 }, (_, index) => ({
    length: 1000,
    crc: crc32(bytes.subarray(index * 1000, index * 1000 + 1000)),
  }))
  const path = makeFile('pieces', bytes)

  assert.deepEqual(await pool.findBadPieces(path, pieces, t.signal), [])
  bytes[2500]! ^= 1
  writeFileSync(path, bytes)
  assert.deepEqual(await pool.findBadPieces(path, pieces, t.signal), [2])
  truncateSync(path, 3999)
  assert.deepEqual(await pool.findBadPieces(path, pieces, t.signal), [2, 3, 4])
})

test('follow hashes a growing file from memory and from the file, in any mixture', async (t) => {
  await using pool = new HashPool()
  const bytes = randomBytes(3 * MIB + 5)
  const path = makeFile('growing', bytes.subarray(0, MIB))
  const follower = pool.follow(path, { size: bytes.length, gitOid: 'always', isDirect: false })
  const [second, rest] = [pool.memory.take()!, pool.memory.take()!]
  second.bytes.set(bytes.subarray(MIB, 2 * MIB))
  rest.bytes.set(bytes.subarray(3 * MIB))

  await follower.readTo(MIB, t.signal)
  await follower.addBytes([{ offset: second.offset, length: MIB }])
  appendFileSync(path, bytes.subarray(MIB))
  await follower.readTo(3 * MIB, t.signal)
  await follower.addBytes([{ offset: rest.offset, length: 5 }])

  assert.deepEqual(await follower.digests(t.signal), expected(bytes))
  follower.close()
})

test('follow reads past the page cache what was written so, up to its last, uneven byte', async (t) => {
  await using pool = new HashPool()
  const bytes = randomBytes(5 * MIB + 4097)
  const follower = pool.follow(makeFile('direct', bytes), { size: bytes.length, gitOid: 'always', isDirect: true })

  // Steps that end between sectors, too: what follows begins there.
  for (const end of [MIB, 2 * MIB + 5, 4 * MIB, bytes.length]) await follower.readTo(end, t.signal)

  assert.deepEqual(await follower.digests(t.signal), expected(bytes))
  follower.close()
})

test('runs of memory that are asked for at once are hashed in the order they were asked for', async (t) => {
  await using pool = new HashPool()
  const bytes = randomBytes(4 * MIB)
  const follower = pool.follow(makeFile('at-once', new Uint8Array()), {
    size: bytes.length,
    gitOid: 'always',
    isDirect: true,
  })
  const steps = [0, 1, 2, 3].map((index) => {
    const block = pool.memory.take()!
    block.bytes.set(bytes.subarray(index * MIB, (index + 1) * MIB))
    return follower.addBytes([{ offset: block.offset, length: MIB }])
  })
  await Promise.all(steps)

  assert.deepEqual(await follower.digests(t.signal), expected(bytes))
  follower.close()
})

test('git ids are computed on request, and for what need not be in LFS', async (t) => {
  await using pool = new HashPool()
  const large = randomBytes(16 * MIB + 1)
  const path = makeFile('large', large)
  const follower = pool.follow(path, { size: large.length, gitOid: 'always', isDirect: false })
  await follower.readTo(large.length, t.signal)

  assert.deepEqual(await follower.digests(t.signal), expected(large))
  assert.deepEqual(await pool.hashFile(path, t.signal), { ...expected(large), gitOid: undefined })
  follower.close()
})

test('follow fails where the file is shorter than promised', async (t) => {
  await using pool = new HashPool()
  const follower = pool.follow(makeFile('short', randomBytes(10)), { size: 20, gitOid: 'always', isDirect: false })

  await assert.rejects(follower.readTo(20, t.signal), { code: 'EIO' })
  follower.close()
})

test('a pool that was not closed does not keep the process alive', () => {
  const path = makeFile('alive', randomBytes(400_000))
  const script = `
    import { HashPool } from ${JSON.stringify(new URL('../../src/lib/hash-files.ts', import.meta.url).href)}
    const digests = await new HashPool().hashFile(${JSON.stringify(path)}, new AbortController().signal)
    process.stdout.write(String(digests.size))`

  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: HANGS_AFTER_MS,
    encoding: 'utf8',
  })

  assert.equal(run.stdout, '400000', run.stderr)
  assert.equal(run.status, 0)
})

test('a process ends as it should although the thread answers while the pool is being closed', (t) => {
  if (process.platform !== 'linux') return t.skip('asks /proc which files are open')
  const [first, second] = [makeFile('first', randomBytes(MIB)), makeFile('second', randomBytes(MIB))]
  const script = `
    import { readdirSync, readlinkSync } from 'node:fs'
    const { HashPool } = await import(${JSON.stringify(new URL('../../src/lib/hash-files.ts', import.meta.url).href)})
    const isOpen = (path) => readdirSync('/proc/self/fd').some((fd) => {
      try { return readlinkSync('/proc/self/fd/' + fd) === path } catch { return false }
    })
    const pool = new HashPool(1)
    const how = { size: 1, gitOid: 'if-small', isDirect: false }
    const follower = pool.follow(${JSON.stringify(first)}, how)
    await follower.identity(new AbortController().signal)
    pool.follow(${JSON.stringify(second)}, how)
    follower.close()
    // Requests are answered in order: now the answer for the second file waits, and this thread has not taken it yet.
    while (isOpen(${JSON.stringify(first)})) {}
    await pool.close()
    console.log('closed')
  `

  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: HANGS_AFTER_MS,
  })

  assert.deepEqual([child.status, child.stdout], [0, 'closed\n'], child.stderr)
})

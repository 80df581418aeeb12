import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { localSocketPath, requestLocally, serveLocally } from '../../src/lib/local-socket.ts'
import { HANGS_AFTER_MS } from '../support/until.ts'

async function inFolder(work: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'wv-socket-'))
  try {
    await work(localSocketPath(folder, 'id'), folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('requestLocally finds nobody where there is no socket, and where a process died', async () => {
  await inFolder(async (path) => {
    assert.equal(await requestLocally(path, 'status', {}), undefined)
    await writeFile(path, '')
    assert.equal(await requestLocally(path, 'status', {}), undefined)
  })
})

test('requestLocally gives the message of a handler that throws, and no stack', async () => {
  await inFolder(async (path) => {
    await using _server = await serveLocally(path, () => Promise.reject(new Error('not in the archive')))

    await assert.rejects(requestLocally(path, 'queue.bump', {}), { message: 'not in the archive' })
  })
})

test('serveLocally passes operation and parameters on, and only this user may connect', async () => {
  await inFolder(async (path) => {
    await using _server = await serveLocally(path, async (operation, parameters) => ({ operation, parameters }))

    const answer = await requestLocally(path, 'queue.bump', { repo: 'Qwen/A' })

    assert.deepEqual(answer, { result: { operation: 'queue.bump', parameters: { repo: 'Qwen/A' } } })
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })
})

test('serveLocally takes over the socket of a process that died, and answers garbage with an error', async () => {
  await inFolder(async (path) => {
    await writeFile(path, 'left behind')
    await using _server = await serveLocally(path, async () => null)

    const reply = await new Promise<string>((resolve, reject) => {
      const socket = connect(path, () => socket.write('not json\n'))
      socket.setEncoding('utf8').once('data', resolve).once('error', reject)
    })

    assert.ok('error' in JSON.parse(reply))
  })
})

test('serveLocally ends a client that sends without end', async () => {
  await inFolder(async (path) => {
    await using _server = await serveLocally(path, async () => null)

    await new Promise<void>((resolve, reject) => {
      const socket = connect(path, () => {
        const flood = (): void => {
          while (!socket.destroyed && socket.write('x'.repeat(65_536))) continue
        }
        socket.on('drain', flood)
        flood()
      })
      socket.on('error', () => undefined).once('close', () => resolve())
      socket.once('end', resolve)
      socket.setTimeout(HANGS_AFTER_MS, () => reject(new Error('still open')))
    })
  })
})

test('requestLocally does not wait for a server that closes without an answer', async () => {
  await inFolder(async (path) => {
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(path, () => resolve()))
    try {
      await assert.rejects(requestLocally(path, 'status', {}))
    } finally {
      server.close()
    }
  })
})

test('localSocketPath leaves the folder when its path is too long for a socket', () => {
  const long = `/${'x'.repeat(120)}`

  assert.ok(!localSocketPath(long, 'abc').startsWith(long))
  assert.equal(localSocketPath('/srv/archive', 'abc'), '/srv/archive/weightvault.sock')
})

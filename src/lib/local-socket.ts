import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Longest request or answer, in characters. */
const MAX_MESSAGE = 1024 * 1024
const DEADLINE_MS = 5000
/** Linux allows 107 bytes; other systems a few less. */
const MAX_SOCKET_PATH_BYTES = 100

/** Answers one request of a local client. What it throws is sent back as a message, never as a stack. */
export type RequestHandler = (operation: string, parameters: Record<string, unknown>) => Promise<unknown>

/** Where the socket of a folder is: inside it, or for very long paths in the temporary folder under the folder's id. */
export function localSocketPath(folder: string, id: string): string {
  const inside = join(folder, 'weightvault.sock')
  return Buffer.byteLength(inside) <= MAX_SOCKET_PATH_BYTES ? inside : join(tmpdir(), `weightvault-${id}.sock`)
}

/**
 * Serves local clients over a Unix socket that only this user can open. The caller holds the archive's lock, so a socket
 * file that is already there belongs to a process that died.
 */
export async function serveLocally(path: string, handle: RequestHandler): Promise<AsyncDisposable> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    void answer(socket, handle)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve())
  })
  await chmod(path, 0o600)
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

async function answer(socket: Socket, handle: RequestHandler): Promise<void> {
  try {
    const request = JSON.parse(await readLine(socket, DEADLINE_MS)) as { operation?: unknown; parameters?: unknown }
    const parameters = typeof request.parameters === 'object' && request.parameters !== null ? request.parameters : {}
    const result = await handle(String(request.operation), parameters as Record<string, unknown>)
    socket.end(`${JSON.stringify({ result: result ?? null })}\n`)
  } catch (error) {
    socket.end(`${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}\n`)
  }
}

/**
 * Sends one request to a local server.
 * @returns its result, or undefined when nobody serves there
 * @throws Error with the server's message, or when it does not answer in time
 */
export async function requestLocally(
  path: string,
  operation: string,
  parameters: Readonly<Record<string, unknown>>,
): Promise<{ readonly result: unknown } | undefined> {
  if (!(await isOurSocket(path))) return undefined
  const socket = connect(path)
  try {
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    if (!connected) return undefined
    socket.write(`${JSON.stringify({ operation, parameters })}\n`)
    const reply = JSON.parse(await readLine(socket, DEADLINE_MS)) as { result?: unknown; error?: unknown }
    if (typeof reply.error === 'string') throw new Error(reply.error)
    return { result: reply.result }
  } finally {
    socket.destroy()
  }
}

/** A socket that another user put there must not be believed. */
async function isOurSocket(path: string): Promise<boolean> {
  try {
    const entry = await lstat(path)
    return entry.isSocket() && (process.getuid === undefined || entry.uid === process.getuid())
  } catch {
    return false
  }
}

function readLine(socket: Socket, deadlineMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const fail = (message: string): void => {
      socket.destroy()
      reject(new Error(message))
    }
    socket.setTimeout(deadlineMs, () => fail('no answer in time'))
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      const end = text.indexOf('\n')
      if (end >= 0) resolve(text.slice(0, end))
      else if (text.length > MAX_MESSAGE) fail('message too long')
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('connection closed before the end of the message')))
  })
}

import { readFileSync } from 'node:fs'
import { HANGS_AFTER_MS } from './campaign-options.ts'

/** A wait without the event loop: nothing else of this process may happen meanwhile. */
function pauseAll(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Stops every thread of a process, as at any instruction, and waits until the kernel says so. False when it is gone. */
export function stopProcess(pid: number): boolean {
  try {
    process.kill(pid, 'SIGSTOP')
  } catch {
    return false
  }
  // A call that waits for the disk ends before.
  for (let tries = 0; tries < HANGS_AFTER_MS; tries += 1) {
    const state = stateOf(pid)
    if (state === 'T') return true
    if (state === undefined || state === 'Z') return false
    pauseAll(1)
  }
  throw new Error(`process ${pid} does not stop`)
}

function stateOf(pid: number): string | undefined {
  try {
    return /^\d+ \(.*\) (\S)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]
  } catch {
    return undefined
  }
}

/** Longer than a kernel keeps an acknowledgement back while bytes come. */
const ACKNOWLEDGED_MS = 50

/**
 * Bytes that were written to each connection of a server on loopback and that the stopped client has not read: they lie
 * in the kernel. By the client's port.
 */
export function unreadByClientPort(serverPort: number): ReadonlyMap<number, number> {
  let queues = readQueues(serverPort)
  // What has arrived and is not acknowledged is in both queues. What stays has no room in the client's.
  for (let waitedMs = 0; waitedMs < ACKNOWLEDGED_MS && queues.isSending; waitedMs += 2) {
    pauseAll(2)
    queues = readQueues(serverPort)
  }
  return queues.unread
}

/** Send queue of the server's side and receive queue of the client's side, added up. */
function readQueues(serverPort: number): { readonly unread: Map<number, number>; readonly isSending: boolean } {
  const queues = new Map<number, number>()
  let isSending = false
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const fields = /^\s*\d+: \w+:(\w+) \w+:(\w+) (\w+) (\w+):(\w+)/.exec(line)
    if (fields === null) continue
    const [local = 0, remote = 0, state = 0, sending = 0, receiving = 0] = fields
      .slice(1)
      .map((hex) => parseInt(hex, 16))
    if (state !== 1) continue
    if (local === serverPort) isSending ||= sending > 0
    if (local === serverPort) queues.set(remote, (queues.get(remote) ?? 0) + sending)
    if (remote === serverPort) queues.set(local, (queues.get(local) ?? 0) + receiving)
  }
  return { unread: queues, isSending }
}

import * as fs from 'node:fs'
import { promisify } from 'node:util'
import { isErrno } from '../lib/fs-durable.ts'

/**
 * The system calls of a batch, by descriptor: a `FileHandle` each would cost more than the calls. One object, so that a
 * test can let any of them fail.
 */
export interface BatchIo {
  open(path: string, flags: number, mode: number): Promise<number>
  /** Returns the bytes it took. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>
  fsync(fd: number): Promise<void>
  mkdir(path: string, mode: number): Promise<void>
  lstat(path: string): Promise<fs.Stats>
  link(from: string, to: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  makeReadOnly(fd: number): void
  /** Of bytes that were just written, and so are in memory. */
  read(fd: number, into: Uint8Array, offset: number, position: number): number
  close(fd: number): void
}

/** A mask of the process may take away what `open` was asked for. */
const isMasked = (0o440 & process.umask()) !== 0

const [open, fsync, mkdir] = [promisify(fs.open), promisify(fs.fsync), promisify(fs.mkdir)]
const [lstat, link, rename, unlink] = [
  promisify(fs.lstat),
  promisify(fs.link),
  promisify(fs.rename),
  promisify(fs.unlink),
]

/** The system calls themselves; all that may wait runs in the system's threads. */
export const systemIo: BatchIo = {
  open,
  write(fd, bytes, position) {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    fs.write(fd, bytes, 0, bytes.length, position, (error, count) => (error === null ? resolve(count) : reject(error)))
    return promise
  },
  fsync,
  async mkdir(path, mode) {
    await mkdir(path, { mode })
  },
  lstat: (path) => lstat(path),
  link,
  rename,
  unlink,
  makeReadOnly(fd) {
    if (!isMasked) return
    try {
      fs.fchmodSync(fd, 0o440)
    } catch (error) {
      // Some network and FAT file systems have no modes.
      if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP')) throw error
    }
  },
  read: (fd, into, offset, position) => fs.readSync(fd, into, offset, into.length - offset, position),
  close: fs.closeSync,
}

/**
 * The same calls on the thread that asks, which waits for each: several times cheaper where they only touch memory.
 * Only `fsync`, which always waits for the disk, runs side by side with others.
 */
export const directIo: BatchIo = {
  ...systemIo,
  open: async (path, flags, mode) => fs.openSync(path, flags, mode),
  write: async (fd, bytes, position) => fs.writeSync(fd, bytes, 0, bytes.length, position),
  mkdir: async (path, mode) => {
    fs.mkdirSync(path, { mode })
  },
  lstat: async (path) => fs.lstatSync(path),
  link: async (from, to) => fs.linkSync(from, to),
  rename: async (from, to) => fs.renameSync(from, to),
  unlink: async (path) => fs.unlinkSync(path),
}

/** A call on the asking thread that takes longer on average waits for a network, or for a disk at its limit. */
const QUICK_CALL_MS = 1
/** So often it is tried again whether calls have become quick. */
const TRY_AGAIN_EVERY = 16

/** Chooses between calls one after another, cheapest where they are quick, and many that wait side by side. */
export class IoChoice {
  #isSlow = false
  #batches = 0
  #calls = 0
  #callsMs = 0
  readonly #nowMs: () => number

  /** @param nowMs another clock, for tests */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** What the next batch is written with. */
  next(): BatchIo {
    if (this.#calls > 0) this.#isSlow = this.#callsMs / this.#calls > QUICK_CALL_MS
    ;[this.#calls, this.#callsMs] = [0, 0]
    this.#batches += 1
    return this.#isSlow && this.#batches % TRY_AGAIN_EVERY !== 0 ? systemIo : this.#timed
  }

  /** `open` makes the file, as slow a call as any of them. */
  readonly #timed: BatchIo = {
    ...directIo,
    open: async (path, flags, mode) => {
      const startMs = this.#nowMs()
      const fd = await directIo.open(path, flags, mode)
      this.#calls += 1
      this.#callsMs += this.#nowMs() - startMs
      return fd
    },
  }
}

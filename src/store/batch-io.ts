import * as fs from 'node:fs'
import { promisify } from 'node:util'
import { isErrno } from '../lib/fs-durable.ts'

/**
 * The system calls of a batch, by descriptor: a `FileHandle` each would cost more than the calls. One object, so that a
 * test can let any of them fail. What may wait for the disk runs in the system's threads, many side by side.
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

/** The system calls themselves. */
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

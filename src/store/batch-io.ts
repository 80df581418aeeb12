import * as fs from 'node:fs'
import { isErrno } from '../lib/fs-durable.ts'

/** The system calls of a batch. One object, so that a test can let any of them fail. */
export interface BatchIo {
  open(path: string, flags: number, mode: number): number
  makeReadOnly(fd: number): void
  write(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number
  read(fd: number, into: Uint8Array, offset: number, length: number, position: number): number
  /** Many at once run side by side. */
  fsync(fd: number): Promise<void>
  fsyncNow(fd: number): void
  close(fd: number): void
  mkdir(path: string, mode: number): void
  lstat(path: string): fs.Stats
  link(from: string, to: string): void
  rename(from: string, to: string): void
  unlink(path: string): void
}

/** A mask of the process may take away what `open` was asked for. */
const isMasked = (0o440 & process.umask()) !== 0

/** The system calls themselves. They block: only for a thread that has nothing else to do. */
export const systemIo: BatchIo = {
  open: fs.openSync,
  makeReadOnly(fd) {
    if (!isMasked) return
    try {
      fs.fchmodSync(fd, 0o440)
    } catch (error) {
      // Some network and FAT file systems have no modes.
      if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP')) throw error
    }
  },
  write: (fd, bytes, offset, length, position) => fs.writeSync(fd, bytes, offset, length, position),
  read: (fd, into, offset, length, position) => fs.readSync(fd, into, offset, length, position),
  fsync(fd) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    fs.fsync(fd, (error) => (error === null ? resolve() : reject(error)))
    return promise
  },
  fsyncNow: fs.fsyncSync,
  close: fs.closeSync,
  mkdir: fs.mkdirSync,
  lstat: (path) => fs.lstatSync(path),
  link: fs.linkSync,
  rename: fs.renameSync,
  unlink: fs.unlinkSync,
}

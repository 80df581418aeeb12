import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { isErrno, writeAll } from '../lib/fs-durable.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants
/** Undefined where the system has no direct I/O at all. */
const O_DIRECT = (constants as { O_DIRECT?: number }).O_DIRECT
/** What direct I/O wants of memory, place and length on every disk in use. */
const SECTOR_BYTES = 4096
/** Below this the page cache costs less than it saves. */
const DIRECT_FROM_BYTES = 8 * 1024 * 1024

/**
 * Writes blocks past the page cache where the file system can, and what has no whole sectors the common way.
 */
export class DirectFile {
  readonly #handle: FileHandle
  #direct: FileHandle | undefined
  #refused: FileHandle | undefined

  private constructor(handle: FileHandle, direct: FileHandle | undefined) {
    this.#handle = handle
    this.#direct = direct
  }

  /** @param handle the same file, open for writing; stays open and belongs to the caller */
  static async open(path: string, handle: FileHandle, size: number): Promise<DirectFile> {
    if (O_DIRECT === undefined || size < DIRECT_FROM_BYTES) return new DirectFile(handle, undefined)
    try {
      const direct = await open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_DIRECT)
      const [ours, theirs] = [await handle.stat({ bigint: true }), await direct.stat({ bigint: true })]
      if (ours.ino === theirs.ino && ours.dev === theirs.dev) return new DirectFile(handle, direct)
      await direct.close()
    } catch {
      // Some file systems refuse the flag, and a finished partial is not opened for writing: the common way is left.
    }
    return new DirectFile(handle, undefined)
  }

  /** Whether the page cache has nothing of what is written. */
  get isDirect(): boolean {
    return this.#direct !== undefined
  }

  /** Writes buffers that follow each other in the file. @throws errno errors */
  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    const written = await this.#writeDirectly(buffers, position)
    let start = 0
    for (const buffer of buffers) {
      const done = Math.max(0, Math.min(buffer.length, written - start))
      if (done < buffer.length) await writeAll(this.#handle, buffer.subarray(done), position + start + done)
      start += buffer.length
    }
  }

  async close(): Promise<void> {
    await this.#direct?.close()
    await this.#refused?.close()
  }

  /** Bytes written from the first buffer on; the rest has to go the common way. */
  async #writeDirectly(buffers: readonly Uint8Array[], position: number): Promise<number> {
    const direct = this.#direct
    if (direct === undefined || position % SECTOR_BYTES !== 0) return 0
    const whole: Uint8Array[] = []
    for (const buffer of buffers) {
      const sectors = buffer.length - (buffer.length % SECTOR_BYTES)
      if (sectors > 0) whole.push(buffer.subarray(0, sectors))
      if (sectors < buffer.length) break
    }
    if (whole.length === 0) return 0
    try {
      return (await direct.writev(whole, position)).bytesWritten
    } catch (error) {
      if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP')) throw error
      // Closed at the end: another write may be on its way through it.
      this.#refused ??= direct
      this.#direct = undefined
      return 0
    }
  }
}

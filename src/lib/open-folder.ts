import { constants, existsSync } from 'node:fs'
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from './fs-durable.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/** Where the kernel shows open folders under a path: the way to `openat` and its kin that Node has. */
const OPEN_FILES = existsSync('/proc/self/fd') ? '/proc/self/fd' : undefined

/**
 * A folder held open. Names in it are reached through the open folder and not through its path, so that nobody who
 * replaces a parent by a link meanwhile can lead us elsewhere. Systems without `/proc` get the path, checked when it is opened.
 */
export class OpenFolder implements AsyncDisposable {
  readonly #handle: FileHandle
  /** The path it was opened by, for people. */
  readonly path: string

  private constructor(handle: FileHandle, path: string) {
    this.#handle = handle
    this.path = path
  }

  /** @throws errno errors; ENOTDIR or ELOOP where the last part of the path is a link or no folder */
  static async open(path: string, shown = path): Promise<OpenFolder> {
    return new OpenFolder(await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), shown)
  }

  /** A path for one name in this folder, to be used while it is open. */
  at(name: string): string {
    if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
      throw new Error(`${JSON.stringify(name)} is no name in a folder`)
    }
    return OPEN_FILES === undefined ? join(this.path, name) : `${OPEN_FILES}/${this.#handle.fd}/${name}`
  }

  /** A folder in this one; never a link. @throws errno errors */
  child(name: string): Promise<OpenFolder> {
    return OpenFolder.open(this.at(name), join(this.path, name))
  }

  /** The same, made if it is not there. */
  async makeChild(name: string, mode: number): Promise<OpenFolder> {
    try {
      await mkdir(this.at(name), { mode })
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
    }
    return this.child(name)
  }

  /**
   * Follows folder names down from here. With `make` missing ones are made.
   * @returns undefined where one is missing
   */
  async descend(names: readonly string[], make: boolean): Promise<OpenFolder | undefined> {
    let folder: OpenFolder = await OpenFolder.open(this.#self(), this.path)
    for (const name of names) {
      const parent = folder
      try {
        folder = make ? await parent.makeChild(name, 0o777) : await parent.child(name)
      } catch (error) {
        if (!make && isErrno(error, 'ENOENT')) return undefined
        throw error
      } finally {
        await parent.close()
      }
    }
    return folder
  }

  /** Makes the names in it durable. */
  async sync(): Promise<void> {
    try {
      await this.#handle.sync()
    } catch (error) {
      if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP')) throw error
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #self(): string {
    // Through the dot the kernel's own link is followed, which is no link in the folder.
    return OPEN_FILES === undefined ? this.path : `${OPEN_FILES}/${this.#handle.fd}/.`
  }
}

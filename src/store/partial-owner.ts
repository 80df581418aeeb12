import { lstat, type FileHandle } from 'node:fs/promises'
import { ArchiveError } from '../domain/errors.ts'
import { isErrno } from '../lib/fs-durable.ts'
import type { Layout } from './layout.ts'
import type { PieceJournal } from './piece-journal.ts'

export interface PartialIdentity {
  readonly dev: bigint
  readonly ino: bigint
  readonly mtimeNs: bigint
}

/** Whether a partial file is still this process's: two never finish one file, even where the archive's lock does nothing. */
export class PartialOwner {
  readonly #layout: Layout
  readonly #path: string
  readonly #handle: FileHandle
  readonly #journal: PieceJournal

  constructor(layout: Layout, path: string, file: { readonly handle: FileHandle; readonly journal: PieceJournal }) {
    this.#layout = layout
    this.#path = path
    this.#handle = file.handle
    this.#journal = file.journal
  }

  /** The file behind the name, as it is now. */
  async identity(): Promise<PartialIdentity> {
    const { dev, ino, mtimeNs } = await this.#handle.stat({ bigint: true })
    return { dev, ino, mtimeNs }
  }

  /** @throws ArchiveError ARCHIVE_LOCKED when another process has begun a journal of its own */
  async assertJournal(): Promise<void> {
    if (!(await this.#journal.isOurs())) throw this.takenOver()
  }

  /** @throws ArchiveError ARCHIVE_LOCKED when journal or name are another process's */
  async assertNamed(): Promise<void> {
    await this.assertJournal()
    if (!(await isNamed(this.#path, await this.identity()))) throw this.takenOver()
  }

  takenOver(): ArchiveError {
    return new ArchiveError('ARCHIVE_LOCKED', `${this.#layout.shown(this.#path)}: taken over by another process`, {
      hint: 'Only one process may write in an archive. Stop the other one.',
    })
  }
}

async function isNamed(path: string, file: PartialIdentity): Promise<boolean> {
  try {
    const named = await lstat(path, { bigint: true })
    return named.ino === file.ino && named.dev === file.dev
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

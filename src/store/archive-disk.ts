import { statSync, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { ArchiveError } from '../domain/errors.ts'
import type { Layout } from './layout.ts'
import { readMarker } from './marker.ts'
import { lstatIfThere } from './measure-space.ts'
import { QuickLook } from './quick-look.ts'
import { missingMarker, onDisk } from './store-error.ts'

/**
 * The disk an archive was opened on, to tell when another one, or none, has taken its place: an empty mount point looks
 * like an archive that lost every blob, and must not be believed.
 */
export class ArchiveDisk {
  readonly #layout: Layout
  readonly #archiveId: string
  readonly #device: bigint
  readonly #looks = new QuickLook()

  /** @throws ArchiveError ARCHIVE_MISSING_MARKER when the folder is gone */
  constructor(layout: Layout, archiveId: string) {
    const facts = statSync(layout.root, { bigint: true, throwIfNoEntry: false })
    if (facts === undefined) throw missingMarker(layout.root, undefined)
    this.#layout = layout
    this.#archiveId = archiveId
    this.#device = facts.dev
  }

  /** @throws ArchiveError ARCHIVE_MISSING_MARKER when the archive's disk is not the one that was opened */
  async assertMounted(): Promise<void> {
    const { root } = this.#layout
    const marker = await readMarker(root)
    const { dev } = await onDisk(this.#layout, root, () => stat(root, { bigint: true }))
    if (marker.archiveId === this.#archiveId && dev === this.#device) return
    throw new ArchiveError('ARCHIVE_MISSING_MARKER', `${root} is on another disk than when it was opened`, {
      hint: 'Mount the right disk. If it was mounted anew on purpose, restart weightvault.',
      details: { expected: this.#archiveId, actual: marker.archiveId },
    })
  }

  /**
   * What has a blob's name, without following it; undefined when nothing has.
   * @throws ArchiveError ARCHIVE_MISSING_MARKER; errno errors
   */
  async lookAtBlob(path: string): Promise<Stats | undefined> {
    const facts = await this.#looks.at(path)
    if (facts === undefined) await this.assertBlobFolder()
    return facts
  }

  /** Before the absence of a blob is believed. @throws ArchiveError ARCHIVE_MISSING_MARKER */
  async assertBlobFolder(): Promise<void> {
    if ((await lstatIfThere(this.#layout.blobs)) === undefined) throw missingMarker(this.#layout.root, undefined)
  }
}

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Manifest } from '../../src/domain/manifest.ts'

/**
 * What a stranger reads of an archive: nothing of ours but the documented layout, so that a mistake in the program's own
 * readers cannot hide.
 */
export function readManifest(root: string, repo: string, commit: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'manifests', ...repo.split('/'), `${commit}.json`), 'utf8')) as Manifest
}

export function blobPath(root: string, sha256: string): string {
  return join(root, 'blobs', 'sha256', sha256.slice(0, 2), sha256)
}

/** Names of all blobs, sorted; every one is hashed and must be what its name says. */
export function provenBlobs(root: string): string[] {
  const blobs = join(root, 'blobs', 'sha256')
  const names: string[] = []
  for (const folder of existsSync(blobs) ? readdirSync(blobs) : []) {
    for (const name of readdirSync(join(blobs, folder))) {
      const actual = createHash('sha256')
        .update(readFileSync(join(blobs, folder, name)))
        .digest('hex')
      if (actual !== name) throw new Error(`blob ${name} holds bytes of ${actual}`)
      names.push(name)
    }
  }
  return names.sort()
}

/** Copies the held files of a manifest with plain names into a folder, as a person without our program would. */
export async function copyHeldFiles(root: string, manifest: Manifest, to: string): Promise<void> {
  for (const file of manifest.files) {
    if (!file.held || file.sha256 === null) continue
    await mkdir(dirname(join(to, file.path)), { recursive: true })
    await copyFile(blobPath(root, file.sha256), join(to, file.path))
  }
}

/** Events as the journal files have them, in the order of the files. */
export function journalEvents(root: string): unknown[] {
  const folder = join(root, 'events')
  return readdirSync(folder)
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}

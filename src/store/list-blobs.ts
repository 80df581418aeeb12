import type { Dir } from 'node:fs'
import { opendir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseSha256, type Sha256 } from '../domain/digest.ts'
import type { Log } from '../log-port.ts'
import type { Layout } from './layout.ts'
import { lstatIfThere } from './measure-space.ts'
import { onDisk } from './store-error.ts'

/** Every blob of the archive with its size, in no order. Logs and passes over what is none. @throws as `onDisk` */
export async function* listBlobs(
  layout: Layout,
  log: Log,
  signal: AbortSignal,
): AsyncGenerator<{ sha256: Sha256; size: number }> {
  const folders = await onDisk(layout, layout.blobs, () => readdir(layout.blobs))
  for (const folder of folders.filter((name) => /^[0-9a-f]{2}$/.test(name))) {
    const path = join(layout.blobs, folder)
    const names: Dir = await onDisk(layout, path, () => opendir(path))
    for await (const { name } of names) {
      signal.throwIfAborted()
      const sha256 = parseSha256(name)
      const facts = sha256?.startsWith(folder) ? await lstatIfThere(join(path, name)) : undefined
      if (sha256 === undefined || facts === undefined || !facts.isFile()) {
        log.warn({ path: layout.shown(join(path, name)) }, 'foreign file among the blobs ignored')
        continue
      }
      yield { sha256, size: facts.size }
    }
  }
}

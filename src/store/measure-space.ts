import type { Stats } from 'node:fs'
import { lstat, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContentKey } from '../domain/listing.ts'
import { isErrno } from '../lib/fs-durable.ts'
import { inLanes } from '../lib/in-lanes.ts'
import type { Layout } from './layout.ts'

const LOOKS_AT_ONCE = 64

/** Size of every unfinished download, except of those that are left out. @throws errno errors */
export async function partialSizes(
  { partial }: Layout,
  isLeftOut: (key: ContentKey) => boolean = () => false,
): Promise<ReadonlyMap<ContentKey, number>> {
  const sizes = new Map<ContentKey, number>()
  // Side by side: hundreds may be among them, and each look waits behind the fsyncs of others.
  await inLanes(await readdir(partial), LOOKS_AT_ONCE, new AbortController().signal, async (name) => {
    const key = keyOfPartial(name)
    if (key === undefined || isLeftOut(key)) return
    const facts = await lstatIfThere(join(partial, name))
    // A second name means: published, killed before the first name was removed.
    if (facts?.isFile() && facts.nlink === 1) sizes.set(key, facts.size)
  })
  return sizes
}

/** Bytes of what was set aside. @throws errno errors */
export async function quarantineBytes({ quarantine }: Layout): Promise<number> {
  let bytes = 0
  for (const name of await readdir(quarantine)) bytes += (await lstatIfThere(join(quarantine, name)))?.size ?? 0
  return bytes
}

/** Bytes free for us on the disk of the blobs. @throws errno errors */
export async function freeBytes({ blobs }: Layout): Promise<number> {
  const { bavail, bsize } = await statfs(blobs, { bigint: true })
  return Number(bavail * bsize)
}

function keyOfPartial(name: string): ContentKey | undefined {
  const key = /^(sha256-[0-9a-f]{64}|git-[0-9a-f]{40}-\d+)\.part$/.exec(name)?.[1]
  return key as ContentKey | undefined
}

/** What has this name, without following it; undefined when nothing has. @throws errno errors */
export async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

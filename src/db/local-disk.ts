import { statfsSync } from 'node:fs'
import { ArchiveError } from '../domain/errors.ts'

/**
 * File systems (Linux `f_type`) that reach another machine or another kernel. SQLite's log mode needs memory shared by
 * every process that has the file open, which these cannot give: two machines would damage the catalog unnoticed.
 */
const REMOTE_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x47504653, 'GPFS'],
])

/** The name of a remote file system by its type number; undefined for a local one. */
export function remoteFileSystem(type: number): string | undefined {
  // Some kernels report the number with its sign.
  return REMOTE_FILE_SYSTEMS.get(type >>> 0)
}

/**
 * Refuses to keep the catalog where SQLite is not safe. What tells no type (another operating system) passes.
 * @throws ArchiveError CATALOG_UNUSABLE
 */
export function assertLocalDisk(folder: string): void {
  const name = remoteFileSystem(statfsSync(folder).type)
  if (name === undefined) return
  throw new ArchiveError(
    'CATALOG_UNUSABLE',
    `the catalog cannot be kept in ${folder}: it is on a network disk (${name})`,
    {
      hint: 'run weightvault on the machine that has the disk, or keep the archive on a local one',
    },
  )
}

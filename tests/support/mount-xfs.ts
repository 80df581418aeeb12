import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A disk whose files can share blocks. */
export interface ReflinkDisk {
  readonly at: string
  /** Bytes in use, by what the file system says when it has written everything. */
  usedBytes(): number
}

/** The least that `mkfs.xfs` makes is 300 MB; the image has holes for what is not written. */
const IMAGE_BYTES = 400 * 1024 * 1024

/** Mounts a small XFS with reflinks until the end of the test; says visibly where that cannot be, and returns undefined. */
export function mountXfs(t: TestContext): ReflinkDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'weightvault-xfs-'))
  const [image, at] = [join(folder, 'image'), join(folder, 'disk')]
  writeFileSync(image, '')
  truncateSync(image, IMAGE_BYTES)
  mkdirSync(at)
  const problem = run('mkfs.xfs', '-q', '-m', 'reflink=1', image) ?? run('mount', '-o', 'loop', image, at)
  t.after(() => {
    if (problem === undefined) run('umount', '-l', at)
    rmSync(folder, { recursive: true, force: true })
  })
  if (problem !== undefined) {
    t.diagnostic(`NOT TESTED: no file system with reflinks can be mounted here (${problem})`)
    return undefined
  }
  return {
    at,
    usedBytes() {
      run('sync', '-f', at)
      const { blocks, bfree, bsize } = statfsSync(at)
      return (blocks - bfree) * bsize
    },
  }
}

/** Says why it failed. */
function run(command: string, ...words: string[]): string | undefined {
  const done = spawnSync(command, words, { encoding: 'utf8' })
  if (done.status === 0) return undefined
  return `${command}: ${done.error?.message ?? done.stderr.trim()}`
}

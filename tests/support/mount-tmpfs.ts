import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A small disk of its own. */
export interface SmallDisk {
  readonly at: string
  /** As `mount -o remount,…`: another size, `ro`, `rw`. */
  remount(options: string): void
  /** Takes it away while files on it may be open: what remains is the empty folder it was mounted on. */
  detach(): void
}

/** One that stays until it is taken away. */
export interface MountedDisk extends SmallDisk {
  unmount(): void
}

/** Mounts a tmpfs until the end of the test; says visibly where that is not permitted, and returns undefined. */
export function mountTmpfs(t: TestContext, options: string): SmallDisk | undefined {
  const disk = mountSmallDisk(options)
  if (typeof disk === 'string') {
    t.diagnostic(`NOT TESTED: ${disk}`)
    return undefined
  }
  t.after(() => disk.unmount())
  return disk
}

/** Mounts a tmpfs, or says why that cannot be done here. */
export function mountSmallDisk(options: string): MountedDisk | string {
  const at = mkdtempSync(join(tmpdir(), 'weightvault-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at], { encoding: 'utf8' })
  if (mounted.status !== 0) {
    rmdirSync(at)
    return `no tmpfs can be mounted here (${mounted.stderr || mounted.error?.message})`
  }
  return {
    at,
    remount(changed) {
      const done = spawnSync('mount', ['-o', `remount,${changed}`, at], { encoding: 'utf8' })
      assert.equal(done.status, 0, done.stderr)
    },
    detach() {
      const done = spawnSync('umount', ['-l', at], { encoding: 'utf8' })
      assert.equal(done.status, 0, done.stderr)
    },
    unmount() {
      spawnSync('umount', ['-l', at])
      rmdirSync(at)
    },
  }
}

import assert from 'node:assert/strict'
import { statfsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FaultProxy, startFaultProxy } from '../../tests/support/fault-proxy/start-fault-proxy.ts'
import { HurriedClock } from '../../tests/support/hurried-clock.ts'
import { mountSmallDisk, type MountedDisk } from '../../tests/support/mount-tmpfs.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import { failureLine, type CampaignOptions, type CampaignResult } from './campaign-options.ts'
import { knownRepo } from './known-contents.ts'
import { onePass, writePassConfig } from './one-pass.ts'
import { Oracle } from './oracle.ts'

const PAGE_BYTES = 4096
const ROOMY = 'size=64m'
/** A pass that was never refused for so many sizes in a row needs no more room. */
const SIZES_UNTIL_ENOUGH = 3
const REPO = knownRepo('Qwen/Small-1B', [120_000, 33_000, 5000, 0])

/** How full the disk gets. */
type Squeeze =
  /** So many pages in all, from the start. */
  | { readonly pages: number }
  /** Nothing is free any more once so many bytes of the answers were sent. */
  | { readonly afterBytes: number }

/**
 * A disk that is full at every page an archive writes, and at many moments of its downloads. Each time the pass must say
 * so, damage nothing, and complete the archive when there is room.
 * `count`: so many sizes, spread over all; undefined = every page.
 */
export async function playDiskFull(options: CampaignOptions): Promise<CampaignResult> {
  const probe = mountSmallDisk(ROOMY)
  if (typeof probe === 'string') return { summary: '', failures: [], notDone: probe }
  probe.unmount()
  const enough = await pagesEnough()
  const step = Math.max(1, Math.floor(enough / (options.count ?? enough)))
  const failures: string[] = []
  let refused = 0
  let played = 0
  const play = async (squeeze: Squeeze): Promise<void> => {
    played += 1
    await playSqueeze(squeeze).then(
      (wasRefused) => (refused += Number(wasRefused)),
      (error: unknown) =>
        failures.push(failureLine(JSON.stringify(squeeze), error, `disk-full --seed ${options.seed}`)),
    )
  }
  for (let pages = options.seed % step; pages <= enough; pages += step) await play({ pages })
  const bytes = REPO.files.reduce((sum, { content }) => sum + content.size, 0)
  for (let afterBytes = 0; afterBytes < bytes; afterBytes += Math.ceil((bytes * step) / enough))
    await play({ afterBytes })
  const summary = `${played} full disks (every ${step === 1 ? '' : `${step}th `}page up to ${enough}, and while bytes came), ${refused} of them refused a write, ${failures.length} failed`
  return { summary, failures }
}

/** Pages with which a whole pass meets no full disk. */
async function pagesEnough(): Promise<number> {
  let low = 0
  let high = 16_384
  while (high - low > SIZES_UNTIL_ENOUGH) {
    const middle = Math.floor((low + high) / 2)
    if (await playSqueeze({ pages: middle }).catch(() => true)) low = middle
    else high = middle
  }
  return high + SIZES_UNTIL_ENOUGH
}

/** Returns whether the disk was too small for the pass. */
async function playSqueeze(squeeze: Squeeze): Promise<boolean> {
  const clock = new HurriedClock()
  await using stack = new AsyncDisposableStack()
  const hub = stack.use(await startSimHub({ now: clock.now, pieceBytes: { min: 1000, max: 3000 } }))
  const commits = new Map([[REPO.id, hub.world.addRepo(REPO.id, REPO.spec)]])
  const proxy = stack.use(await startFaultProxy(hub))
  const disk = mountSmallDisk('pages' in squeeze ? `size=${squeeze.pages * PAGE_BYTES || 1}` : ROOMY)
  if (typeof disk === 'string') throw new Error(disk)
  stack.defer(() => disk.unmount())
  const folder = await mkdtemp(join(tmpdir(), 'weightvault-campaign-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const root = join(disk.at, 'archive')
  const oracle = new Oracle(root, REPO.files)
  if ('afterBytes' in squeeze) proxy.watch = fillAfter(proxy, disk, squeeze.afterBytes)
  const config = await writePassConfig({ folder, root, hubUrl: proxy.url })
  const pass = (): Promise<string | undefined> => onePass(config, folder, clock)

  const refusal = await pass()

  if (refusal !== undefined) assert.ok(['DISK_FULL', 'reserve'].includes(refusal), `the pass ended with ${refusal}`)
  oracle.assertSound()
  proxy.watch = undefined
  disk.remount(ROOMY)
  assert.equal(await pass(), undefined, 'with room the archive is completed')
  oracle.assertComplete(commits)
  return refusal !== undefined
}

function fillAfter(proxy: FaultProxy, disk: MountedDisk, bytes: number): () => void {
  let isFull = false
  return () => {
    if (isFull || proxy.bytesDelivered < bytes) return
    isFull = true
    const { blocks, bfree, bsize } = statfsSync(disk.at)
    disk.remount(`size=${(blocks - bfree) * bsize}`)
  }
}

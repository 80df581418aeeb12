import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Sandbox } from '../support/sandbox.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { until } from '../support/until.ts'

/** Where the program is when it is killed: what the Hub has seen, or what is on the disk. */
export type KillPoint =
  | { readonly kind: 'requests'; readonly count: number }
  | { readonly kind: 'bytes'; readonly count: number }
  | { readonly kind: 'blobs'; readonly count: number }
  | { readonly kind: 'manifests'; readonly count: number }

function countFiles(folder: string, ending: string): number {
  if (!existsSync(folder)) return 0
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(ending)).length
}

function measure(hub: SimHub, root: string, kind: KillPoint['kind']): number {
  if (kind === 'requests') return hub.requests.length
  if (kind === 'bytes') return hub.bytesServed()
  if (kind === 'blobs') return existsSync(join(root, 'blobs')) ? blobCount(root) : 0
  return countFiles(join(root, 'manifests'), '.json')
}

function blobCount(root: string): number {
  return readdirSync(join(root, 'blobs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /[0-9a-f]{64}$/.test(name),
  ).length
}

/** Starts a sync and kills it as soon as the point is reached. Returns false when it had ended before. */
export async function killAt(sandbox: Sandbox, hub: SimHub, point: KillPoint): Promise<boolean> {
  const before = measure(hub, sandbox.root, point.kind)
  const program = sandbox.start(['sync'])
  let isOver = false
  void program.ended.finally(() => (isOver = true)).catch(() => undefined)
  await until(
    `${point.kind} +${point.count}`,
    () => isOver || measure(hub, sandbox.root, point.kind) >= before + point.count,
  )
  program.kill('SIGKILL')
  return (await program.ended).signal === 'SIGKILL'
}

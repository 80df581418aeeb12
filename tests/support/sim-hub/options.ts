import type { Quotas, SimHubOptions } from './types.ts'

/** The options with every default filled in. */
export interface Options {
  readonly seed: number
  quotas: Quotas
  readonly linkLifeSeconds: number
  readonly treePageSize: number
  readonly listPageSizeMax: number
  readonly now: () => number
  readonly tokens: ReadonlyMap<string, { user: string; grants: ReadonlySet<string> }>
  readonly pieceBytes: { min: number; max: number } | 'large'
}

/** Fills in the defaults documented on `SimHubOptions`. */
export function withDefaults(given: SimHubOptions): Options {
  const tokens = Object.entries(given.tokens ?? {}).map(([token, { user, grants }]) => {
    return [token, { user, grants: new Set((grants ?? []).map((id) => id.toLowerCase())) }] as const
  })
  return {
    seed: given.seed ?? 1,
    quotas: given.quotas ?? {},
    linkLifeSeconds: given.linkLifeSeconds ?? 3600,
    treePageSize: given.treePageSize ?? 1000,
    listPageSizeMax: given.listPageSizeMax ?? 1000,
    now: given.now ?? Date.now,
    tokens: new Map(tokens),
    pieceBytes: given.pieceBytes ?? { min: 1, max: 65_536 },
  }
}

/** What a program opens first, to learn which other files there are. */
const ENTRY_NAMES: readonly string[] = [
  'config.json',
  'model_index.json',
  'adapter_config.json',
  'modules.json',
  'params.json',
]
/** Lists of shards, and the shard by which all of a model are opened. */
const SHARD_LISTS: readonly RegExp[] = [/\.index(?:\.[^./]+)?\.json$/, /-0*1-of-\d+\.[^./]+$/]

/**
 * In which order files get their names where they cannot all get them at once: 0 for files that stand for themselves, 1
 * for what names other weights, 2 for what makes a folder look like a model.
 * @param path within the repository
 */
export function entryRank(path: string): 0 | 1 | 2 {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (ENTRY_NAMES.includes(name)) return 2
  return SHARD_LISTS.some((pattern) => pattern.test(name)) ? 1 : 0
}

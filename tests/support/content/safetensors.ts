import type { Content } from './content.ts'
import { generated, joined, literal } from './generated.ts'

/** Bytes of one element, for the dtypes the tests use. Source: safetensors format description. */
export const DTYPE_BYTES = { F32: 4, F16: 2, BF16: 2, F8_E4M3: 1, I64: 8, I32: 4, I8: 1, U8: 1, BOOL: 1 } as const
export type Dtype = keyof typeof DTYPE_BYTES

/** One named array; an empty shape is a single number, a 0 in it an empty array. */
export interface Tensor {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
}

/** A file of a repo: its path there and its bytes. */
export interface NamedContent {
  readonly path: string
  readonly content: Content
}

/** Bytes that the tensor's data takes. */
export function tensorBytes(tensor: Tensor): number {
  return tensor.shape.reduce((product, dimension) => product * dimension, DTYPE_BYTES[tensor.dtype])
}

/**
 * A valid safetensors file of any size: 8 bytes with the header's length, the JSON header padded with spaces to a
 * multiple of 8, then the tensors in the order given, without gaps. The data are `generated(seed)`.
 * @throws Error when two tensors have one name
 */
export function safetensors(file: {
  readonly tensors: readonly Tensor[]
  readonly metadata?: Readonly<Record<string, string>>
  readonly seed: string | number
}): Content {
  const header = new Map<string, unknown>([['__metadata__', { format: 'pt', ...file.metadata }]])
  let end = 0
  for (const tensor of file.tensors) {
    if (header.has(tensor.name)) throw new Error(`two tensors are named ${tensor.name}`)
    const start = end
    end += tensorBytes(tensor)
    header.set(tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [start, end] })
  }
  const text = Buffer.from(objectText(header))
  const padded = Buffer.concat([text, Buffer.alloc(-text.length & 7, ' ')])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  return joined([literal(Buffer.concat([length, padded])), generated(file.seed, end)])
}

/** The two ways Qwen names shards: `model-00001-of-00005.…` and, in Qwen3.5, `model.safetensors-00001-of-00004.…`. */
export type ShardNaming = 'model-' | 'model.safetensors-'

/** Path of one shard, counted from 1; a set of one shard has the numbers too. */
export function shardPath(naming: ShardNaming, shard: number, shards: number): string {
  return `${naming}${fiveDigits(shard)}-of-${fiveDigits(shards)}.safetensors`
}

/**
 * A sharded set: the shard files, each with at least one tensor and about as many bytes as the others, and
 * `model.safetensors.index.json`, which says where each tensor is.
 * @throws Error when there are fewer tensors than shards
 */
export function safetensorsShards(set: {
  readonly tensors: readonly Tensor[]
  readonly shards: number
  readonly naming?: ShardNaming
  readonly metadata?: Readonly<Record<string, string>>
  readonly seed: string | number
}): NamedContent[] {
  const naming = set.naming ?? 'model-'
  const groups = evenGroups(set.tensors, set.shards)
  const shards = groups.map((tensors, index) => ({ path: shardPath(naming, index + 1, set.shards), tensors }))
  return safetensorsFiles({ ...set, shards, indexPath: 'model.safetensors.index.json' })
}

/** Shards whose names and tensors the caller has chosen, all in the folder of the index, and that index. */
export function safetensorsFiles(set: {
  readonly shards: readonly { readonly path: string; readonly tensors: readonly Tensor[] }[]
  readonly indexPath: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly seed: string | number
}): NamedContent[] {
  const files: NamedContent[] = []
  const weightMap = new Map<string, unknown>()
  let totalSize = 0
  for (const { path, tensors } of set.shards) {
    for (const tensor of tensors) {
      if (weightMap.has(tensor.name)) throw new Error(`two shards hold ${tensor.name}`)
      weightMap.set(tensor.name, path.slice(path.lastIndexOf('/') + 1))
      totalSize += tensorBytes(tensor)
    }
    const content = safetensors({
      tensors,
      ...(set.metadata && { metadata: set.metadata }),
      seed: `${set.seed}/${path}`,
    })
    files.push({ path, content })
  }
  const index = `{"metadata":{"total_size":${totalSize}},"weight_map":${objectText(weightMap)}}\n`
  return [...files, { path: set.indexPath, content: literal(index) }]
}

/** Cuts the list, in order, where the running sum of bytes passes each n-th part, and leaves no group empty. */
function evenGroups(tensors: readonly Tensor[], count: number): Tensor[][] {
  if (!Number.isInteger(count) || count < 1 || count > tensors.length) {
    throw new Error(`${tensors.length} tensors do not fill ${count} shards`)
  }
  const total = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0)
  const groups: Tensor[][] = [[]]
  let sum = 0
  for (const [index, tensor] of tensors.entries()) {
    const current = groups.at(-1) ?? []
    const mustSplit = tensors.length - index === count - groups.length
    const isFull = sum >= (total * groups.length) / count
    if (current.length > 0 && groups.length < count && (mustSplit || isFull)) groups.push([tensor])
    else current.push(tensor)
    sum += tensorBytes(tensor)
  }
  return groups
}

/** JSON of a map, in its order: a JavaScript object would move number-like names to the front. */
function objectText(map: ReadonlyMap<string, unknown>): string {
  const members = [...map].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
  return `{${members.join(',')}}`
}

function fiveDigits(number: number): string {
  return String(number).padStart(5, '0')
}

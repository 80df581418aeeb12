/** Formats of weight files, by file ending. `other` is every large file of none of them. */
export const WEIGHT_FORMATS = [
  'safetensors',
  'gguf',
  'bin',
  'pt',
  'pth',
  'ckpt',
  'onnx',
  'h5',
  'msgpack',
  'npz',
  'tflite',
  'other',
] as const
export type WeightFormat = (typeof WEIGHT_FORMATS)[number]

/**
 * Largest file that still counts as small (cards, configs, licences, tokenizers). The largest tokenizer met in the
 * Qwen organisation is below 13 MB.
 */
export const SMALL_FILE_MAX_BYTES = 32 * 1024 * 1024

/** What a listing says of a file, as far as its kind is concerned. */
interface PathAndSize {
  readonly path: string
  readonly size: number
}

/** The weight format of a file, or undefined for a small file. */
export function weightFormatOf(file: PathAndSize): WeightFormat | undefined {
  const dot = file.path.lastIndexOf('.')
  const ending = dot < 0 ? '' : file.path.slice(dot + 1).toLowerCase()
  const format = WEIGHT_FORMATS.find((known) => known === ending)
  if (format !== undefined) return format
  return file.size > SMALL_FILE_MAX_BYTES ? 'other' : undefined
}

/** Cards, configs, licences, tokenizers: what is fetched first and always. */
export function isSmallFile(file: PathAndSize): boolean {
  return weightFormatOf(file) === undefined
}

const QUANT = /^(?:I?Q[1-8](?:_[A-Z0-9]+)*|TQ[12]_0|BF16|F16|F32|FP16|FP32|FP8|MXFP4(?:_[A-Z]+)?|NVFP4)$/

/**
 * The quantisation a GGUF file's name tells, upper case: `Q4_K_M`, `IQ2_XXS`, `UD-Q4_K_XL`, `BF16`; undefined when the
 * name tells none, and for projectors and importance matrices, which are not quantisations of the model.
 */
export function quantOf(path: string): string | undefined {
  if (!path.toLowerCase().endsWith('.gguf')) return undefined
  const parts = path.split('/')
  const name = parts.at(-1) ?? ''
  if (/(?:^|[-._])(?:mmproj|imatrix)(?:[-._]|$)/i.test(name)) return undefined
  return quantInName(name.slice(0, -'.gguf'.length)) ?? quantInName(parts.at(-2) ?? '')
}

function quantInName(name: string): string | undefined {
  const tokens = name.slice(0, 500).toUpperCase().split(/[-.]/)
  for (let at = tokens.length - 1; at >= 0; at -= 1) {
    const token = tokens[at] ?? ''
    if (QUANT.test(token)) return tokens[at - 1] === 'UD' ? `UD-${token}` : token
  }
  return undefined
}

/**
 * Key of the set a weight file belongs to: numbered shards (`…-00001-of-00026…`) of one name, or every safetensors file
 * of a folder that has a `*.safetensors.index.json`. undefined for a file that stands alone.
 */
export function shardSetOf(path: string, indexedFolders: ReadonlySet<string>): string | undefined {
  const slash = path.lastIndexOf('/')
  const folder = path.slice(0, slash + 1)
  const name = path.slice(slash + 1)
  if (name.endsWith('.safetensors') && indexedFolders.has(folder)) return `${folder}*.safetensors`
  const of = name.lastIndexOf('-of-')
  if (of < 5) return undefined
  const number = name.slice(of - 5, of)
  const total = name.slice(of + 4, of + 9)
  if (!/^\d{5}$/.test(number) || !/^\d{5}$/.test(total)) return undefined
  return `${folder}${name.slice(0, of - 5)}*-of-${total}${name.slice(of + 9)}`
}

/** Folders (with trailing `/`, '' for the root) that hold an index of safetensors shards. */
export function foldersWithShardIndex(paths: Iterable<string>): ReadonlySet<string> {
  const folders = new Set<string>()
  for (const path of paths) {
    if (path.endsWith('.safetensors.index.json')) folders.add(path.slice(0, path.lastIndexOf('/') + 1))
  }
  return folders
}

import type { Content } from './content.ts'
import { gguf, ggufTensorBytes, weightsType } from './gguf.ts'
import type { GgufTensor, GgufValue, Quant } from './gguf.ts'
import { DTYPE_BYTES, safetensors, safetensorsFiles } from './safetensors.ts'
import type { Dtype, NamedContent, Tensor } from './safetensors.ts'

/** Said inside every made weight file, so that nobody takes one for the real weights. */
export const STAND_IN = 'generated stand-in of the weightvault tests, not model weights'

/** One safetensors file that is to be made. */
export interface WeightFile {
  readonly path: string
  /** About so many bytes of tensors; at least a few hundred are made. */
  readonly bytes: number
}

const COLUMNS = 64
const LAYER_PARTS = ['self_attn.q_proj', 'self_attn.k_proj', 'mlp.gate_proj', 'mlp.down_proj'] as const

/**
 * safetensors files of about the wanted sizes with tensors named as in a transformer, one layer a file; with an index
 * when `indexPath` is given.
 */
export function weightFiles(wanted: {
  readonly files: readonly WeightFile[]
  readonly dtype: Dtype
  readonly indexPath?: string | undefined
  readonly seed: string
}): NamedContent[] {
  const metadata = { weightvault: STAND_IN }
  const shards = wanted.files.map((file, index) => ({
    path: file.path,
    tensors: layerTensors(`model.layers.${index}`, file.bytes, wanted.dtype),
  }))
  if (wanted.indexPath) return safetensorsFiles({ shards, indexPath: wanted.indexPath, metadata, seed: wanted.seed })
  return shards.map(({ path, tensors }) => {
    return { path, content: safetensors({ tensors, metadata, seed: `${wanted.seed}/${path}` }) }
  })
}

/** A GGUF file of about the wanted size, named in its metadata like the repo it is in. */
export function ggufFile(wanted: {
  readonly architecture: string
  readonly quant: Quant
  readonly bytes: number
  readonly name: string
  readonly license?: string | undefined
  /** Which part of how many, counted from 1, of a split file. */
  readonly part?: { readonly number: number; readonly count: number } | undefined
  readonly seed: string
}): Content {
  const type = weightsType(wanted.quant)
  const rowBytes = ggufTensorBytes({ name: 'row', type, shape: [256] })
  const rows = Math.max(1, Math.round(wanted.bytes / 3 / rowBytes))
  const layer = (wanted.part?.number ?? 1) - 1
  const tensors: GgufTensor[] = [
    { name: `blk.${layer}.attn_norm.weight`, type: 'F32', shape: [256] },
    ...['attn_q', 'ffn_gate', 'ffn_down'].map((part) => {
      return { name: `blk.${layer}.${part}.weight`, type, shape: [256, rows] }
    }),
  ]
  const metadata = new Map<string, GgufValue>([
    ['general.name', wanted.name],
    ['general.description', STAND_IN],
    ['general.license', wanted.license ?? 'unknown'],
    [`${wanted.architecture}.block_count`, wanted.part?.count ?? 1],
    [`${wanted.architecture}.context_length`, 40_960],
    [`${wanted.architecture}.embedding_length`, 256],
  ])
  if (wanted.part) {
    metadata.set('split.no', { uint16: wanted.part.number - 1 })
    metadata.set('split.count', { uint16: wanted.part.count })
  }
  const chatTemplate = wanted.architecture === 'clip' ? undefined : CHAT_TEMPLATE
  return gguf({ ...wanted, tensors, metadata, ...(chatTemplate && { chatTemplate }) })
}

/** A short chat template in the style of the Qwen models. */
export const CHAT_TEMPLATE =
  "{%- for message in messages %}\n    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n" +
  "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"

function layerTensors(prefix: string, bytes: number, dtype: Dtype): Tensor[] {
  const rows = Math.max(1, Math.round(bytes / LAYER_PARTS.length / COLUMNS / DTYPE_BYTES[dtype]))
  return [
    { name: `${prefix}.input_layernorm.weight`, dtype: 'BF16', shape: [COLUMNS] },
    ...LAYER_PARTS.map((part) => ({ name: `${prefix}.${part}.weight`, dtype, shape: [rows, COLUMNS] })),
  ]
}

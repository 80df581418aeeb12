import type { Content } from './content.ts'
import { generated, joined, literal } from './generated.ts'

/** Where tensor data start and how each tensor is aligned, unless `general.alignment` says otherwise. */
const ALIGNMENT = 32

/** Number, elements a block and bytes a block of each tensor type. Source: ggml.h, ggml-common.h. */
const GGML_TYPES = {
  F32: { id: 0, elements: 1, bytes: 4 },
  F16: { id: 1, elements: 1, bytes: 2 },
  Q4_0: { id: 2, elements: 32, bytes: 18 },
  Q5_0: { id: 6, elements: 32, bytes: 22 },
  Q8_0: { id: 8, elements: 32, bytes: 34 },
  Q2_K: { id: 10, elements: 256, bytes: 84 },
  Q3_K: { id: 11, elements: 256, bytes: 110 },
  Q4_K: { id: 12, elements: 256, bytes: 144 },
  Q5_K: { id: 13, elements: 256, bytes: 176 },
  Q6_K: { id: 14, elements: 256, bytes: 210 },
  IQ4_XS: { id: 23, elements: 256, bytes: 136 },
  BF16: { id: 30, elements: 1, bytes: 2 },
} as const
export type GgmlType = keyof typeof GGML_TYPES

/** `general.file_type` of a file's quantisation and the tensor type most of its weights have. Source: llama.h. */
const FILE_TYPES = {
  F32: { fileType: 0, weights: 'F32' },
  F16: { fileType: 1, weights: 'F16' },
  Q4_0: { fileType: 2, weights: 'Q4_0' },
  Q8_0: { fileType: 7, weights: 'Q8_0' },
  Q5_0: { fileType: 8, weights: 'Q5_0' },
  Q2_K: { fileType: 10, weights: 'Q2_K' },
  Q3_K_M: { fileType: 12, weights: 'Q3_K' },
  Q4_K_S: { fileType: 14, weights: 'Q4_K' },
  Q4_K_M: { fileType: 15, weights: 'Q4_K' },
  Q5_K_M: { fileType: 17, weights: 'Q5_K' },
  Q6_K: { fileType: 18, weights: 'Q6_K' },
  IQ4_XS: { fileType: 30, weights: 'IQ4_XS' },
  BF16: { fileType: 32, weights: 'BF16' },
  // Mixtures of one publisher: in the file they say the nearest official type.
  'UD-Q2_K_XL': { fileType: 10, weights: 'Q2_K' },
  'UD-Q3_K_XL': { fileType: 12, weights: 'Q3_K' },
  'UD-Q4_K_XL': { fileType: 15, weights: 'Q4_K' },
  'UD-Q5_K_XL': { fileType: 17, weights: 'Q5_K' },
  'UD-Q6_K_XL': { fileType: 18, weights: 'Q6_K' },
  'UD-Q8_K_XL': { fileType: 7, weights: 'Q8_0' },
} as const satisfies Record<string, { fileType: number; weights: GgmlType }>
/** A quantisation as file names spell it. */
export type Quant = keyof typeof FILE_TYPES

/** Every quantisation that `gguf` can write. */
export const QUANTS = Object.keys(FILE_TYPES) as Quant[]

/** One named array; the first dimension is the row, a multiple of the type's block. */
export interface GgufTensor {
  readonly name: string
  readonly type: GgmlType
  readonly shape: readonly number[]
}

/** A whole number is written as uint32 (int32 below 0), any other number as float32, a bigint as uint64. */
export type GgufValue = string | boolean | number | bigint | { readonly uint16: number } | readonly string[]

/** The tensor type that most weights of a file with this quantisation have. */
export function weightsType(quant: Quant): GgmlType {
  return FILE_TYPES[quant].weights
}

/**
 * Bytes that the tensor's data takes, without padding.
 * @throws Error when the row is no multiple of the type's block
 */
export function ggufTensorBytes(tensor: GgufTensor): number {
  const { elements, bytes } = GGML_TYPES[tensor.type]
  const row = tensor.shape[0] ?? 1
  if (row % elements !== 0) throw new Error(`a row of ${row} is no multiple of ${elements}: ${tensor.name}`)
  return (tensor.shape.reduce((product, dimension) => product * dimension, 1) / elements) * bytes
}

/**
 * A valid little-endian GGUF v3 file of any size. Metadata are `general.*` for the architecture and quantisation,
 * the chat template if given, then `metadata` in its order. Each tensor's data are `generated` from the seed and its
 * name and start at a multiple of 32. Source: GGUF specification in ggml's docs/gguf.md.
 */
export function gguf(file: {
  readonly architecture: string
  readonly quant: Quant
  readonly tensors: readonly GgufTensor[]
  readonly chatTemplate?: string
  readonly metadata?: ReadonlyMap<string, GgufValue>
  readonly seed: string | number
}): Content {
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', file.architecture],
    ['general.file_type', FILE_TYPES[file.quant].fileType],
    ['general.quantization_version', 2],
    ...(file.chatTemplate === undefined ? [] : [['tokenizer.chat_template', file.chatTemplate] as const]),
    ...(file.metadata ?? []),
  ])
  const head = [Buffer.from('GGUF'), uint32(3), uint64(file.tensors.length), uint64(metadata.size)]
  for (const [key, value] of metadata) head.push(string(key), typedValue(value))

  const data: Content[] = []
  let offset = 0
  for (const tensor of file.tensors) {
    head.push(string(tensor.name), uint32(tensor.shape.length), ...tensor.shape.map(uint64))
    head.push(uint32(GGML_TYPES[tensor.type].id), uint64(offset))
    const bytes = ggufTensorBytes(tensor)
    data.push(generated(`${file.seed}/${tensor.name}`, bytes), literal(padding(bytes)))
    offset += bytes + padding(bytes).length
  }
  const header = Buffer.concat(head)
  return joined([literal(header), literal(padding(header.length)), ...data])
}

function padding(length: number): Buffer {
  return Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT)
}

function typedValue(value: GgufValue): Buffer {
  if (typeof value === 'string') return Buffer.concat([uint32(8), string(value)])
  if (typeof value === 'boolean') return Buffer.concat([uint32(7), Buffer.from([value ? 1 : 0])])
  if (typeof value === 'bigint') return Buffer.concat([uint32(10), uint64(value)])
  if (typeof value === 'number') return typedNumber(value)
  return 'uint16' in value ? typedUint16(value.uint16) : typedStrings(value)
}

function typedNumber(value: number): Buffer {
  if (Number.isInteger(value) && value >= 0) return Buffer.concat([uint32(4), uint32(value)])
  const bytes = Buffer.alloc(4)
  if (Number.isInteger(value)) {
    bytes.writeInt32LE(value)
    return Buffer.concat([uint32(5), bytes])
  }
  bytes.writeFloatLE(value)
  return Buffer.concat([uint32(6), bytes])
}

function typedUint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return Buffer.concat([uint32(2), bytes])
}

function typedStrings(values: readonly string[]): Buffer {
  return Buffer.concat([uint32(9), uint32(8), uint64(values.length), ...values.map(string)])
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([uint64(bytes.length), bytes])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function uint64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

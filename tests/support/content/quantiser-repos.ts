import type { Quant } from './gguf.ts'
import { DEFAULT_SCALE } from './line-up.ts'
import type { LineUpRepo } from './line-up.ts'
import { fixtureBytes } from './fixture-file.ts'
import { readmeOf } from './model-card.ts'
import { ggufFile } from './weight-files.ts'

/** Bits a weight of each quantisation that the publisher offers for every model. */
const QUANT_BITS = new Map<Quant, number>([
  ['UD-Q2_K_XL', 3.2],
  ['Q3_K_M', 3.9],
  ['UD-Q3_K_XL', 4.1],
  ['IQ4_XS', 4.4],
  ['Q4_K_S', 4.6],
  ['Q4_K_M', 4.9],
  ['UD-Q4_K_XL', 5],
  ['Q5_K_M', 5.7],
  ['UD-Q5_K_XL', 5.8],
  ['Q6_K', 6.6],
  ['UD-Q6_K_XL', 7.1],
  ['Q8_0', 8.5],
  ['UD-Q8_K_XL', 10],
])
const PROJECTORS: readonly Quant[] = ['BF16', 'F16', 'F32']
/** With parts of this size the 397B model has as many as the real repo: 6 for Q4_K_M, 10 for Q8_0. */
const SPLIT_BYTES = 45e9

interface Model {
  readonly name: string
  readonly parameters: number
  readonly createdAt: string
}

const MODELS: readonly Model[] = [
  { name: 'Qwen3.5-9B', parameters: 9_653_104_368, createdAt: '2026-03-02T11:05:51.000Z' },
  { name: 'Qwen3.5-397B-A17B', parameters: 403_397_928_944, createdAt: '2026-02-16T10:14:09.000Z' },
]

/**
 * Repos of a third party that quantises the Qwen models (unsloth), scaled down as in `qwenLineUp`: the small model's
 * files lie in the root, the large one's are split and lie in a folder for each quantisation, as the publisher does it.
 */
export function quantiserLineUp(options: { readonly scale?: number } = {}): LineUpRepo[] {
  return MODELS.map((model) => quantiserRepo(model, options.scale ?? DEFAULT_SCALE))
}

function quantiserRepo(model: Model, scale: number): LineUpRepo {
  const id = `unsloth/${model.name}-GGUF`
  const card = {
    base_model: [`Qwen/${model.name}`],
    library_name: 'transformers',
    license: 'apache-2.0',
    license_link: `https://huggingface.co/Qwen/${model.name}/blob/main/LICENSE`,
    pipeline_tag: 'image-text-to-text',
    tags: ['unsloth', 'qwen3_5'],
  }
  const quants = [...QUANT_BITS.keys()].flatMap((quant) => quantFiles(id, model, quant, scale))
  const projectors = PROJECTORS.map((quant) => ({
    path: `mmproj-${quant}.gguf`,
    content: ggufFile({ architecture: 'clip', quant, bytes: 9e8 * scale, name: model.name, seed: `${id}/${quant}` }),
    lfs: true,
  }))
  return {
    id,
    createdAt: model.createdAt,
    date: model.createdAt,
    card,
    tags: [],
    files: [
      { path: '.gitattributes', content: fixtureBytes('qwen/qwen3-0.6b/gitattributes.txt'), lfs: false },
      { path: 'README.md', content: readmeOf(`${model.name}-GGUF`, card), lfs: false },
      ...quants,
      ...projectors,
    ],
  }
}

/** One file, or the parts of a large one in a folder of their own. */
function quantFiles(id: string, model: Model, quant: Quant, scale: number): LineUpRepo['files'] {
  const bytes = (model.parameters * (QUANT_BITS.get(quant) ?? 8)) / 8
  const count = Math.ceil(bytes / SPLIT_BYTES)
  return Array.from({ length: count }, (_, index) => {
    const part = count > 1 ? { number: index + 1, count } : undefined
    const suffix = part ? `-${fiveDigits(part.number)}-of-${fiveDigits(count)}` : ''
    const path = `${part ? `${quant}/` : ''}${model.name}-${quant}${suffix}.gguf`
    const content = ggufFile({
      architecture: 'qwen35',
      quant,
      bytes: (bytes * scale) / count,
      name: model.name,
      license: 'apache-2.0',
      part,
      seed: `${id}/${path}`,
    })
    return { path, content, lfs: true }
  })
}

function fiveDigits(number: number): string {
  return String(number).padStart(5, '0')
}

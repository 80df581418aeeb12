import type { Quant } from './gguf.ts'
import type { RepoFacts } from './repo-facts.ts'
import type { NamedContent } from './safetensors.ts'
import { shardPath } from './safetensors.ts'
import { ggufFile, weightFiles } from './weight-files.ts'
import type { WeightFile } from './weight-files.ts'

/** Bits a weight of each quantisation in Qwen's own GGUF repos, for sizes that no source gives. */
const QUANT_BITS = new Map<Quant, number>([
  ['Q2_K', 3],
  ['Q4_0', 4.6],
  ['Q4_K_M', 4.9],
  ['Q5_K_M', 5.7],
  ['Q6_K', 6.6],
  ['Q8_0', 8.5],
  ['F16', 16],
])
const SPLIT_BYTES = 4e9

/** The weight files of a repo of Qwen's own, each `scale` times as large as the real one. */
export function repoWeights(facts: RepoFacts, pipelineTag: unknown, scale: number): NamedContent[] {
  if (facts.isGguf) return ggufFiles(facts, scale)
  if (pipelineTag === 'text-to-image') return imageModelWeights(facts, scale)
  const files = safetensorsPaths(facts).map(({ path, bytes }) => ({ path, bytes: bytes * scale }))
  const [first] = files
  const indexPath = first?.path === 'model.safetensors' ? undefined : 'model.safetensors.index.json'
  return weightFiles({ files, dtype: facts.name.endsWith('FP8') ? 'F8_E4M3' : 'BF16', indexPath, seed: facts.id })
}

/** The recorded file names, else names in the style of the generation. */
function safetensorsPaths(facts: RepoFacts): WeightFile[] {
  const share = facts.weightBytes / facts.weightFiles
  const recorded = [...facts.files].filter(([path]) => path.endsWith('.safetensors'))
  if (recorded.length > 1) return recorded.map(([path, size]) => ({ path, bytes: size ?? share }))
  const isNumbered = facts.family === 'Qwen3.5'
  if (facts.weightFiles === 1 && !isNumbered) return [{ path: 'model.safetensors', bytes: facts.weightBytes }]
  const naming = isNumbered ? 'model.safetensors-' : 'model-'
  return Array.from({ length: facts.weightFiles }, (_, index) => {
    return { path: shardPath(naming, index + 1, facts.weightFiles), bytes: share }
  })
}

/** Parts in folders, each with its own index, as the diffusers library lays them out. */
function imageModelWeights(facts: RepoFacts, scale: number): NamedContent[] {
  const part = (folder: string, name: string, shards: number, share: number): NamedContent[] => {
    const files = Array.from({ length: shards }, (_, index) => {
      const path = `${folder}/${shardPath('model-', index + 1, shards).replace('model', name)}`
      return { path, bytes: (facts.weightBytes * share * scale) / shards }
    })
    // Every folder counts its layers from 0: a seed of its own keeps their bytes apart.
    const indexPath = `${folder}/${name}.safetensors.index.json`
    return weightFiles({ files, dtype: 'BF16', indexPath, seed: `${facts.id}/${folder}` })
  }
  return [
    ...part('text_encoder', 'model', 4, 0.3),
    ...part('transformer', 'diffusion_pytorch_model', Math.max(2, facts.weightFiles - 5), 0.69),
    ...weightFiles({
      files: [{ path: 'vae/diffusion_pytorch_model.safetensors', bytes: facts.weightBytes * 0.01 * scale }],
      dtype: 'BF16',
      seed: facts.id,
    }),
  ]
}

function ggufFiles(facts: RepoFacts, scale: number): NamedContent[] {
  const architecture = facts.family.startsWith('Qwen3') ? 'qwen3' : 'qwen2'
  const files: NamedContent[] = []
  for (const { quant, path, bytes, count, number } of ggufPaths(facts)) {
    const isProjector = path.startsWith('mmproj')
    const content = ggufFile({
      architecture: isProjector ? 'clip' : architecture,
      quant,
      bytes: bytes * scale,
      name: facts.name.replace(/-GGUF$/, ''),
      license: facts.license.startsWith('other') ? 'other' : facts.license || undefined,
      ...(count > 1 && { part: { number, count } }),
      seed: `${facts.id}/${path}`,
    })
    files.push({ path, content })
  }
  return files
}

interface GgufPath {
  readonly path: string
  readonly quant: Quant
  readonly bytes: number
  /** Of a split file, else 1 of 1. */
  readonly number: number
  readonly count: number
}

/** The recorded files of the repo and those its generation has besides. */
function ggufPaths(facts: RepoFacts): GgufPath[] {
  const known = [...facts.files].filter(([path]) => path.endsWith('.gguf'))
  if (facts.family === 'Qwen3-VL') return known.map(([path, size]) => wholeFile(path, size ?? 1e9))
  const isOneQuant = facts.name === 'Qwen3-0.6B-GGUF'
  const quants = isOneQuant ? (['Q8_0'] as const) : QUANT_BITS.keys()
  return [...quants].flatMap((quant) => {
    const bytes = (facts.parameters * (QUANT_BITS.get(quant) ?? 8)) / 8
    const path = ggufName(facts, quant)
    const size = facts.files.get(path)
    const count = facts.family.startsWith('Qwen3') || size !== undefined ? 1 : Math.ceil(bytes / SPLIT_BYTES)
    if (count === 1) return [{ ...wholeFile(path, size ?? bytes), quant }]
    return Array.from({ length: count }, (_, index) => {
      const stem = path.replace(/\.gguf$/, '-')
      const part = shardPath('model-', index + 1, count)
        .replace('model-', '')
        .replace('.safetensors', '.gguf')
      return { path: `${stem}${part}`, quant, bytes: bytes / count, number: index + 1, count }
    })
  })
}

function wholeFile(path: string, bytes: number): GgufPath {
  const quant = [...QUANT_BITS.keys()].find((name) => path.toUpperCase().includes(name)) ?? 'F16'
  return { path, quant, bytes, number: 1, count: 1 }
}

/** Qwen3: `Qwen3-8B-Q4_K_M.gguf`; before: `qwen2.5-7b-instruct-q4_k_m.gguf`, and `qwen1_5-7b-chat-q4_k_m.gguf`. */
function ggufName(facts: RepoFacts, quant: Quant): string {
  const stem = facts.name.replace(/-GGUF$/, '')
  if (facts.family.startsWith('Qwen3')) return `${stem}-${quant === 'F16' ? 'f16' : quant}.gguf`
  const old = `${stem}-${quant === 'F16' ? 'fp16' : quant}.gguf`.toLowerCase()
  return old.replace('qwen1.5', old.startsWith('code') ? 'qwen-1_5' : 'qwen1_5')
}

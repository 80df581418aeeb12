import { generated } from './generated.ts'
import type { LineUpRepo } from './line-up.ts'
import { readmeOf } from './model-card.ts'
import { weightFiles } from './weight-files.ts'

const FIRST_DAY_MS = Date.UTC(2023, 7, 3)

/**
 * Many tiny repos for benchmarks of listing and planning: each a README.md, a config.json, a vocabulary and one
 * safetensors file, some kilobytes in all, created one hour after the other. All bytes follow from owner and number.
 */
export function syntheticRepos(options: {
  readonly count: number
  /** Default `Qwen`. */
  readonly owner?: string
  /** Bytes of tensors in each repo; default 2 kB. */
  readonly weightBytes?: number
}): LineUpRepo[] {
  const owner = options.owner ?? 'Qwen'
  return Array.from({ length: options.count }, (_, index) => {
    const name = `Synthetic-${String(index + 1).padStart(5, '0')}`
    const id = `${owner}/${name}`
    const createdAt = new Date(FIRST_DAY_MS + index * 3_600_000).toISOString()
    const card = { license: index % 7 === 6 ? 'mit' : 'apache-2.0', pipeline_tag: 'text-generation' }
    const weights = weightFiles({
      files: [{ path: 'model.safetensors', bytes: options.weightBytes ?? 2000 }],
      dtype: 'BF16',
      seed: id,
    })
    return {
      id,
      createdAt,
      date: createdAt,
      card,
      tags: ['qwen3'],
      files: [
        { path: 'README.md', content: readmeOf(name, card), lfs: false },
        { path: 'config.json', content: `{"model_type":"qwen3","name":"${name}"}\n`, lfs: false },
        { path: 'vocab.json', content: generated(`${id}/vocab.json`, 500), lfs: false },
        ...weights.map((file) => ({ ...file, lfs: true })),
      ],
    }
  })
}

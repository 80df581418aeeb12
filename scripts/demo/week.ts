import { gguf } from '../../tests/support/content/gguf.ts'
import { generated } from '../../tests/support/content/generated.ts'
import type { World } from '../../tests/support/sim-hub/types.ts'

/** One day of the demo: what happens on the Hub, and the events that prove it was noticed. */
export interface Day {
  readonly name: string
  readonly what: string
  readonly change: (world: World) => void
  /** Event types that must all appear. */
  readonly expect: readonly string[]
}

const REPLACED = 'Qwen/Qwen3.5-9B'
const NEW_REPO = 'Qwen/Qwen3.9-4B-GGUF'

/** The days after the first pass. */
export const WEEK: readonly Day[] = [
  {
    name: 'Tuesday',
    what: `a new variant, ${NEW_REPO}`,
    expect: ['repo-published', 'snapshot-sealed'],
    change: (world) => {
      world.addRepo(NEW_REPO, {
        createdAt: '2026-11-10T08:00:00.000Z',
        card: { license: 'apache-2.0', base_model: 'Qwen/Qwen3.9-4B', pipeline_tag: 'text-generation' },
        files: [
          { path: 'config.json', content: '{"model_type":"qwen3_9"}\n' },
          { path: 'Qwen3.9-4B-Q4_K_M.gguf', content: smallGguf('q4') },
        ],
      })
    },
  },
  {
    name: 'Wednesday',
    what: 'a commit that touches only README.md',
    expect: ['repo-updated', 'snapshot-sealed'],
    change: (world) => {
      world.commit('Qwen/Qwen3-8B', {
        title: 'Update README.md',
        set: [{ path: 'README.md', content: '---\nlicense: apache-2.0\n---\n# Qwen3-8B\n\nA clearer introduction.\n' }],
      })
    },
  },
  {
    name: 'Thursday',
    what: `a shard of ${REPLACED} replaced under the same name`,
    expect: ['files-replaced', 'snapshot-sealed'],
    change: (world) => {
      const shard = world.repo(REPLACED).paths.find((path) => path.endsWith('.safetensors'))
      if (shard === undefined) throw new Error(`${REPLACED} has no shard`)
      world.commit(REPLACED, {
        title: 'Fix weights',
        set: [{ path: shard, content: generated('replaced', 40_000), lfs: true }],
      })
    },
  },
  {
    name: 'Friday',
    what: 'Qwen/Qwen3.5-4B changes its licence',
    expect: ['license-changed'],
    change: (world) => {
      world.commit('Qwen/Qwen3.5-4B', {
        title: 'Update license',
        card: { license: 'other', license_name: 'qwen-commercial', license_link: 'LICENSE' },
      })
    },
  },
  {
    name: 'Saturday',
    what: 'Qwen/Qwen-Image is gated',
    expect: ['gate-changed'],
    change: (world) => world.setGated('Qwen/Qwen-Image', 'manual'),
  },
  {
    name: 'Sunday',
    what: 'Qwen/Qwen2.5-3B-Instruct vanishes',
    expect: ['repo-unavailable'],
    change: (world) => world.deleteRepo('Qwen/Qwen2.5-3B-Instruct'),
  },
]

function smallGguf(seed: string): ReturnType<typeof gguf> {
  return gguf({
    architecture: 'qwen3',
    quant: 'Q4_K_M',
    tensors: [{ name: 'token_embd.weight', type: 'Q4_K', shape: [256, 64] }],
    seed,
  })
}

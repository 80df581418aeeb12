import { generated } from './content/generated.ts'
import type { RepoSpec } from './sim-hub/types.ts'

/** A repo with a card, a config and one weight file; other seeds have other bytes. */
export function smallModel(seed: string, bytes = 50_000): RepoSpec {
  return {
    card: { license: 'apache-2.0' },
    files: [
      { path: 'config.json', content: `{"seed":"${seed}"}\n` },
      { path: 'model.safetensors', content: generated(seed, bytes), lfs: true },
    ],
  }
}

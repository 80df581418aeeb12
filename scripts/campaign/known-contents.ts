import type { Content } from '../../tests/support/content/content.ts'
import { sha256Of } from '../../tests/support/content/digests.ts'
import { generated, literal } from '../../tests/support/content/generated.ts'
import type { RepoSpec } from '../../tests/support/sim-hub/types.ts'

/** One file whose bytes the campaign made itself, so that nothing it checks rests on the program's or the Hub's word. */
export interface KnownFile {
  readonly repo: string
  readonly path: string
  readonly content: Content
  readonly sha256: string
}

/** A repo whose every byte is known. */
export interface KnownRepo {
  readonly id: string
  readonly spec: RepoSpec
  readonly files: readonly KnownFile[]
}

/**
 * A repo with a small file and weight files of these sizes, no two alike.
 * @param seed other seeds have other bytes
 * @param shared one more weight file, which another repo may have, too
 */
export function knownRepo(id: string, sizes: readonly number[], seed = id, shared?: Content): KnownRepo {
  const weights = sizes.map((size, at) => ({
    path: `model-${at}.safetensors`,
    content: generated(`${seed} ${at}`, size),
  }))
  if (shared !== undefined) weights.push({ path: 'shared.safetensors', content: shared })
  const config = { path: 'config.json', content: literal(`{"of":"${seed}"}\n`) }
  const files = [config, ...weights].map((file) => ({ repo: id, ...file, sha256: sha256Of(file.content) }))
  const spec: RepoSpec = {
    files: files.map(({ path, content, sha256 }) => ({ path, content, sha256, lfs: path !== config.path })),
  }
  return { id, spec, files }
}

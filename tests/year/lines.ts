import { generated } from '../support/content/generated.ts'
import type { FileSpec } from '../support/sim-hub/types.ts'

/** A large file with bytes of its own. */
export function weights(path: string, seed: string, bytes = 2000): FileSpec {
  return { path, content: generated(seed, bytes), lfs: true }
}

/** The events of a new head, as the script writes them. */
export function updated(repo: string, severity = 'info'): string[] {
  return [`repo-updated ${severity} ${repo}`, sealed(repo)]
}

export function sealed(repo: string): string {
  return `snapshot-sealed info ${repo}`
}

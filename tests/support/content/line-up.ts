import type { RepoSpec } from '../sim-hub/types.ts'
import { cardOf, licenseTextOf, readmeOf } from './model-card.ts'
import { QWEN3_COMMIT, QWEN3_REPO, qwen3Files } from './qwen3-revision.ts'
import { chosenBy, qwenRepoFacts } from './repo-facts.ts'
import type { RepoFacts } from './repo-facts.ts'
import { repoWeights } from './repo-weights.ts'
import { modelTypeOf, smallFile, smallPaths } from './small-files.ts'

/** A repo for `world.addRepo(repo.id, repo)`. */
export interface LineUpRepo extends RepoSpec {
  id: string
  createdAt: string
  date: string
  card: Record<string, unknown>
  tags: string[]
  /** Real commit id, of the one repo whose files are real; a simulated Hub that makes its own ids ignores it. */
  commit?: string
}

export interface LineUpOptions {
  /** Size of weight files as a part of the real one; default 1 / 250,000: 4 kB for a gigabyte. */
  readonly scale?: number
  /** How many repos; default all of `FEATURED`, at most the 376 of the recorded line-up. */
  readonly repos?: number
  /** `false`: small stand-ins instead of the 16 MB of real tokenizer files. Default `true`. */
  readonly real?: boolean
}

export const DEFAULT_SCALE = 1 / 250_000

/** The repos that come first: every generation, format, licence and way to name files is among them. */
export const FEATURED = [
  'Qwen3-0.6B',
  'Qwen3.5-9B',
  'Qwen3-8B-GGUF',
  'Qwen3-8B',
  'Qwen2.5-3B-Instruct',
  'Qwen3.5-4B',
  'Qwen3.6-35B-A3B',
  'Qwen-Image',
  'Qwen-Image-2.1',
  'Qwen3.5-397B-A17B',
  'Qwen3.8-2.4T-A95B',
  'Qwen3.8-27B-FP8',
  'Qwen3.5-27B',
  'Qwen2.5-72B-Instruct',
  'Qwen-7B',
  'Qwen3-VL-2B-Instruct',
  'Qwen3-VL-2B-Instruct-GGUF',
  'Qwen2-72B-Instruct',
  'Qwen2.5-Coder-3B-Instruct',
  'CodeQwen1.5-7B-Chat-GGUF',
  'Qwen2.5-7B-Instruct-GGUF',
  'Qwen3-0.6B-GGUF',
  'Qwen3-4B-GGUF',
  'Qwen3-4B',
  'Qwen3-4B-Instruct-2507',
  'Qwen3-30B-A3B',
  'Qwen3-235B-A22B',
  'Qwen3-Coder-30B-A3B-Instruct',
  'Qwen3-Next-80B-A3B-Instruct',
  'Qwen3-Embedding-0.6B',
  'Qwen3-Embedding-0.6B-GGUF',
  'Qwen3-Reranker-8B',
  'Qwen3-Omni-30B-A3B-Instruct',
  'Qwen3-ASR-1.7B',
  'Qwen3.5-0.8B',
  'Qwen3.5-2B',
  'Qwen3.5-35B-A3B',
  'Qwen3.5-35B-A3B-FP8',
  'Qwen3.5-122B-A10B',
  'Qwen3.6-27B',
  'Qwen3.8-27B',
  'QwQ-32B',
  'QVQ-72B-Preview',
  'Qwen1.5-7B',
] as const

/** Repos that get the real tokenizer files: the Hub has the same bytes in both. */
const REAL_TOKENIZER = [QWEN3_REPO, 'Qwen/Qwen3-8B']
const TOKENIZER_FILES = ['merges.txt', 'tokenizer.json', 'vocab.json']
/** Weights of the repo with the real files: large enough to be fetched in several pieces. */
const REAL_REPO_WEIGHT_BYTES = 512 * 1024

/**
 * The Qwen organisation, scaled down: real names, dates, licences, file names and shard counts; weights and most small
 * files are generated and say so. Eight files of Qwen/Qwen3-0.6B are real. The same call gives the same bytes.
 */
export function qwenLineUp(options: LineUpOptions = {}): LineUpRepo[] {
  const facts = new Map(qwenRepoFacts().map((repo) => [repo.id, repo]))
  const ids = new Set([...FEATURED.map((name) => `Qwen/${name}`), ...facts.keys()])
  const count = options.repos ?? FEATURED.length
  if (count > ids.size) throw new Error(`the line-up has ${ids.size} repos, not ${count}; see syntheticRepos`)
  return [...ids].slice(0, count).map((id) => {
    const repo = facts.get(id)
    if (!repo) throw new Error(`${id} is not in the recorded line-up`)
    return lineUpRepo(repo, options)
  })
}

function lineUpRepo(facts: RepoFacts, options: LineUpOptions): LineUpRepo {
  const isReal = facts.id === QWEN3_REPO && options.real !== false
  const card = cardOf(facts)
  const scale = isReal ? REAL_REPO_WEIGHT_BYTES / facts.weightBytes : (options.scale ?? DEFAULT_SCALE)
  const files = new Map<string, RepoSpec['files'][number]['content']>()
  for (const path of smallPaths(facts, card['pipeline_tag'])) files.set(path, smallFile(path, facts))
  for (const path of facts.files.keys()) if (isSmall(path)) files.set(path, smallFile(path, facts))
  const license = licenseTextOf(facts, card)
  if (license === undefined) files.delete('LICENSE')
  else files.set('LICENSE', license)
  files.set('README.md', readmeOf(facts.name, card))
  for (const { path, content } of repoWeights(facts, card['pipeline_tag'], scale)) files.set(path, content)
  for (const [path, content] of realFiles(facts.id, options)) files.set(path, content)
  return {
    id: facts.id,
    ...datesOf(facts),
    card,
    tags: tagsOf(facts, card['pipeline_tag']),
    files: [...files].map(([path, content]) => ({ path, content, lfs: isLfs(path, facts.family) })),
    ...(isReal && { commit: QWEN3_COMMIT }),
  }
}

function realFiles(id: string, options: LineUpOptions): [string, RepoSpec['files'][number]['content']][] {
  if (options.real === false || !REAL_TOKENIZER.includes(id)) return []
  return [...qwen3Files()].filter(([path]) => id === QWEN3_REPO || TOKENIZER_FILES.includes(path))
}

function datesOf(facts: RepoFacts): { createdAt: string; date: string } {
  // Created six days before it was public: recorded in tests/fixtures/qwen/timeline-qwen-image-2.1.json.
  if (facts.name === 'Qwen-Image-2.1')
    return { createdAt: '2026-09-14T03:47:26.000Z', date: '2026-09-21T04:50:00.000Z' }
  const later = 3_600_000 + chosenBy(`${facts.id} date`, 3 * 86_400_000)
  return { createdAt: facts.createdAt, date: new Date(Date.parse(facts.createdAt) + later).toISOString() }
}

function isSmall(path: string): boolean {
  return !/\.(?:safetensors|gguf)$/.test(path) && !path.endsWith('.safetensors.index.json')
}

/** Weights, and tokenizer.json from Qwen3 on: before, it was small enough for git. */
function isLfs(path: string, family: string): boolean {
  const isBefore = /^(?:Code)?Qwen(?:$|1|2|-VL|-Audio)/.test(family)
  return /\.(?:safetensors|gguf)$/.test(path) || (path.endsWith('tokenizer.json') && !isBefore)
}

function tagsOf(facts: RepoFacts, pipelineTag: unknown): string[] {
  if (facts.isGguf || pipelineTag === 'text-to-image') return []
  return [modelTypeOf(facts), ...(pipelineTag === 'text-generation' ? ['conversational'] : [])]
}

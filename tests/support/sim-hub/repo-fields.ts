/** The fields of a repo in list and info answers, spelled as the API spells them. */
import { configOf, safetensorsOf, tagsOf } from './card.ts'
import { seededHex } from './random.ts'
import { byText, type Commit, type RepoState } from './repo-state.ts'
import { fileIds } from './stored-file.ts'
import type { RepoType } from './types.ts'

const words = (text: string) => text.split(' ')

const COMMON = [
  'author',
  'cardData',
  'createdAt',
  'disabled',
  'lastModified',
  'likes',
  'private',
  'resourceGroup',
  'sha',
]
const MORE_COMMON = ['siblings', 'tags', 'trendingScore', 'usedStorage', 'gitalyUid']
/** What `expand` may name, by type of repo. */
export const EXPANDABLE: Record<RepoType, ReadonlySet<string>> = {
  model: new Set([
    ...COMMON,
    ...MORE_COMMON,
    ...words('baseModels childrenModelCount config downloads downloadsAllTime evalResults gated gguf'),
    ...words('inference inferenceProviderMapping library_name mask_token model-index pipeline_tag'),
    ...words('safetensors spaces transformersInfo widgetData xetEnabled'),
  ]),
  dataset: new Set([
    ...COMMON,
    ...MORE_COMMON,
    ...words('citation description downloads downloadsAllTime gated mainSize paperswithcode_id'),
  ]),
  space: new Set([...COMMON, ...MORE_COMMON, 'datasets', 'models', 'region', 'runtime', 'sdk', 'subdomain']),
}

const LIST_DEFAULT: Record<RepoType, readonly string[]> = {
  model: [
    'modelId',
    'likes',
    'trendingScore',
    'private',
    'downloads',
    'tags',
    'pipeline_tag',
    'library_name',
    'createdAt',
  ],
  dataset: [
    'author',
    'disabled',
    'gated',
    'lastModified',
    'likes',
    'trendingScore',
    'private',
    'sha',
    'downloads',
    'tags',
    'createdAt',
  ],
  space: ['likes', 'trendingScore', 'private', 'sdk', 'tags', 'createdAt'],
}
const LIST_FULL = ['author', 'lastModified', 'sha', 'siblings', 'gated', 'disabled']

const INFO_DEFAULT: Record<RepoType, readonly string[]> = {
  model: [
    ...words('modelId author sha lastModified createdAt private gated disabled downloads likes'),
    ...words('library_name pipeline_tag tags cardData config transformersInfo safetensors gguf'),
    ...words('model-index usedStorage spaces siblings'),
  ],
  dataset: [
    ...words('author sha lastModified createdAt private gated disabled downloads likes'),
    ...words('tags cardData description citation paperswithcode_id usedStorage siblings'),
  ],
  space: [
    ...words('author sha lastModified createdAt private disabled likes sdk runtime subdomain'),
    ...words('tags cardData models datasets usedStorage siblings'),
  ],
}

/** Keys of a list entry without `expand`. */
export function listKeys(type: RepoType, flags: { full: boolean; config: boolean; cardData: boolean }): string[] {
  return [
    ...LIST_DEFAULT[type],
    ...(flags.full ? LIST_FULL : []),
    ...(flags.config ? ['config'] : []),
    ...(flags.cardData ? ['cardData'] : []),
  ]
}

/** Keys of an info answer without `expand`. */
export function infoKeys(type: RepoType): readonly string[] {
  return INFO_DEFAULT[type]
}

/** `_id`, `id` and the wanted fields; a field without a value is left out, as the API does. */
export function repoEntry(repo: RepoState, commit: Commit, keys: Iterable<string>): Record<string, unknown> {
  const entry: Record<string, unknown> = { _id: repo.hubId, id: repo.id }
  for (const key of keys) {
    const value = fieldOf(repo, commit, key)
    if (value !== undefined) entry[key] = value
  }
  return entry
}

/** Sort key or field of a repo; undefined where it has none. */
export function fieldOf(repo: RepoState, commit: Commit, key: string): unknown {
  if (key in repo.extra) return repo.extra[key]
  return FIELDS.get(key)?.(repo, commit)
}

/** `siblings` with sizes and ids, as `blobs=true` asks. */
export async function siblingsWithBlobs(commit: Commit): Promise<unknown[]> {
  const siblings: unknown[] = []
  for (const [path, { file }] of sortedEntries(commit)) {
    const { gitOid, lfs } = await fileIds(file)
    const size = file.content.size
    const pointer = lfs && { lfs: { sha256: lfs.sha256, size, pointerSize: lfs.pointer.length } }
    siblings.push({ rfilename: path, size, blobId: gitOid, ...pointer })
  }
  return siblings
}

/** Entries in listing order. */
export function sortedEntries(commit: Commit) {
  return [...commit.entries].sort(([a], [b]) => byText(a, b))
}

type Field = (repo: RepoState, commit: Commit) => unknown

const card =
  (key: string): Field =>
  (_repo, commit) =>
    commit.card?.[key]
const invented =
  (label: string, below: number): Field =>
  (repo) =>
    Number.parseInt(seededHex(0, `${label} ${repo.hubId}`, 8), 16) % below

const configs = new WeakMap<Commit, { value: Record<string, unknown> | undefined }>()
const tensors = new WeakMap<Commit, { value: ReturnType<typeof safetensorsOf> }>()

function commitConfig(commit: Commit): Record<string, unknown> | undefined {
  const known = configs.get(commit) ?? { value: configOf(commit.entries.get('config.json')?.file) }
  configs.set(commit, known)
  return known.value
}

function commitTensors(commit: Commit): ReturnType<typeof safetensorsOf> {
  const known = tensors.get(commit) ?? { value: safetensorsOf([...commit.entries.values()].map(({ file }) => file)) }
  tensors.set(commit, known)
  return known.value
}

const FIELDS = new Map<string, Field>([
  ['modelId', (repo) => repo.id],
  ['author', (repo) => repo.id.split('/')[0]],
  ['sha', (_repo, commit) => commit.id],
  ['lastModified', (_repo, commit) => commit.date],
  ['createdAt', (repo) => repo.createdAt],
  ['private', (repo) => repo.private],
  ['gated', (repo) => repo.gated],
  ['disabled', (repo) => repo.disabled !== false],
  ['downloads', invented('downloads', 100_000)],
  ['downloadsAllTime', invented('downloads all time', 10_000_000)],
  ['likes', invented('likes', 1000)],
  ['trendingScore', invented('trending', 100)],
  ['gitalyUid', (repo) => repo.gitalyUid],
  ['tags', (repo, commit) => tagsOf(repo.givenTags, commit.card, commit.entries.keys())],
  ['cardData', (_repo, commit) => commit.card],
  ['library_name', card('library_name')],
  ['pipeline_tag', card('pipeline_tag')],
  ['model-index', card('model-index')],
  ['sdk', card('sdk')],
  ['config', (_repo, commit) => commitConfig(commit)],
  ['transformersInfo', (_repo, commit) => transformersInfo(commit)],
  ['safetensors', (_repo, commit) => commitTensors(commit)],
  ['num_parameters', (_repo, commit) => commitTensors(commit)?.total],
  ['usedStorage', (_repo, commit) => totalBytes(commit)],
  ['mainSize', (_repo, commit) => totalBytes(commit)],
  ['xetEnabled', () => true],
  ['spaces', () => []],
  ['siblings', (_repo, commit) => sortedEntries(commit).map(([path]) => ({ rfilename: path }))],
  ['runtime', () => ({ stage: 'RUNNING', hardware: { current: 'cpu-basic', requested: 'cpu-basic' }, storage: null })],
  ['subdomain', (repo) => repo.id.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')],
  ['models', () => []],
  ['datasets', () => []],
])

function transformersInfo(commit: Commit): unknown {
  if (commitConfig(commit)?.['architectures'] === undefined) return undefined
  const pipeline = commit.card?.['pipeline_tag'] ?? 'text-generation'
  return { auto_model: 'AutoModelForCausalLM', pipeline_tag: pipeline, processor: 'AutoTokenizer' }
}

function totalBytes(commit: Commit): number {
  let total = 0
  for (const { file } of commit.entries.values()) total += file.content.size
  return total
}

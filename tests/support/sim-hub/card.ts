/** What the Hub derives from a repo's files: card data, tags, config, tensor counts. */
import { parse, stringify } from 'yaml'
import { fileBytes, type StoredFile } from './stored-file.ts'

export type CardData = Record<string, unknown>

const FRONT_MATTER = /^---[ \t]*\r?\n([\s\S]*?)(?:\r?\n)?---[ \t]*(?:\r?\n|$)/
const SMALL_BYTES = 1024 * 1024
const TENSOR_HEADER_LIMIT = 16 * 1024 * 1024

/** README.md text that yields this card data. */
export function readmeFor(card: CardData, title: string): string {
  return `---\n${stringify(card)}---\n\n# ${title}\n`
}

/** Front matter of a README.md, or nothing when there is none that can be read. */
export function cardOf(readme: StoredFile | undefined): CardData | undefined {
  if (readme === undefined || readme.content.size > SMALL_BYTES) return undefined
  const block = FRONT_MATTER.exec(fileBytes(readme).toString('utf8'))?.[1]
  if (block === undefined) return undefined
  try {
    const value: unknown = parse(block, { maxAliasCount: 100, logLevel: 'error' })
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Tags of a repo: the given ones, those of the card, and those that follow from formats, base models and licence. */
export function tagsOf(given: readonly string[], card: CardData | undefined, paths: Iterable<string>): string[] {
  const tags = new Set([...given, ...only(card?.['library_name'])])
  for (const path of paths) {
    if (path.endsWith('.safetensors')) tags.add('safetensors')
    if (path.endsWith('.gguf')) tags.add('gguf')
  }
  for (const tag of [...strings(card?.['tags']), ...only(card?.['pipeline_tag']), ...strings(card?.['language'])]) {
    tags.add(tag)
  }
  const [relation = tags.has('gguf') ? 'quantized' : 'finetune'] = only(card?.['base_model_relation'])
  for (const base of strings(card?.['base_model'])) {
    tags.add(`base_model:${base}`)
    tags.add(`base_model:${relation}:${base}`)
  }
  for (const license of strings(card?.['license'])) tags.add(`license:${license.toLowerCase()}`)
  tags.add('region:us')
  return [...tags]
}

/** The part of config.json that the API repeats. */
export function configOf(config: StoredFile | undefined): Record<string, unknown> | undefined {
  if (config === undefined || config.content.size > SMALL_BYTES) return undefined
  try {
    const value: unknown = JSON.parse(fileBytes(config).toString('utf8'))
    if (!isRecord(value)) return undefined
    const kept = ['architectures', 'model_type', 'quantization_config', 'auto_map'].filter((key) => key in value)
    return Object.fromEntries(kept.map((key) => [key, value[key]]))
  } catch {
    return undefined
  }
}

/** Tensor counts per type over the safetensors files of the top folder; nothing when none of them has a real header. */
export function safetensorsOf(
  files: Iterable<StoredFile>,
): { parameters: Record<string, number>; total: number } | undefined {
  const parameters = new Map<string, number>()
  for (const file of files) {
    if (!/^[^/]*\.safetensors$/.test(file.path)) continue
    for (const { dtype, count } of tensorsOf(file)) parameters.set(dtype, (parameters.get(dtype) ?? 0) + count)
  }
  if (parameters.size === 0) return undefined
  let total = 0
  for (const count of parameters.values()) total += count
  return { parameters: Object.fromEntries(parameters), total }
}

function tensorsOf(file: StoredFile): { dtype: string; count: number }[] {
  const { content } = file
  if (content.size < 10) return []
  const length = Number(Buffer.from(content.read(0, 8)).readBigUInt64LE(0))
  if (length > content.size - 8 || length > TENSOR_HEADER_LIMIT) return []
  let header: unknown
  try {
    header = JSON.parse(Buffer.from(content.read(8, length)).toString('utf8'))
  } catch {
    return []
  }
  if (!isRecord(header)) return []
  return Object.values(header).flatMap((tensor) => {
    if (!isRecord(tensor) || typeof tensor['dtype'] !== 'string' || !Array.isArray(tensor['shape'])) return []
    const count = tensor['shape'].reduce((product: number, size) => product * Number(size), 1)
    return Number.isSafeInteger(count) ? [{ dtype: tensor['dtype'], count }] : []
  })
}

function only(value: unknown): string[] {
  return typeof value === 'string' ? [value] : []
}

function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

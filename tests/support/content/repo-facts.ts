import { createHash } from 'node:crypto'
import { fixtureRows } from './fixture-file.ts'

/** What is known, or follows from the name, about one repo of the Qwen organisation. */
export interface RepoFacts {
  readonly id: string
  /** Name without the owner. */
  readonly name: string
  readonly family: string
  /** ISO time. The day is the recorded one where there is one, else that of the nearest relative; the time is made up. */
  readonly createdAt: string
  /** `apache-2.0`, `other (<license_name>)`, `other`, or empty when no source gave it. */
  readonly license: string
  /** Parameters: recorded, else as the name says. */
  readonly parameters: number
  /** Bytes of all weights: recorded, else parameters times the width of the number format. */
  readonly weightBytes: number
  /** Weight files: recorded, else what files of 4 GB make (20 GB in a repo beyond 1 TB). */
  readonly weightFiles: number
  readonly isGguf: boolean
  /** The repo that this one was converted or tuned from, if the line-up holds it. */
  readonly base: string | undefined
  /** Files recorded for the repo: path and, where recorded, size in bytes. */
  readonly files: ReadonlyMap<string, number | undefined>
}

const CONVERTED = /-(?:GGUF|AWQ|FP8|GPTQ-Int[48]|Int[48])$/

/** Facts of every repo in the recorded line-up, in the order of the file. */
export function qwenRepoFacts(): RepoFacts[] {
  const rows = fixtureRows('qwen/qwen-lineup.csv')
  const byId = new Map(rows.map((row) => [row.get('repo_id') ?? '', row]))
  const files = recordedFiles()
  return rows.map((row) => {
    const id = row.get('repo_id') ?? ''
    const name = id.slice(id.indexOf('/') + 1)
    const isGguf = name.endsWith('-GGUF')
    const relatives = relativesOf(id).filter((other) => byId.has(other))
    const parameters = recordedParameters([id, ...relatives], byId) ?? parametersInName(name)
    const weightBytes = Number(row.get('weight_bytes')) || parameters * bytesPerParameter(name)
    return {
      id,
      name,
      family: row.get('family') ?? '',
      createdAt: createdAt(id, relatives, byId),
      license: row.get('license') ?? '',
      parameters,
      weightBytes,
      weightFiles: Number(row.get('weight_file_count')) || Math.ceil(weightBytes / (weightBytes > 1e12 ? 20e9 : 4e9)),
      isGguf,
      base: name.endsWith('-Base') ? undefined : relatives[0],
      files: files.get(id) ?? new Map<string, number | undefined>(),
    }
  })
}

/** A whole number from 0 to `below` - 1 that depends only on the text. */
export function chosenBy(text: string, below: number): number {
  return createHash('sha256').update(text).digest().readUInt32LE() % below
}

/** Parameters as a name gives them: `2.4T-A95B`, `35B-A3B`, `1_8B`, `0.6B`. */
export function parametersInName(name: string): number {
  const found = /(?<![A-Za-z0-9.])(\d+(?:[._]\d+)?)([TB])(?![a-z])/.exec(name)
  if (!found) return 7e9
  return Number(found[1]?.replace('_', '.')) * (found[2] === 'T' ? 1e12 : 1e9)
}

/** Nearest first: the repo it was converted from, then the base of a tuned one. */
function relativesOf(id: string): string[] {
  const source = id.replace(CONVERTED, '')
  const plain = source.replace(/-(?:Base|Instruct|Chat|Thinking|CustomVoice|VoiceDesign|Captioner)$/, '')
  const candidates = [source, plain === source ? `${source}-Base` : plain, plain, `${plain}-Base`, `${plain}-Instruct`]
  return [...new Set(candidates)].filter((candidate) => candidate !== id && candidate !== `${id}-Instruct`)
}

function bytesPerParameter(name: string): number {
  if (name.endsWith('FP8') || name.endsWith('Int8')) return 1.05
  if (/(?:AWQ|Int4)$/.test(name)) return 0.6
  return 2
}

type Rows = ReadonlyMap<string, ReadonlyMap<string, string>>

function recordedParameters(ids: readonly string[], byId: Rows): number | undefined {
  for (const id of ids) {
    const count = Number(byId.get(id)?.get('params_total'))
    if (count > 0) return count
  }
  return undefined
}

function createdAt(id: string, relatives: readonly string[], byId: Rows): string {
  const dates = [id, ...relatives].map((other) => byId.get(other)?.get('first_published')).filter(Boolean)
  const second = chosenBy(`${id} created`, 86_400)
  return new Date(Date.parse(dates[0] ?? familyDate(byId.get(id)?.get('family'), byId)) + second * 1000).toISOString()
}

/** Earliest date of the family, else of the one it belongs to: `Qwen2.5-Coder` to `Qwen2.5`. */
function familyDate(family: string | undefined, byId: Rows): string {
  if (!family) return '2024-06-01'
  let earliest: string | undefined
  for (const row of byId.values()) {
    const date = row.get('first_published')
    if (row.get('family') === family && date && date < (earliest ?? '9')) earliest = date
  }
  return earliest ?? familyDate(family.slice(0, Math.max(family.lastIndexOf('-'), 0)), byId)
}

function recordedFiles(): Map<string, Map<string, number | undefined>> {
  const repos = new Map<string, Map<string, number | undefined>>()
  for (const row of fixtureRows('qwen/qwen-files.csv')) {
    const id = row.get('repo_id') ?? ''
    const files = repos.get(id) ?? new Map<string, number | undefined>()
    files.set(row.get('path') ?? '', Number(row.get('size')) || undefined)
    repos.set(id, files)
  }
  return repos
}

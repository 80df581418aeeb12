import { isDeepStrictEqual } from 'node:util'
import { type Node, type Pair, isMap, isPair, isScalar, isSeq, stringify } from 'yaml'
import type { WatchInput } from './config-schema.ts'
import { parseEditableYaml } from './parse-config-yaml.ts'

export type WatchList = readonly WatchInput[]

/** Plain data of a valid configuration text, with every alias followed. */
export function dataOf(text: string): Record<string, unknown> {
  return (parseEditableYaml(text).toJS({ maxAliasCount: 1000 }) as Record<string, unknown> | null) ?? {}
}

/**
 * A valid configuration text with another watch list: entries of `list` (what stands there now) that `wanted` lacks are
 * cut, new ones follow the rest. Lines are cut and inserted, so that comments and layout stay; where the list is written
 * in a way that does not allow it, the document is written anew with its comments. Undefined when neither gives a text
 * that says what is wanted, for instance because an anchor in a cut entry is used elsewhere.
 */
export function withWatchList(text: string, list: WatchList, wanted: WatchList): string | undefined {
  const goal = { ...dataOf(text), watch: wanted }
  for (const attempt of [editLines, rewriteDocument]) {
    try {
      const edited = attempt(text, list, wanted)
      if (edited !== undefined && isValid(edited) && isDeepStrictEqual(dataOf(edited), goal)) return edited
    } catch (error) {
      // The parser throws plain errors, with or without a class of their own, for an alias whose anchor was cut.
      if (!(error instanceof Error) || !error.message.startsWith('Unresolved alias')) throw error
    }
  }
  return undefined
}

function isValid(text: string): boolean {
  return parseEditableYaml(text).errors.length === 0
}

function editLines(text: string, list: WatchList, wanted: WatchList): string | undefined {
  const root = parseEditableYaml(text).contents
  const pair = isMap(root) ? root.items.find(({ key }) => isScalar(key) && key.value === 'watch') : undefined
  if (pair === undefined) return `${text}${endsLine(text) ? '' : '\n'}watch:\n${entryLines(wanted, '  ')}`
  const seq = pair.value
  if (!isSeq(seq)) return undefined
  if (seq.flow === true) {
    if (seq.items.length > 0) return undefined
    const [start, end] = seq.range
    return `${text.slice(0, start)}\n${entryLines(wanted, '  ').trimEnd()}${text.slice(end)}`
  }
  const spans = seq.items.map((item) => lineSpan(text, item as Node))
  const last = spans.at(-1)!
  const added = wanted.filter((entry) => !list.includes(entry))
  let result = text
  if (added.length > 0) {
    const indent = /^ */.exec(text.slice(last.start))![0]
    const gap = endsLine(text.slice(0, last.end)) ? '' : '\n'
    result = `${result.slice(0, last.end)}${gap}${entryLines(added, indent)}${result.slice(last.end)}`
  }
  for (let index = list.length - 1; index >= 0; index -= 1) {
    const { start, end } = spans[index]!
    if (!wanted.includes(list[index]!)) result = `${result.slice(0, start)}${result.slice(end)}`
  }
  if (wanted.length > 0) return result
  const colon = result.indexOf(':', pair.key.range[1]) + 1
  return `${result.slice(0, colon)} []${result.slice(colon)}`
}

function rewriteDocument(text: string, _list: WatchList, wanted: WatchList): string {
  const document = parseEditableYaml(text)
  document.set('watch', document.createNode(wanted))
  return document.toString({ lineWidth: 0 })
}

function entryLines(entries: WatchList, indent: string): string {
  return stringify(entries, { lineWidth: 0 }).replaceAll(/^(?=.)/gm, indent)
}

function endsLine(text: string): boolean {
  return text === '' || text.endsWith('\n')
}

/**
 * From the line on which an entry starts to the end of the line on which its last value stands, with the comments below
 * it that are indented as its keys are: keys that somebody may want to use later.
 */
function lineSpan(text: string, item: Node): { start: number; end: number } {
  const start = text.lastIndexOf('\n', item.range![0] - 1) + 1
  const newline = text.indexOf('\n', Math.max(lastOffset(item) - 1, 0))
  const end = newline < 0 ? text.length : newline + 1
  const dash = /^ */.exec(text.slice(start))![0]
  const comments = new RegExp(`^(?:${dash} +#.*(?:\\n|$))+`).exec(text.slice(end))
  return { start, end: end + (comments?.[0].length ?? 0) }
}

/** Where the last scalar or bracket of a node ends; a block's own range would take in the comments after it. */
function lastOffset(node: Node): number {
  const isBlock = (isMap(node) || isSeq(node)) && node.flow !== true
  const last = isBlock ? (node.items.at(-1) as Node | Pair<Node, Node | null> | undefined) : undefined
  if (last === undefined) return node.range![1]
  return lastOffset(isPair(last) ? (last.value ?? last.key) : last)
}

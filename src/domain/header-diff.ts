import { GGUF_FILE_TYPES } from './gguf-types.ts'
import { shownText, type MetaValue, type TensorFacts, type WeightHeader } from './weight-header.ts'

/** What changed between two headers of one weight file. Short: it is kept in an event for ever. */
export interface HeaderDiff {
  /** In words, what matters most first: `chat template changed`. Never empty. */
  readonly what: readonly string[]
  readonly tensorsAdded: readonly string[]
  readonly tensorsRemoved: readonly string[]
  readonly tensorsReshaped: readonly string[]
  /** Tensors of each dtype, before and after; only where they differ. */
  readonly dtypes:
    | { readonly before: Readonly<Record<string, number>>; readonly after: Readonly<Record<string, number>> }
    | undefined
  readonly metadata: readonly { readonly key: string; readonly before: string | null; readonly after: string | null }[]
}

const MAX_NAMES = 10
const MAX_KEYS = 20

/** Compares what two headers say. Which values of tensors differ no header tells. */
export function diffHeaders(before: WeightHeader, after: WeightHeader): HeaderDiff {
  const added = [...after.tensors.keys()].filter((name) => !before.tensors.has(name))
  const removed = [...before.tensors.keys()].filter((name) => !after.tensors.has(name))
  const kept = [...after.tensors].flatMap(([name, now]) => {
    const old = before.tensors.get(name)
    return old === undefined ? [] : [{ name, old, now }]
  })
  const reshaped = kept.filter(({ old, now }) => old.shape.join() !== now.shape.join())
  const retyped = kept.filter(({ old, now }) => old.dtype !== now.dtype)
  const keys = changedKeys(before.metadata, after.metadata)
  const [dtypesBefore, dtypesAfter] = [countDtypes(before), countDtypes(after)]
  const what = [
    ...wordsOfMetadata(keys, before, after),
    ...(added.length > 0 ? [`${counted(added.length)} added`] : []),
    ...(removed.length > 0 ? [`${counted(removed.length)} removed`] : []),
    ...(reshaped.length > 0 ? [`${counted(reshaped.length)} reshaped`] : []),
    ...(retyped.length > 0 ? [retypedWords(retyped)] : []),
    ...(after.flaws.length > before.flaws.length ? [`the header is flawed: ${after.flaws[0] ?? ''}`] : []),
  ]
  return {
    what: what.length > 0 ? what : ['the header is the same: only values of tensors changed'],
    tensorsAdded: names(added),
    tensorsRemoved: names(removed),
    tensorsReshaped: reshaped
      .slice(0, MAX_NAMES)
      .map(({ name, old, now }) => `${shownText(name)} [${old.shape.join()}] → [${now.shape.join()}]`),
    dtypes:
      JSON.stringify(dtypesBefore) === JSON.stringify(dtypesAfter)
        ? undefined
        : { before: dtypesBefore, after: dtypesAfter },
    metadata: keys.slice(0, MAX_KEYS).map((key) => ({
      key: shownText(key),
      before: before.metadata.get(key)?.shown ?? null,
      after: after.metadata.get(key)?.shown ?? null,
    })),
  }
}

function changedKeys(before: ReadonlyMap<string, MetaValue>, after: ReadonlyMap<string, MetaValue>): string[] {
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].filter((key) => before.get(key)?.hash !== after.get(key)?.hash)
}

const FILE_TYPE = 'general.file_type'

function wordsOfMetadata(keys: readonly string[], before: WeightHeader, after: WeightHeader): string[] {
  const words: string[] = []
  const templates = keys.filter((key) => key.startsWith('tokenizer.chat_template'))
  const tokenizer = keys.filter((key) => key.startsWith('tokenizer.') && !templates.includes(key))
  const others = keys.filter((key) => !key.startsWith('tokenizer.') && key !== FILE_TYPE)
  if (templates.length > 0) words.push(`chat template ${verb(templates, before.metadata, after.metadata)}`)
  if (tokenizer.length > 0) words.push(`tokenizer ${verb(tokenizer, before.metadata, after.metadata)}`)
  if (keys.includes(FILE_TYPE)) words.push(`quantisation ${fileType(before)} → ${fileType(after)}`)
  if (others.length > 0) {
    const named = others.slice(0, 3).map(shownText).join(', ')
    words.push(`metadata ${named}${others.length > 3 ? ` and ${others.length - 3} more` : ''} changed`)
  }
  return words
}

function verb(
  keys: readonly string[],
  before: ReadonlyMap<string, MetaValue>,
  after: ReadonlyMap<string, MetaValue>,
): string {
  if (keys.every((key) => !before.has(key))) return 'added'
  return keys.every((key) => !after.has(key)) ? 'removed' : 'changed'
}

function fileType(header: WeightHeader): string {
  const code = header.metadata.get(FILE_TYPE)?.shown
  return code === undefined ? 'none' : (GGUF_FILE_TYPES.get(code) ?? code)
}

function retypedWords(tensors: readonly { readonly old: TensorFacts; readonly now: TensorFacts }[]): string {
  const pairs = new Map<string, number>()
  for (const { old, now } of tensors) {
    const pair = `${old.dtype} → ${now.dtype}`
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
  }
  const [most, count] = [...pairs].sort((a, b) => b[1] - a[1])[0] ?? ['', 0]
  const rest = tensors.length - count
  return `dtype ${most} in ${counted(count)}${rest > 0 ? `, others in ${rest}` : ''}`
}

function countDtypes(header: WeightHeader): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { dtype } of header.tensors.values()) counts.set(dtype, (counts.get(dtype) ?? 0) + 1)
  return Object.fromEntries([...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1)).slice(0, MAX_NAMES))
}

function names(tensors: readonly string[]): string[] {
  return tensors.slice(0, MAX_NAMES).map(shownText)
}

function counted(tensors: number): string {
  return tensors === 1 ? '1 tensor' : `${tensors} tensors`
}

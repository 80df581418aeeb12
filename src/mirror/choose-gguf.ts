import { quantOf, shardSetOf } from '../domain/weight-file.ts'
import type { SnapshotView, ViewFile } from './snapshot-view.ts'

/** What programs take when nobody says which: the usual compromise, then the usual large one. */
const USUAL_QUANTS = ['Q4_K_M', 'Q8_0']

/** A model in one GGUF file, or in several of which the first is named, with what it needs to see pictures. */
export interface GgufChoice {
  readonly model: ViewFile
  readonly projector: ViewFile | undefined
  /** How many files the model is cut into. */
  readonly parts: number
  readonly quant: string | undefined
}

/** The GGUF that a tag means: a quantisation (`Q4_K_M`), a file name, or `latest`. Only of what is held. */
export function chooseGguf(snapshot: SnapshotView, tag: string): GgufChoice | undefined {
  const held = [...snapshot.files.values()].filter((file) => file.held && /\.gguf$/i.test(file.path))
  const models = held.filter((file) => !isCompanion(file.path) && isFirstPart(file.path))
  const model = tag === 'latest' ? usualOf(models) : models.find((file) => isTagOf(file.path, tag))
  if (model === undefined) return undefined
  const set = shardSetOf(model.path, new Set())
  const parts = set === undefined ? 1 : held.filter((file) => shardSetOf(file.path, new Set()) === set).length
  const projectors = held.filter((file) => /mmproj/i.test(nameOf(file.path)))
  const projector = projectors.find((file) => /[-._]f16/i.test(file.path)) ?? projectors[0]
  return { model, projector, parts, quant: quantOf(model.path) }
}

/** Every tag of a commit, for messages. */
export function tagsOf(snapshot: SnapshotView): string[] {
  const quants = [...snapshot.files.values()]
    .filter((file) => file.held && /\.gguf$/i.test(file.path) && !isCompanion(file.path))
    .map((file) => quantOf(file.path))
  return [...new Set(quants.filter((quant) => quant !== undefined))].sort()
}

function usualOf(models: readonly ViewFile[]): ViewFile | undefined {
  const usual = USUAL_QUANTS.map((quant) => models.find((file) => quantOf(file.path) === quant))
  return usual.find((file) => file !== undefined) ?? models[0]
}

function isTagOf(path: string, tag: string): boolean {
  const wanted = tag.toLowerCase()
  const name = nameOf(path).toLowerCase()
  return quantOf(path)?.toLowerCase() === wanted || name === wanted || name === `${wanted}.gguf`
}

/** Files beside a model that are no model. */
function isCompanion(path: string): boolean {
  return /mmproj|imatrix|(^|[-._])draft([-._]|$)/i.test(nameOf(path))
}

function isFirstPart(path: string): boolean {
  const match = /-(\d{5})-of-\d{5}\.gguf$/i.exec(path)
  return match === null || match[1] === '00001'
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

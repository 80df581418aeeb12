import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExportEntry, ExportPlan } from '../domain/export-plan.ts'
import { entryRank } from '../domain/entry-file.ts'
import { isErrno } from '../lib/fs-durable.ts'
import { inLanes } from '../lib/in-lanes.ts'
import type { OpenFolder } from '../lib/open-folder.ts'
import { refused } from './export-error.ts'
import { stateOfEntry, type StateContext } from './export-state.ts'
import type { Target } from './export-target.ts'

export const LANES = 8

/** Entries of one folder of the target. */
export interface FolderEntries {
  /** Names of the folders down to it. */
  readonly parts: readonly string[]
  readonly entries: readonly NamedEntry[]
}

export interface NamedEntry {
  /** The last part of the path. */
  readonly name: string
  readonly entry: ExportEntry
}

/** What is given its name in one step: an entry, or the topmost folder that is missing with all that is in it. */
export interface Unit {
  readonly path: string
  readonly entry: ExportEntry | undefined
  /**
   * Blobs are shown before the links to them, and these before the branch files; of each kind, what makes programs look for
   * the others comes last.
   */
  readonly order: number
}

/** What has to be made in a target, and how it is shown. */
export interface Survey {
  readonly absent: readonly FolderEntries[]
  readonly units: readonly Unit[]
  readonly same: number
  /** Same files whose bytes were read. */
  readonly sameHashed: number
  readonly otherRefs: readonly { readonly entry: ExportEntry; readonly path: string; readonly commit: string }[]
}

/** Looks at every name of the plan before anything is made. @throws ArchiveError RESTORE_REFUSED; errno errors */
export async function surveyTarget(
  context: StateContext,
  target: Target,
  plan: ExportPlan,
  signal: AbortSignal,
): Promise<Survey> {
  const groups = groupByFolder(plan.entries)
  if (target.folder === undefined) {
    return { absent: groups, units: [], same: 0, sameHashed: 0, otherRefs: [] }
  }
  const surveyor = new Surveyor(context, target.folder)
  for (const group of groups) await surveyor.visit(group, signal)
  await surveyor.forbid(plan.forbidden)
  if (surveyor.conflicts.length > 0) {
    throw refused(`${target.root}: something else is there already`, surveyor.conflicts)
  }
  return surveyor.result()
}

class Surveyor {
  readonly conflicts: string[] = []
  readonly #context: StateContext
  readonly #folder: OpenFolder
  readonly #absent: FolderEntries[] = []
  readonly #units = new Map<string, Unit>()
  readonly #otherRefs: Survey['otherRefs'][number][] = []
  #same = 0
  #sameHashed = 0

  constructor(context: StateContext, folder: OpenFolder) {
    this.#context = context
    this.#folder = folder
  }

  async visit({ parts, entries }: FolderEntries, signal: AbortSignal): Promise<void> {
    const found = await this.#openDown(parts)
    if (found === undefined) return
    const { folder, depth } = found
    await using _open = folder
    if (depth < parts.length) {
      const unit = parts.slice(0, depth + 1).join('/')
      for (const { entry } of entries) this.#addUnit(unit, undefined, ORDERS[entry.kind])
      this.#absent.push({ parts, entries })
      return
    }
    const absent: NamedEntry[] = []
    await inLanes(entries, LANES, signal, async (named) => {
      const state = await stateOfEntry(this.#context, folder, named.name, named.entry, signal)
      const { path } = named.entry
      if (state.kind === 'different') this.conflicts.push(`${path} ${state.what}`)
      if (state.kind === 'other-ref') this.#otherRefs.push({ entry: named.entry, path, commit: state.commit })
      if (state.kind === 'same' && named.entry.kind === 'blob') this.#same += 1
      if (state.kind === 'same' && named.entry.kind === 'blob' && state.isHashed) this.#sameHashed += 1
      if (state.kind !== 'absent') return
      absent.push(named)
      this.#addUnit(path, named.entry, orderOf(named.entry))
    })
    if (absent.length > 0) this.#absent.push({ parts, entries: absent })
  }

  async forbid(paths: readonly string[]): Promise<void> {
    const folders = Map.groupBy(paths, (path) => path.slice(0, path.lastIndexOf('/')))
    for (const [folder, inFolder] of folders) {
      const parts = folder.split('/')
      const found = await this.#openDown(parts)
      if (found === undefined) continue
      await using open = found.folder
      if (found.depth < parts.length) continue
      for (const path of inFolder) {
        if (await isThere(open.at(path.slice(folder.length + 1)))) {
          this.conflicts.push(`${path} says that the file does not exist; remove this marker`)
        }
      }
    }
  }

  result(): Survey {
    const units = [...this.#units.values()].toSorted((a, b) => a.order - b.order)
    return {
      absent: this.#absent,
      units,
      same: this.#same,
      sameHashed: this.#sameHashed,
      otherRefs: this.#otherRefs,
    }
  }

  #addUnit(path: string, entry: ExportEntry | undefined, order: number): void {
    const known = this.#units.get(path)
    if (known === undefined || known.order < order) this.#units.set(path, { path, entry, order })
  }

  /** As far down as there are folders; undefined where something else is in the way. */
  async #openDown(parts: readonly string[]): Promise<{ folder: OpenFolder; depth: number } | undefined> {
    let folder = (await this.#folder.descend([], false))!
    for (const [depth, part] of parts.entries()) {
      try {
        const child = await folder.child(part)
        await folder.close()
        folder = child
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return { folder, depth }
        await folder.close()
        if (!isErrno(error, 'ENOTDIR', 'ELOOP')) throw error
        const path = join(...parts.slice(0, depth + 1))
        const line = `${path} is a link or no folder`
        if (!this.conflicts.includes(line)) this.conflicts.push(line)
        return undefined
      }
    }
    return { folder, depth: parts.length }
  }
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

/** Room for the ranks of `entryRank` between the kinds. */
const ORDERS: Readonly<Record<ExportEntry['kind'], number>> = { blob: 0, link: 10, ref: 20 }

function orderOf(entry: ExportEntry): number {
  return ORDERS[entry.kind] + entryRank(entry.path)
}

function groupByFolder(entries: readonly ExportEntry[]): FolderEntries[] {
  const groups = new Map<string, { parts: string[]; entries: NamedEntry[] }>()
  for (const entry of entries) {
    const slash = entry.path.lastIndexOf('/')
    const folder = entry.path.slice(0, Math.max(0, slash))
    const group = groups.get(folder) ?? { parts: folder === '' ? [] : folder.split('/'), entries: [] }
    group.entries.push({ name: entry.path.slice(slash + 1), entry })
    groups.set(folder, group)
  }
  return [...groups.values()]
}

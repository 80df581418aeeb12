import { lstatSync } from 'node:fs'
import { open, rename, statfs, symlink } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ExportOptions, ExportResult, GiveMethod } from '../blob-port.ts'
import type { Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { ExportEntry, ExportPlan } from '../domain/export-plan.ts'
import { displayName } from '../domain/file-name.ts'
import { linkOnce, nameIsTaken, OPEN_NEW, unlinkIfThere, writeAll } from '../lib/fs-durable.ts'
import type { HashPool } from '../lib/hash-files.ts'
import { inLanes } from '../lib/in-lanes.ts'
import type { OpenFolder } from '../lib/open-folder.ts'
import type { Log } from '../log-port.ts'
import { targetError, refused } from './export-error.ts'
import { compareBytes, type StateContext } from './export-state.ts'
import { LANES, surveyTarget, type NamedEntry, type Survey, type Unit } from './export-survey.ts'
import { hasStaged, pruneStaged } from './export-staged.ts'
import { openStaging, openTarget, type Staging, type Target } from './export-target.ts'
import { giveBlob, METHODS_OF, syncFile } from './give-blob.ts'
import type { Layout } from './layout.ts'
import { fixityFailed, onDisk } from './store-error.ts'

export interface ExportContext {
  readonly layout: Layout
  readonly pool: HashPool
  readonly log: Log
}

/** Looks at the disk before others have their turn. */
const LOOKS_PER_TURN = 500

type BlobEntry = Extract<ExportEntry, { kind: 'blob' }>

/** `BlobStore.exportFiles` for an archive that is a folder. */
export async function exportFolder(
  context: ExportContext,
  to: string,
  plan: ExportPlan,
  options: ExportOptions,
  signal: AbortSignal,
): Promise<ExportResult> {
  const writable = await checkBlobs(context.layout, plan, signal)
  try {
    await using stack = new AsyncDisposableStack()
    const target = await openTarget(context.layout, to, stack)
    const state = { ...context, root: target.root, alwaysHash: options.verify }
    const survey = await surveyTarget(state, target, plan, signal)
    const work = new ExportWork(state, target, survey, { ...options, writable })
    if (survey.absent.length > 0 || (options.refs === 'replace' && survey.otherRefs.length > 0)) {
      const staging = await openStaging(target, stack)
      try {
        await work.stage(staging, signal)
      } catch (error) {
        // What was built is for the next call; an empty folder is for nobody.
        if (!(await hasStaged(staging))) await staging.remove()
        throw error
      }
      await work.show(staging)
      await staging.remove()
    }
    return work.result()
  } catch (error) {
    throw targetError(error, to)
  }
}

/**
 * Before anything is made: what is not whole in the archive cannot be given back.
 * @returns blobs that somebody made writable: a link to one would let edits of the copy through to the archive
 */
async function checkBlobs(layout: Layout, plan: ExportPlan, signal: AbortSignal): Promise<ReadonlySet<Sha256>> {
  const writable = new Set<Sha256>()
  const blobs = plan.entries.filter((entry) => entry.kind === 'blob')
  for (const [at, { sha256, size, path }] of blobs.entries()) {
    if (at % LOOKS_PER_TURN === 0) await nextTurn()
    signal.throwIfAborted()
    const blob = layout.blob(sha256)
    const facts = await onDisk(layout, blob, async () => lstatSync(blob, { throwIfNoEntry: false }))
    const shown = `${layout.shown(blob)} (${displayName(path)})`
    if (facts === undefined) {
      throw new ArchiveError('FIXITY_FAILED', `${shown} is not in the archive, although a manifest says so`, {
        hint: 'Nothing was restored. `weightvault verify` tells all that is missing; --include restores the rest.',
        details: { sha256, path },
      })
    }
    if (!facts.isFile() || facts.size !== size) throw fixityFailed(shown, 'is not whole')
    if ((facts.mode & 0o222) !== 0) writable.add(sha256)
  }
  return writable
}

interface WorkOptions extends ExportOptions {
  readonly writable: ReadonlySet<Sha256>
}

class ExportWork {
  readonly #context: StateContext
  readonly #target: Target
  readonly #survey: Survey
  readonly #options: WorkOptions
  readonly #counts: Record<GiveMethod, number> = { reflink: 0, hardlink: 0, copy: 0 }
  /** Files of the folder in work that are whole and not durable yet. */
  readonly #unsynced: string[] = []
  #methods: readonly GiveMethod[]
  #made = 0
  #madeBytes = 0
  #verified: number
  #serial = 0
  /** An interrupted call left something. */
  #isResuming = false

  constructor(context: StateContext, target: Target, survey: Survey, options: WorkOptions) {
    this.#context = context
    this.#target = target
    this.#survey = survey
    this.#options = options
    this.#methods = METHODS_OF[options.link]
    this.#verified = options.verify ? survey.sameHashed : 0
  }

  /** Makes everything that is missing, aside, each file and folder durable. */
  async stage(staging: Staging, signal: AbortSignal): Promise<void> {
    this.#isResuming = await hasStaged(staging)
    if (this.#isResuming) await pruneStaged(staging, this.#survey)
    await this.#chooseMethod(staging, signal)
    const folders = new Set<string>([''])
    for (const { parts, entries } of this.#survey.absent) {
      await using folder = (await staging.tree.descend(parts, true))!
      await inLanes(entries, LANES, signal, (named) => this.#stageEntry(staging, folder, named, signal))
      await inLanes(this.#unsynced.splice(0), LANES, signal, syncFile)
      for (let depth = parts.length; depth > 0; depth -= 1) folders.add(parts.slice(0, depth).join('/'))
    }
    for (const path of folders) await syncFolder(staging.tree, path)
  }

  /** Gives everything its name: the whole folder at once where it is new, else unit by unit. */
  async show(staging: Staging): Promise<void> {
    const { folder, base, name, root } = this.#target
    if (folder === undefined) {
      if (await nameIsTaken(base.at(name))) throw refused(`${root} appeared meanwhile`)
      await rename(staging.treePath, base.at(name))
      await base.sync()
      return
    }
    for (const units of Map.groupBy(this.#survey.units, (unit) => unit.order).values()) {
      const changed = new Set<string>()
      for (const unit of units) changed.add(await this.#showUnit(staging, folder, unit))
      // Durable before what is to come last: a power cut must not change the order.
      for (const path of changed) await syncFolder(folder, path)
    }
    if (this.#options.refs === 'replace') await this.#replaceRefs(staging, folder)
  }

  result(): ExportResult {
    const { same, otherRefs } = this.#survey
    return {
      to: this.#target.root,
      made: this.#made,
      madeBytes: this.#madeBytes,
      same,
      methods: this.#counts,
      verified: this.#verified,
      keptRefs: this.#options.refs === 'keep' ? otherRefs.map(({ path, commit }) => ({ path, commit })) : [],
    }
  }

  /** Tries the methods on the smallest blob that has bytes, and asks for room where all has to be copied. */
  async #chooseMethod(staging: Staging, signal: AbortSignal): Promise<void> {
    const blobs = this.#survey.absent.flatMap(({ entries }) =>
      entries.map(({ entry }) => entry).filter((entry) => entry.kind === 'blob'),
    )
    const bySize = blobs.toSorted((a, b) => a.size - b.size)
    // Nothing can be shared of an empty file, so some file systems say that they did.
    const first = bySize.find(({ size }) => size > 0) ?? bySize[0]
    if (first === undefined) return
    const probe = staging.unfinished.at(this.#unfinishedName())
    const chosen = await giveBlob(this.#context.layout.blob(first.sha256), probe, this.#methods, signal)
    await unlinkIfThere(probe)
    this.#methods = this.#methods.slice(this.#methods.indexOf(chosen))
    if (chosen !== 'copy') return
    const { bavail, bsize } = await statfs(this.#target.base.path)
    const needed = blobs.reduce((sum, { size }) => sum + size, 0)
    const free = bavail * bsize
    // What an interrupted call copied already is counted twice here: then the disk itself decides.
    if (needed <= free || this.#isResuming) return
    throw new ArchiveError('DISK_FULL', `${this.#target.root}: ${needed} bytes are to be copied, ${free} are free`, {
      hint: 'Nothing was changed. Free some space, restore less with --include, or name a folder on the archive’s own disk, where nothing has to be copied.',
    })
  }

  async #stageEntry(
    staging: Staging,
    folder: OpenFolder,
    { name, entry }: NamedEntry,
    signal: AbortSignal,
  ): Promise<void> {
    const path = folder.at(name)
    if (entry.kind === 'blob') return this.#stageBlob(staging, path, entry, signal)
    // What an interrupted call left is made anew.
    if (this.#isResuming) await unlinkIfThere(path)
    if (entry.kind === 'link') return symlink(entry.target, path)
    await writeRef(path, entry.commit)
  }

  async #stageBlob(staging: Staging, path: string, entry: BlobEntry, signal: AbortSignal): Promise<void> {
    const before = this.#isResuming && (await nameIsTaken(path)) ? await this.#compare(path, entry, signal) : 'other'
    if (before === 'other') this.#counts[await this.#giveWhole(staging, path, entry, signal)] += 1
    else this.#counts[before === 'very-blob' ? 'hardlink' : 'copy'] += 1
    if (before === 'hashed') this.#unsynced.push(path)
    if (this.#options.verify && before !== 'hashed') await this.#verify(path, entry, signal)
    this.#verified += this.#options.verify ? 1 : 0
    this.#made += 1
    this.#madeBytes += entry.size
    this.#options.onFile(entry.path, entry.size)
  }

  #compare(path: string, entry: BlobEntry, signal: AbortSignal): ReturnType<typeof compareBytes> {
    return compareBytes(this.#context, path, entry, signal)
  }

  /** The name appears with all the bytes: a link has them at once, anything else is finished under another name. */
  async #giveWhole(staging: Staging, path: string, entry: BlobEntry, signal: AbortSignal): Promise<GiveMethod> {
    const blob = this.#context.layout.blob(entry.sha256)
    const isWritable = this.#options.writable.has(entry.sha256)
    const methods = isWritable ? this.#methods.filter((method) => method !== 'hardlink') : this.#methods
    if (methods.length === 0) throw refused(`${this.#context.layout.shown(blob)} is writable, so it is not linked`)
    if (methods[0] === 'hardlink' && !this.#isResuming) return giveBlob(blob, path, methods, signal)
    const unfinished = staging.unfinished.at(this.#unfinishedName())
    const method = await giveBlob(blob, unfinished, methods, signal)
    await rename(unfinished, path)
    if (method === 'reflink') this.#unsynced.push(path)
    return method
  }

  async #verify(path: string, entry: BlobEntry, signal: AbortSignal): Promise<void> {
    const { sha256 } = await this.#context.pool.hashFile(path, signal)
    if (sha256 === entry.sha256) return
    const shown = this.#context.layout.shown(this.#context.layout.blob(entry.sha256))
    throw fixityFailed(shown, `gave ${displayName(entry.path)} the bytes of ${sha256}; nothing was restored`)
  }

  /** @returns path of the folder that has a new name in it */
  async #showUnit(staging: Staging, target: OpenFolder, { path, entry }: Unit): Promise<string> {
    const parts = path.split('/')
    const name = parts.pop()!
    await using from = await staging.tree.descend(parts, false)
    await using to = await target.descend(parts, false)
    if (from === undefined || to === undefined) throw refused(`${path}: its folder is gone`)
    if (entry === undefined) {
      if (await nameIsTaken(to.at(name))) throw refused(`${path} appeared meanwhile`)
      await rename(from.at(name), to.at(name))
    } else if (entry.kind === 'link') {
      await symlink(entry.target, to.at(name))
    } else {
      const outcome = await linkOnce(from.at(name), to.at(name))
      if (outcome === 'exists') throw refused(`${path} appeared meanwhile`)
      await unlinkIfThere(from.at(name))
    }
    return parts.join('/')
  }

  async #replaceRefs(staging: Staging, target: OpenFolder): Promise<void> {
    for (const { entry, path } of this.#survey.otherRefs) {
      if (entry.kind !== 'ref') continue
      const parts = path.split('/')
      const name = parts.pop()!
      await using to = (await target.descend(parts, false))!
      const unfinished = staging.unfinished.at(this.#unfinishedName())
      await writeRef(unfinished, entry.commit)
      await rename(unfinished, to.at(name))
      await to.sync()
    }
  }

  #unfinishedName(): string {
    this.#serial += 1
    return `${process.pid}-${this.#serial}`
  }
}

async function syncFolder(root: OpenFolder, path: string): Promise<void> {
  await using folder = await root.descend(path === '' ? [] : path.split('/'), false)
  await folder?.sync()
}

async function writeRef(path: string, commit: string): Promise<void> {
  await using handle = await open(path, OPEN_NEW, 0o666)
  await writeAll(handle, Buffer.from(commit), 0)
  await handle.sync()
}

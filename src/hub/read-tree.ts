import { listFiles } from '@huggingface/hub'
import type { CommitId } from '../domain/digest.ts'
import { displayName } from '../domain/file-name.ts'
import type { RefusedEntry, Sibling } from '../domain/listing.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import type { Tree } from '../hub-port.ts'
import { readInfoPath } from './endpoint.ts'
import type { HubContext } from './hub-context.ts'
import { listingIncomplete } from './hub-errors.ts'
import { createPageFetch } from './page-walk.ts'
import { decodeTreeEntry, isSameSibling } from './wire-tree.ts'

const MAX_PAGES = 400

/** Every file of a commit, every page of the recursive tree. See `HubSource.readTree`. */
export async function readTree(
  context: HubContext,
  ref: RepoRef,
  commit: CommitId,
  signal: AbortSignal,
): Promise<Tree> {
  const what = `the tree of ${printRepo(ref)} at ${commit}`
  const entries = new TreeEntries(what)
  const fetch = createPageFetch(
    context,
    {
      what,
      maxPages: MAX_PAGES,
      isPage(target) {
        // A renamed repository redirects to the same commit under its new name.
        const info = readInfoPath(context.endpoint, target)
        return info?.type === ref.type && info.rest.replace(/\?.*$/, '') === `/tree/${commit}`
      },
      onPage: (page) => page.forEach((entry) => entries.add(entry)),
    },
    signal,
  )
  const pages = listFiles({ repo: ref, revision: commit, recursive: true, hubUrl: context.endpoint.text, fetch })
  // The entries went to `entries`; what remains is to walk to the last page.
  for await (const _ of pages) signal.throwIfAborted()
  return entries.tree()
}

class TreeEntries {
  readonly #what: string
  readonly #files = new Map<string, Sibling>()
  readonly #refused: RefusedEntry[] = []

  constructor(what: string) {
    this.#what = what
  }

  add(value: unknown): void {
    const entry = decodeTreeEntry(value)
    if (entry.kind === 'refused') this.#refused.push(entry.entry)
    if (entry.kind !== 'file') return
    const { file } = entry
    const known = this.#files.get(file.path)
    if (known !== undefined && !isSameSibling(known, file)) {
      throw listingIncomplete(this.#what, `${displayName(file.path)} is listed twice with different content`)
    }
    this.#files.set(file.path, file)
  }

  tree(): Tree {
    return { files: [...this.#files.values()], refused: this.#refused }
  }
}

import { listDatasets, listModels, listSpaces } from '@huggingface/hub'
import { ArchiveError } from '../domain/errors.ts'
import { isOwnerOrName, type RepoFacts, type RepoType } from '../domain/repo.ts'
import type { HttpEvidence, OwnerListing } from '../hub-port.ts'
import { evidenceOf } from './http-evidence.ts'
import type { HubContext } from './hub-context.ts'
import { listingIncomplete } from './hub-errors.ts'
import { createPageFetch } from './page-walk.ts'
import { decodeOwnerRow } from './wire-repo.ts'

const MAX_PAGES = 50
const FIELDS = ['sha', 'createdAt', 'disabled', 'tags', 'cardData', 'gitalyUid'] as const

/** Every repository of an owner, 500 a page, all facts in the listing itself. See `HubSource.listOwner`. */
export async function listOwner(
  context: HubContext,
  owner: string,
  type: RepoType,
  signal: AbortSignal,
): Promise<OwnerListing> {
  if (!isOwnerOrName(owner)) {
    throw new ArchiveError('USAGE', `"${owner.slice(0, 100)}" cannot be the name of an organisation or user`, {
      hint: 'Names on the Hub have letters, digits, "-", "_" and ".".',
    })
  }
  const what = `the ${type}s of ${owner}`
  const rows = new OwnerRows(owner, type, what)
  const listPath = `${context.endpoint.basePath}/api/${type}s`
  const fetch = createPageFetch(
    context,
    {
      what,
      maxPages: MAX_PAGES,
      isPage: (target) => target.path === listPath || target.path.startsWith(`${listPath}?`),
      onPage: (page, reply) => {
        page.forEach((row) => rows.add(row))
        rows.evidence = evidenceOf(reply, context.clock.now())
      },
    },
    signal,
  )
  const pages = startListing(type, { search: { owner }, hubUrl: context.endpoint.text, fetch })
  // The rows went to `rows`; what remains is to walk to the last page.
  for await (const _ of pages) signal.throwIfAborted()
  return rows.listing()
}

function startListing(
  type: RepoType,
  options: { search: { owner: string }; hubUrl: string; fetch: typeof fetch },
): AsyncIterable<unknown> {
  if (type === 'model') return listModels({ ...options, additionalFields: [...FIELDS] })
  if (type === 'dataset') return listDatasets({ ...options, additionalFields: [...FIELDS] })
  return listSpaces({ ...options, additionalFields: [...FIELDS] })
}

/** Rows of all pages. A repository that comes twice is one, as long as it says the same both times. */
class OwnerRows {
  readonly #owner: string
  readonly #type: RepoType
  readonly #what: string
  readonly #byHubId = new Map<string, { facts: RepoFacts; text: string }>()
  readonly #names = new Set<string>()
  readonly #refused: { name: string; reason: string }[] = []
  /** The answer that ended the listing. */
  evidence: HttpEvidence | undefined

  constructor(owner: string, type: RepoType, what: string) {
    this.#owner = owner
    this.#type = type
    this.#what = what
  }

  add(value: unknown): void {
    const row = decodeOwnerRow(value, this.#type, this.#owner)
    if (row.kind === 'refused') {
      this.#refused.push({ name: row.name, reason: row.reason })
      return
    }
    const { facts } = row
    const text = JSON.stringify(facts)
    const known = this.#byHubId.get(facts.hubId)
    if (known !== undefined) {
      if (known.text !== text) throw listingIncomplete(this.#what, `${facts.ref.name} changed while it was read`)
      return
    }
    const name = facts.ref.name.toLowerCase()
    if (this.#names.has(name)) throw listingIncomplete(this.#what, `two repositories are called ${facts.ref.name}`)
    this.#names.add(name)
    this.#byHubId.set(facts.hubId, { facts, text })
  }

  listing(): OwnerListing {
    const repos = [...this.#byHubId.values()].map((row) => row.facts)
    if (this.evidence === undefined) throw listingIncomplete(this.#what, 'no page of it was read')
    return { repos, refused: this.#refused, evidence: this.evidence }
  }
}

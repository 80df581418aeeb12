import { decodeBoundedObject, decodeObject, decodeStrings, decodeTime, type JsonObject } from '../domain/decode.ts'
import { type CommitId, parseCommitId, parseHubId } from '../domain/digest.ts'
import { licenseFactsOf } from '../domain/license-facts.ts'
import { type Gate, parseRepoName, type RepoFacts, type RepoType, splitRepoName } from '../domain/repo.ts'

const MAX_CARD_TEXT = 256 * 1024
const MAX_CARD_DEPTH = 64
const TAG_BOUNDS = { count: 5000, length: 2000 }
const MAX_SHOWN_NAME = 200

/** One row of a listing: believed, or refused with the reason. */
export type RepoRow =
  | { readonly kind: 'facts'; readonly facts: RepoFacts }
  | { readonly kind: 'refused'; readonly name: string; readonly reason: string }

/** Checks one row of `/api/{type}s` or an info answer, field by field. Fields that were not sent have the Hub's default. */
export function decodeRepo(value: unknown, type: RepoType): RepoRow {
  const row = decodeObject(value)
  if (row === undefined) return { kind: 'refused', name: '', reason: 'the row is not an object' }
  const fields = readFields(row)
  if (typeof fields === 'string') return { kind: 'refused', name: shownName(row['id']), reason: fields }
  const cardData = decodeBoundedObject(row['cardData'], MAX_CARD_TEXT, MAX_CARD_DEPTH)
  const facts: RepoFacts = {
    ref: { type, name: fields.name },
    hubId: fields.hubId,
    commit: fields.commit,
    createdAt: decodeTime(row['createdAt']),
    lastModified: decodeTime(row['lastModified']),
    gated: fields.gated,
    private: row['private'] === true,
    disabled: row['disabled'] === true,
    tags: fields.tags,
    cardData,
    // From the card as sent: a card too large to keep still states its licence.
    license: licenseFactsOf(row['cardData'], fields.tags),
  }
  return { kind: 'facts', facts }
}

/** As `decodeRepo`, and the repository must belong to the owner that was asked for. */
export function decodeOwnerRow(value: unknown, type: RepoType, owner: string): RepoRow {
  const row = decodeRepo(value, type)
  if (row.kind === 'refused') return row
  const { name } = row.facts.ref
  if (splitRepoName(name).owner.toLowerCase() === owner.toLowerCase()) return row
  return { kind: 'refused', name, reason: `the repository belongs to another owner than ${owner}` }
}

type Fields = Pick<RepoFacts, 'hubId' | 'commit' | 'gated' | 'tags'> & { readonly name: RepoFacts['ref']['name'] }

function readFields(row: JsonObject): Fields | string {
  const name = parseRepoName(row['id'])
  if (name === undefined) return 'the id is not owner/name'
  const hubId = parseHubId(row['_id'])
  if (hubId === undefined) return 'the _id is not 24 hex digits'
  const commit = readCommit(row['sha'])
  if (commit === 'invalid') return 'the sha is not 40 hex digits'
  const gated = readGate(row['gated'])
  if (gated === undefined) return 'the gate is not false, auto or manual'
  if (!isFlag(row['private']) || !isFlag(row['disabled'])) return 'private or disabled is not true or false'
  const tags = row['tags'] === undefined ? [] : decodeStrings(row['tags'], TAG_BOUNDS)
  if (tags === undefined) return 'the tags are not a list of texts'
  return { name, hubId, commit, gated, tags }
}

function readCommit(value: unknown): CommitId | undefined | 'invalid' {
  if (value === undefined || value === null) return undefined
  return parseCommitId(value) ?? 'invalid'
}

function readGate(value: unknown): Gate | undefined {
  if (value === undefined || value === false) return false
  // The stricter reading: access must be asked for, and a person decides.
  if (value === true) return 'manual'
  return value === 'auto' || value === 'manual' ? value : undefined
}

function isFlag(value: unknown): boolean {
  return value === undefined || typeof value === 'boolean'
}

function shownName(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_SHOWN_NAME) : ''
}

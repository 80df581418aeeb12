import { parseRepoName, type RepoRef, type RepoType } from '../domain/repo.ts'

/** Words of the Hub's addresses for its kinds of repositories. */
export const TYPE_OF_WORD = new Map<string, RepoType>([
  ['models', 'model'],
  ['datasets', 'dataset'],
  ['spaces', 'space'],
])

/** A request target in its parts, each decoded once. */
export interface RequestTarget {
  /** Without the leading empty one. */
  readonly segments: readonly string[]
  readonly query: URLSearchParams
}

/** Splits a request target. Never throws: what is no percent-encoding stands for itself. */
export function parseTarget(target: string): RequestTarget {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  return {
    segments: path.split('/').slice(1).map(decodeOnce),
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
  }
}

/** Some clients send a path as it is: then a `%` stands for itself. */
function decodeOnce(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment.replace(/%(?![0-9a-f]{2})/gi, '%25'))
  } catch {
    return segment
  }
}

/** `owner`, `name` as a repository of this type; undefined for what can be the name of none. */
export function refOf(type: RepoType, owner: string | undefined, name: string | undefined): RepoRef | undefined {
  const parsed = parseRepoName(`${owner ?? ''}/${name ?? ''}`)
  return parsed === undefined ? undefined : { type, name: parsed }
}

/**
 * Splits what follows `resolve/` or `tree/` into revision and path. A revision may stand encoded in one segment
 * (`refs%2Fpr%2F1`), or as it is in three.
 */
export function splitRevision(segments: readonly string[]): { revision: string; path: string } {
  const isLong = segments[0] === 'refs' && ['pr', 'convert', 'heads', 'tags'].includes(segments[1] ?? '')
  const count = isLong ? 3 : 1
  return { revision: segments.slice(0, count).join('/'), path: segments.slice(count).join('/') }
}

import { ArchiveError } from '../domain/errors.ts'
import { printRepo, type RepoRef, type RepoType } from '../domain/repo.ts'
import type { HubFile } from '../hub-port.ts'
import { readTarget, type Target } from './url-target.ts'

/** The configured Hub: its origin, and the path under which it answers ("" or "/hub"). */
export interface Endpoint {
  readonly text: string
  readonly target: Target
  readonly basePath: string
}

/** Reads `hub.endpoint`. @throws ArchiveError CONFIG_INVALID */
export function readEndpoint(text: string): Endpoint {
  const reading = readTarget(text.trim(), undefined)
  if (reading.kind === 'refused') throw invalidEndpoint(reading.reason)
  const { target } = reading
  if (target.path.includes('?')) throw invalidEndpoint('it has a query')
  const basePath = target.path.replace(/\/+$/, '')
  return { text: `${target.origin}${basePath}`, target, basePath }
}

/** Whether a request to the target may carry the token: exactly the configured scheme, host and port. */
export function isEndpoint(endpoint: Endpoint, target: Target): boolean {
  return target.origin === endpoint.target.origin
}

/** A target on the endpoint; `path` comes after its base path. */
export function endpointTarget(endpoint: Endpoint, path: string): Target {
  return { ...endpoint.target, path: `${endpoint.basePath}${path}` }
}

/** `/api/models/owner/name`; the parts of a checked name need no encoding. */
export function infoPath(ref: RepoRef): string {
  return `/api/${ref.type}s/${ref.name}`
}

/** `/owner/name/resolve/<commit>/<path>`, every byte of the path as the listing has it. */
export function resolvePath(file: HubFile): string {
  return `/${printRepo(file.ref)}/resolve/${file.commit}/${encodePath(file.path)}`
}

/** The repository an info address names, and what follows; undefined for another kind of address. */
export function readInfoPath(
  endpoint: Endpoint,
  target: Target,
): { readonly type: RepoType; readonly name: string; readonly rest: string } | undefined {
  const path = target.path.startsWith(`${endpoint.basePath}/`) ? target.path.slice(endpoint.basePath.length) : ''
  const match = /^\/api\/(model|dataset|space)s\/([^/?]+\/[^/?]+)([/?].*)?$/.exec(path)
  const [, type, name] = match ?? []
  if (type === undefined || name === undefined) return undefined
  return { type: type as RepoType, name, rest: match?.[3] ?? '' }
}

/**
 * Percent-encodes a path, keeping its slashes. Dot segments are encoded, too, or someone on the way would resolve them.
 * Half a surrogate pair, which UTF-8 has no form for, gets the three bytes it would have: two such names stay two.
 */
export function encodePath(path: string): string {
  let encoded = ''
  for (const segment of path.split('/')) {
    const isDots = segment === '.' || segment === '..'
    encoded += `/${isDots ? segment.replaceAll('.', '%2E') : encodeSegment(segment)}`
  }
  return encoded.slice(1)
}

const NEEDS_NO_CODE = /^[A-Za-z0-9._~-]*$/

function encodeSegment(segment: string): string {
  if (NEEDS_NO_CODE.test(segment)) return segment
  let encoded = ''
  for (const character of segment) {
    if (NEEDS_NO_CODE.test(character)) encoded += character
    else for (const byte of utf8Bytes(character)) encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

function utf8Bytes(character: string): Iterable<number> {
  const code = character.codePointAt(0) ?? 0
  if (code < 0xd800 || code > 0xdfff) return Buffer.from(character, 'utf8')
  return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)]
}

function invalidEndpoint(reason: string): ArchiveError {
  return new ArchiveError('CONFIG_INVALID', `hub.endpoint cannot be used: ${reason}`, {
    hint: 'Write the address of a Hub, such as https://huggingface.co. A token belongs into hub.token, not into the address.',
  })
}

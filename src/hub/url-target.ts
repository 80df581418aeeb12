/** Where a request goes: an origin, and a path with query that is sent byte for byte as it stands here. */
export interface Target {
  readonly protocol: 'http:' | 'https:'
  /** Lower case, without brackets; IPv4 in any spelling is in dotted form. */
  readonly hostname: string
  /** Scheme, host and port as a browser compares them. */
  readonly origin: string
  /** Starts with "/"; holds the query. */
  readonly path: string
}

export type TargetReading =
  | { readonly kind: 'target'; readonly target: Target }
  | { readonly kind: 'refused'; readonly reason: string }

const MAX_LENGTH = 16_384

/**
 * Reads an address that upstream sent, absolute or relative to `base`. The path is not normalised: `%2E%2E` in the name
 * of a file must arrive as it is. Refused: other schemes, credentials, and characters an address may not hold.
 */
export function readTarget(text: string, base: Target | undefined): TargetReading {
  if (text.length > MAX_LENGTH) return { kind: 'refused', reason: 'the address is too long' }
  // Bytes above ASCII arrive one to a character (latin1) and are sent on percent-encoded.
  const ascii = text.replace(/[\u0080-\u00ff"`{}|^]/g, percentByte)
  if (!/^[\u0021-\u007e]+$/.test(ascii) || /[\\<>]/.test(ascii)) {
    return { kind: 'refused', reason: 'the address holds characters it must not hold' }
  }
  const absolute = makeAbsolute(ascii, base)
  if (absolute === undefined) return { kind: 'refused', reason: 'the address is not absolute' }
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^#]*)/i.exec(absolute)
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(absolute)?.[1]?.toLowerCase() ?? ''
  if (scheme !== 'http' && scheme !== 'https') return { kind: 'refused', reason: `the scheme is "${scheme}"` }
  if (match === null) return { kind: 'refused', reason: 'the address has no host' }
  return readParts(scheme, match[2] ?? '', match[3] ?? '')
}

/** The address as text. May hold a signature: never logged. */
export function targetUrl(target: Target): string {
  return `${target.origin}${target.path}`
}

/** Host and port for messages and logs: no path, no query. */
export function targetHost(target: Target): string {
  return target.origin.slice(target.protocol.length + 2)
}

function readParts(scheme: 'http' | 'https', authority: string, rest: string): TargetReading {
  if (authority.includes('@')) return { kind: 'refused', reason: 'the address holds credentials' }
  const url = URL.parse(`${scheme}://${authority}/`)
  if (url === null || url.hostname === '') return { kind: 'refused', reason: 'the host is not valid' }
  const target: Target = {
    protocol: `${scheme}:`,
    hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    origin: url.origin,
    path: rest.startsWith('/') ? rest : `/${rest}`,
  }
  return { kind: 'target', target }
}

function makeAbsolute(text: string, base: Target | undefined): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return text
  if (base === undefined) return undefined
  if (text.startsWith('//')) return `${base.protocol}${text}`
  if (text.startsWith('/')) return `${base.origin}${text}`
  const pathname = base.path.replace(/[?#].*$/, '')
  if (text.startsWith('?')) return `${base.origin}${pathname}${text}`
  return `${base.origin}${pathname.slice(0, pathname.lastIndexOf('/') + 1)}${text}`
}

function percentByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

/**
 * What may happen to a name that upstream sent. `plain`: may become a file name. `escape`: archived; shown and restored
 * under an escaped name. `keep-only`: archived as blob and manifest entry, never made on disk and never addressable as a
 * path. `refuse`: not a path at all; the entry is recorded as refused.
 */
export type NameVerdict =
  | { readonly kind: 'plain' }
  | { readonly kind: 'escape' | 'keep-only' | 'refuse'; readonly reason: string }

const MAX_COMPONENT_BYTES = 255
const MAX_PATH_BYTES = 4096
const MAX_DEPTH = 100
const WINDOWS_DEVICE =
  /^(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$) *(\.|$)/i
/** A drive and not the two colons of a stream (`a::$DATA`), which Windows takes for the file itself. */
const DRIVE = /^[A-Za-z]:(?!:)/
const FORBIDDEN_ON_WINDOWS = /[<>:"|?*]/
const ENDS_UNSEEN = /[. ]$/
const WINDOWS_SHORT_NAME = /~[0-9]/
/** Names of nothing but visible ASCII and blanks, as nearly all are. */
const VISIBLE_ASCII = /^[\u0020-\u007e]*$/
/** What HFS+ leaves out when it compares names. */
const IGNORED_IN_NAMES = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g

/** Judges one path of a listing. Pure and linear in the length of the path. */
export function judgeName(path: string): NameVerdict {
  const parts = path.split('/')
  if (path === '' || path === '.' || path === '..') return refuse('not a file path')
  if (path.startsWith('./')) return refuse('starts with "./"')
  if (path.endsWith('/')) return refuse('ends with "/"')
  if (!path.startsWith('/') && parts.includes('')) return refuse('has an empty component')
  if (parts.includes('.')) return refuse('has a "." component')
  return keepOnly(path, parts) ?? escape(parts) ?? { kind: 'plain' }
}

/**
 * Of the paths of one listing those that cannot exist together: a path that is a folder of another one, and what is in
 * that folder. Git holds no such tree, so none of them is ever made on disk. Paths below "/" or too deep are passed over:
 * they are never made on disk anyway.
 */
export function pathsBothFileAndFolder(paths: readonly string[]): ReadonlySet<string> {
  const files = new Set(paths)
  const clashing = new Set<string>()
  for (const path of paths) {
    if (judgeName(path).kind === 'keep-only') continue
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const folder = path.slice(0, slash)
      if (files.has(folder)) clashing.add(folder).add(path)
    }
  }
  return clashing
}

/** Whether the path may be made on disk under its own name on every system. */
export function isPortableName(path: string): boolean {
  return judgeName(path).kind === 'plain'
}

/**
 * A name under which an `escape` path may exist on every system: what is in the way is written as `%` and two hex digits
 * for each byte of its UTF-8, and so is `%` itself. Different paths give different names; undefined where even that has
 * no place on disk.
 */
export function escapedName(path: string): string | undefined {
  const escaped = path
    .split('/')
    .map((part) => escapedPart(part))
    .join('/')
  return isPortableName(escaped) ? escaped : undefined
}

function escapedPart(part: string): string {
  const shown = Array.from(part).map((character, at, all) => {
    const isLast = at === all.length - 1
    const isInTheWay =
      /[%<>:"|?*]/.test(character) ||
      isInvisible(character.codePointAt(0) ?? 0) ||
      (isLast && /[. ]/.test(character)) ||
      (character === '~' && /[0-9]/.test(all[at + 1] ?? '')) ||
      (at === 0 && WINDOWS_DEVICE.test(part))
    return isInTheWay ? percentBytes(character) : character
  })
  return shown.join('')
}

function percentBytes(character: string): string {
  const encoded = encodeURIComponent(character)
  if (encoded !== character) return encoded
  return `%${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')}`
}

function keepOnly(path: string, parts: readonly string[]): NameVerdict | undefined {
  const keep = (reason: string): NameVerdict => ({ kind: 'keep-only', reason })
  if (!path.isWellFormed() || path.includes('\ufffd')) return keep('is not valid Unicode')
  if (path.includes('\0')) return keep('contains a NUL')
  if (path.startsWith('/')) return keep('is absolute')
  if (path.includes('\\')) return keep('contains a backslash')
  if (parts.includes('..')) return keep('climbs out of its folder')
  if (parts.some((part) => DRIVE.test(part))) return keep('names a drive')
  if (isLonger(path, MAX_PATH_BYTES)) return keep(`is longer than ${MAX_PATH_BYTES} bytes`)
  if (parts.length > MAX_DEPTH) return keep(`is nested deeper than ${MAX_DEPTH} folders`)
  if (parts.some((part) => isLonger(part, MAX_COMPONENT_BYTES))) {
    return keep(`has a component longer than ${MAX_COMPONENT_BYTES} bytes`)
  }
  if (parts.some((part) => part.replace(IGNORED_IN_NAMES, '').toLowerCase() === '.git'))
    return keep('enters a .git folder')
  return undefined
}

function escape(parts: readonly string[]): NameVerdict | undefined {
  const verdict = (reason: string): NameVerdict => ({ kind: 'escape', reason })
  if (parts.some((part) => WINDOWS_DEVICE.test(part))) return verdict('is a device name on Windows')
  if (parts.some((part) => FORBIDDEN_ON_WINDOWS.test(part))) return verdict('has a character Windows forbids')
  if (parts.some((part) => ENDS_UNSEEN.test(part))) return verdict('ends in a dot or a blank')
  if (parts.some((part) => WINDOWS_SHORT_NAME.test(part))) return verdict('looks like a Windows short name')
  // C0, C1, bidirectional and invisible controls can rewrite what a terminal or a page shows.
  if (parts.some((part) => displayName(part) !== part)) return verdict('contains control characters')
  return undefined
}

function refuse(reason: string): NameVerdict {
  return { kind: 'refuse', reason }
}

/** Whether its UTF-8 has more bytes. */
function isLonger(text: string, maxBytes: number): boolean {
  // No unit of a string takes more than three.
  if (text.length * 3 <= maxBytes) return false
  let bytes = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes > maxBytes
}

/** A name for people: control characters, lone surrogates, bidirectional marks and blanks without width are shown as `\u{…}`. */
export function displayName(path: string): string {
  if (VISIBLE_ASCII.test(path)) return path
  let shown = ''
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0
    shown += isInvisible(code) ? `\\u{${code.toString(16)}}` : character
  }
  return shown
}

/** Code points that show nothing, move the cursor or turn the text round, with the lone surrogates: first and last. */
const INVISIBLE: readonly (readonly [number, number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x200b, 0x200b],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xe0000, 0xe007f],
]

function isInvisible(code: number): boolean {
  // Nearly every character of a name is one of these.
  if (code >= 0x20 && code < 0x7f) return false
  return INVISIBLE.some(([first, last]) => code >= first && code <= last)
}

/** Ranges of code points that terminals draw two columns wide: East Asian wide and full width, and emoji. */
const WIDE_RANGES: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x1fa70, 0x1faff],
  [0x20000, 0x3fffd],
]
const ELLIPSIS = '…'

/** Terminal columns of a text without control characters. Combining and invisible characters count 0, wide ones 2. */
export function displayWidth(text: string): number {
  if (isPrintableAscii(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

/** The text in at most `width` columns, its middle or its end replaced by `…` when it is longer. */
export function shorten(text: string, width: number, where: 'start' | 'middle' | 'end'): string {
  if (width <= 0) return ''
  // Nothing wider than this is ever shown, so the rest of a hostile text need not be looked at.
  if (text.length <= width * 2 + 64 && displayWidth(text) <= width) return text
  const room = width - 1
  if (where === 'end') return `${takeStart(text, room)}${ELLIPSIS}`
  if (where === 'start') return `${ELLIPSIS}${takeEnd(text, room)}`
  const tail = takeEnd(text, Math.floor(room / 2))
  return `${takeStart(text, room - displayWidth(tail))}${ELLIPSIS}${tail}`
}

function takeStart(text: string, width: number): string {
  let taken = ''
  let used = 0
  for (const character of text) {
    used += characterWidth(character)
    if (used > width || taken.length > width * 8) break
    taken += character
  }
  return taken
}

function takeEnd(text: string, width: number): string {
  const characters = Array.from(text.slice(-(width * 8 + 8)))
  let taken = ''
  let used = 0
  for (const character of characters.toReversed()) {
    used += characterWidth(character)
    if (used > width) break
    taken = `${character}${taken}`
  }
  return taken
}

function characterWidth(character: string): number {
  const code = character.codePointAt(0) ?? 0
  if (code < 0x300) return 1
  if (/^[\p{Mn}\p{Me}\p{Cf}]$/u.test(character)) return 0
  return WIDE_RANGES.some(([first, last]) => code >= first && code <= last) ? 2 : 1
}

function isPrintableAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text)
}

/**
 * Turns what a command wrote to a terminal into a picture, an SVG without scripts, fonts or links.
 *
 * usage: script -qc 'stty cols 110; scripts/weightvault list' /dev/null | node scripts/make-terminal-svg.ts TITLE [COLUMNS] > docs/img/list.svg
 */
import { text as readAll } from 'node:stream/consumers'

/** How a run of characters looks; undefined is the terminal's own. */
interface Style {
  readonly color: string | undefined
  readonly isBold: boolean
  readonly isDim: boolean
}

interface Cell {
  readonly character: string
  readonly style: Style
}

const PLAIN: Style = { color: undefined, isBold: false, isDim: false }
const COLORS = ['#6e7681', '#ff7b72', '#7ee787', '#e3b341', '#79c0ff', '#d2a8ff', '#56d4dd', '#c9d1d9'] as const
const FOREGROUND = '#c9d1d9'
const BACKGROUND = '#0d1117'
const CELL_WIDTH = 8.4
const LINE_HEIGHT = 19
const MARGIN = 18
const TITLE_HEIGHT = 34
/** More is no picture. */
const MAX_LINES = 200
const MAX_COLUMNS = 240

/**
 * @param title shown in the bar above the text, such as the command
 * @param columns where a line goes on below, as in a terminal of that width
 */
export function terminalSvg(output: string, title: string, columns = MAX_COLUMNS): string {
  const lines = screenOf(output, Math.min(columns, MAX_COLUMNS))
  const used = Math.max(40, ...lines.map((line) => line.length))
  const width = Math.ceil(2 * MARGIN + used * CELL_WIDTH)
  const height = TITLE_HEIGHT + MARGIN + lines.length * LINE_HEIGHT
  const rows = lines.flatMap((line, row) => runsOf(line).map((run) => runSvg(run, row)))
  const dots = COLORS.slice(1, 4).map(
    (color, at) => `<circle cx="${MARGIN + at * 18}" cy="17" r="5.5" fill="${color}"/>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="${BACKGROUND}"/>`,
    ...dots,
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="${FOREGROUND}">`,
    `<text x="${width / 2}" y="22" text-anchor="middle" fill="${COLORS[0]}">${escape(title)}</text>`,
    ...rows,
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

/** Lines of cells and a cursor: as much of a terminal as progress lines use. */
class Screen {
  readonly lines: Cell[][] = [[]]
  readonly #columns: number
  #row = 0
  #column = 0
  #style = PLAIN

  constructor(columns: number) {
    this.#columns = columns
  }

  command(letter: string, parameters: string): void {
    const count = Number(parameters || 1)
    if (letter === 'm') this.#style = applySgr(this.#style, parameters)
    if (letter === 'A') this.#row = Math.max(0, this.#row - count)
    if (letter === 'G') this.#column = count - 1
    if (letter === 'K') this.#line().length = parameters === '2' ? 0 : Math.min(this.#line().length, this.#column)
    if (letter === 'J') this.lines.splice(this.#row, this.lines.length, this.#line().slice(0, this.#column))
  }

  write(character: string): void {
    const isFull = character >= ' ' && this.#column >= this.#columns
    if (character === '\n' || isFull) this.#row = Math.min(MAX_LINES - 1, this.#row + 1)
    if (character === '\n' || character === '\r' || isFull) this.#column = 0
    if (character >= ' ') {
      const line = this.#line()
      while (line.length < this.#column) line.push({ character: ' ', style: PLAIN })
      line[this.#column] = { character, style: this.#style }
      this.#column += 1
    }
  }

  #line(): Cell[] {
    while (this.lines.length <= this.#row) this.lines.push([])
    return this.lines[this.#row] ?? []
  }
}

/** What stands on the screen in the end: colours kept, cursor movements and overwritten lines resolved. */
function screenOf(output: string, columns: number): Cell[][] {
  const screen = new Screen(columns)
  for (const [at, part] of output.split('\u001b').entries()) {
    const sequence = at === 0 ? null : /^\[([0-9;?]*)([A-Za-z])/.exec(part)
    if (sequence !== null) screen.command(sequence[2] ?? '', sequence[1] ?? '')
    // Another kind of sequence than a CSI: its first character belongs to it.
    const text = part.slice(at === 0 ? 0 : (sequence?.[0].length ?? 1))
    for (const character of text) screen.write(character)
  }
  const { lines } = screen
  while (lines.at(-1)?.length === 0) lines.pop()
  return lines
}

function applySgr(style: Style, parameters: string): Style {
  let next = style
  for (const code of parameters.split(';').map(Number)) {
    if (code === 0) next = PLAIN
    else if (code === 1) next = { ...next, isBold: true }
    else if (code === 2) next = { ...next, isDim: true }
    else if (code === 22) next = { ...next, isBold: false, isDim: false }
    else if (code >= 30 && code <= 37) next = { ...next, color: COLORS[code - 30] }
    else if (code >= 90 && code <= 97) next = { ...next, color: COLORS[code - 90] }
    else if (code === 39) next = { ...next, color: undefined }
  }
  return next
}

interface Run {
  readonly column: number
  readonly style: Style
  text: string
}

function runsOf(line: readonly Cell[]): Run[] {
  const runs: Run[] = []
  for (const [column, { character, style }] of line.entries()) {
    const last = runs.at(-1)
    if (last !== undefined && last.style === style) last.text += character
    else runs.push({ column, style, text: character })
  }
  return runs.filter((run) => run.text.trim() !== '')
}

function runSvg({ column, style, text }: Run, row: number): string {
  const x = (MARGIN + column * CELL_WIDTH).toFixed(1)
  const y = TITLE_HEIGHT + (row + 1) * LINE_HEIGHT - 5
  const attributes = [
    `x="${x}" y="${y}" xml:space="preserve"`,
    // Whatever font is there, columns stay below one another.
    `textLength="${(text.length * CELL_WIDTH).toFixed(1)}"`,
    ...(style.color === undefined ? [] : [`fill="${style.color}"`]),
    ...(style.isBold ? ['font-weight="bold"'] : []),
    ...(style.isDim ? ['opacity="0.6"'] : []),
  ]
  return `<text ${attributes.join(' ')}>${escape(text)}</text>`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

if (import.meta.main) {
  process.stdout.write(
    terminalSvg(await readAll(process.stdin), process.argv[2] ?? '', Number(process.argv[3] ?? MAX_COLUMNS)),
  )
}

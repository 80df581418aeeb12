import { displayName } from '../domain/file-name.ts'
import { displayWidth, shorten } from './display-width.ts'
import type { Paint } from './palette.ts'

/** One column of a table for people. Cell texts may come from upstream: they are made harmless here. */
export interface Column<Row> {
  readonly header: string
  text(row: Row): string
  readonly align?: 'left' | 'right'
  /** Columns that still tell something; undefined = this column is never shortened. */
  readonly minWidth?: number
  /** What is left out of a long text. Names keep both ends. */
  readonly shorten?: 'middle' | 'end'
  /** Left out when the terminal is narrow: the highest first. undefined = always shown. */
  readonly dropRank?: number
  paint?(row: Row): Paint
}

/** The columns that are shown, with their widths. Made from the first rows, used for all. */
interface TableLayout<Row> {
  readonly columns: readonly { readonly column: Column<Row>; readonly width: number }[]
}

const GAP = '  '
/** A cell never gets wider, however long a name upstream chose. */
const MAX_CELL_WIDTH = 200

/**
 * Chooses columns and widths for a terminal of `width` columns (Infinity when piped). A column that does not fit even
 * shortened is left out, the least important first; room that is left goes to the first columns first.
 */
export function layoutTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
): TableLayout<Row> {
  const natural = new Map(columns.map((column) => [column, naturalWidth(column, rows)]))
  const least = (column: Column<Row>): number => Math.min(natural.get(column)!, column.minWidth ?? Infinity)
  const shown = columnsThatFit(columns, least, width)
  let room = Math.max(0, width - leastWidth(shown, least))
  return {
    columns: shown.map((column) => {
      const extra = Math.min(room, natural.get(column)! - least(column))
      room -= extra
      return { column, width: least(column) + extra }
    }),
  }
}

/** The line of column titles. */
export function renderHeader<Row>(layout: TableLayout<Row>, paint: Paint): string {
  return paint(renderCells(layout, (column) => ({ text: column.header, paint: undefined })))
}

/** One line of the table, without its line end. */
export function renderRow<Row>(layout: TableLayout<Row>, row: Row): string {
  return renderCells(layout, (column) => ({ text: displayName(column.text(row)), paint: column.paint?.(row) }))
}

/** The whole table for rows that are all there. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
  headerPaint: Paint,
): string {
  const layout = layoutTable(columns, rows, width)
  return [renderHeader(layout, headerPaint), ...rows.map((row) => renderRow(layout, row))].join('\n')
}

function renderCells<Row>(
  layout: TableLayout<Row>,
  cell: (column: Column<Row>) => { text: string; paint: Paint | undefined },
): string {
  const last = layout.columns.length - 1
  const cells = layout.columns.map(({ column, width }, at) => {
    const { text, paint } = cell(column)
    const fitted = shorten(text, width, column.shorten ?? 'end')
    const shown = paint === undefined || fitted === '' ? fitted : paint(fitted)
    const blanks = ' '.repeat(Math.max(0, width - displayWidth(fitted)))
    if (column.align === 'right') return `${blanks}${shown}`
    return at === last ? shown : `${shown}${blanks}`
  })
  return cells.join(GAP)
}

function naturalWidth<Row>(column: Column<Row>, rows: readonly Row[]): number {
  let width = displayWidth(column.header)
  for (const row of rows) {
    const text = shorten(displayName(column.text(row)), MAX_CELL_WIDTH, 'end')
    width = Math.max(width, displayWidth(text))
  }
  return width
}

/** Leaves columns out, the least important first, until the rest fits; then takes back in what fits after all. */
function columnsThatFit<Row>(
  columns: readonly Column<Row>[],
  least: (column: Column<Row>) => number,
  width: number,
): Column<Row>[] {
  const shown = new Set(columns)
  const inOrder = (): Column<Row>[] => columns.filter((column) => shown.has(column))
  const droppable = columns.filter((column) => column.dropRank !== undefined)
  droppable.sort((a, b) => b.dropRank! - a.dropRank!)
  const dropped: Column<Row>[] = []
  for (const column of droppable) {
    if (leastWidth(inOrder(), least) <= width) break
    shown.delete(column)
    dropped.unshift(column)
  }
  for (const column of dropped) {
    shown.add(column)
    if (leastWidth(inOrder(), least) > width) shown.delete(column)
  }
  return inOrder()
}

function leastWidth<Row>(columns: readonly Column<Row>[], least: (column: Column<Row>) => number): number {
  return columns.reduce((sum, column) => sum + least(column), GAP.length * Math.max(0, columns.length - 1))
}

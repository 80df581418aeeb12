import type { Clock } from '../clock-port.ts'
import type { CommitId } from '../domain/digest.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { displayName } from '../domain/file-name.ts'
import type { RepoRef } from '../domain/repo.ts'
import type { HubFile } from '../hub-port.ts'
import { formatRate, formatSize } from '../lib/units.ts'
import { counted } from './ago.ts'
import { displayWidth, shorten } from './display-width.ts'
import { eventLine, isNews } from './event-line.ts'
import { createPalette, type Palette } from './palette.ts'
import {
  failedLine,
  leftText,
  listedLine,
  polledLine,
  sealedLine,
  summaryText,
  waitingLine,
} from './progress-sentence.ts'
import type { ProgressView } from './progress-view.ts'
import { RateMeter } from './rate-meter.ts'
import { PollNews } from './poll-news.ts'
import { TransferState, type RunningFile } from './transfer-state.ts'

const REDRAW_EVERY_MS = 100
/** Lines of running files; more are counted. */
const MAX_FILE_LINES = 8
const MIN_NAME_WIDTH = 20
const NO_COLORS = createPalette(false)
const BAR_WIDTH = 16
const BAR_FROM_COLUMNS = 100

/** The terminal a live display is drawn on. */
interface LiveTerminal {
  write(text: string): void
  columns(): number
  readonly palette: Palette
}

/**
 * Progress as a block of lines that is redrawn in place, at most ten times a second: one line a running file and one for
 * everything. What is worth keeping (listed, sealed, events, failures) scrolls by above it. Call `tick` now and then, so
 * that a stalled transfer shows as one.
 */
export class TerminalProgress implements ProgressView {
  readonly #terminal: LiveTerminal
  readonly #clock: Pick<Clock, 'now'>
  readonly #isWorthALine: (event: LoggedEvent) => boolean
  readonly #transfers: TransferState
  readonly #polls = new PollNews()
  readonly #verified: { files: number; bytes: number; rate: RateMeter; path: string; did: string }
  #lastLongReason = ''
  #waiting: { reason: string; untilMs: number | undefined } | undefined
  #drawnLines = 0
  #nextDrawMs = 0
  #isClosed = false

  constructor(
    terminal: LiveTerminal,
    clock: Pick<Clock, 'now'>,
    isWorthALine: (event: LoggedEvent) => boolean = isNews,
  ) {
    this.#terminal = terminal
    this.#clock = clock
    this.#isWorthALine = isWorthALine
    this.#transfers = new TransferState(clock.now())
    this.#verified = { files: 0, bytes: 0, rate: new RateMeter(clock.now()), path: '', did: '' }
  }

  polled(watch: string, repos: number, changed: number): void {
    if (this.#polls.isNews(watch, changed)) this.#say(polledLine(watch, repos, changed, this.#terminal.palette))
  }

  listed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void {
    this.#say(listedLine({ ref, commit, files, bytes }, this.#terminal.palette))
  }

  total(files: number, bytes: number): void {
    this.#transfers.total(files, bytes)
    this.tick()
  }

  started(file: HubFile, size: number, resumedAt: number): void {
    this.#waiting = undefined
    this.#lastLongReason = ''
    this.#transfers.start(file, size, resumedAt, this.#clock.now())
    this.tick()
  }

  moved(file: HubFile, bytes: number): void {
    this.#transfers.move(file, bytes, this.#clock.now())
    this.tick()
  }

  ended(file: HubFile): void {
    this.#transfers.end(file)
    this.tick()
  }

  finished(file: HubFile): void {
    this.#transfers.finish(file)
    this.tick()
  }

  failed(file: HubFile, code: string, message: string): void {
    this.#transfers.fail(file)
    this.#say(failedLine(file, code, message, this.#terminal.palette))
  }

  refused(file: HubFile): void {
    this.#transfers.fail(file)
    this.tick()
  }

  sealed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void {
    this.#say(sealedLine({ ref, commit, files, bytes }, this.#terminal.palette))
  }

  events(events: readonly LoggedEvent[]): void {
    for (const event of events) {
      if (this.#isWorthALine(event)) this.#say(eventLine(event, this.#terminal.palette, { withDate: false }))
    }
  }

  verified(path: string, bytes: number, did: Parameters<ProgressView['verified']>[2] = 'verified'): void {
    this.#verified.did = did
    this.#verified.files += 1
    this.#verified.bytes += bytes
    this.#verified.path = path
    this.#verified.rate.add(this.#clock.now(), bytes)
    this.tick()
  }

  waiting(reason: string, untilMs: number | undefined): void {
    const nowMs = this.#clock.now()
    if (displayWidth(waitingLine(reason, untilMs, nowMs, NO_COLORS)) < this.#width()) {
      this.#waiting = { reason, untilMs }
      this.tick()
      return
    }
    // Cut to one line it would lose what it says at its end: it scrolls by once instead.
    this.#waiting = undefined
    if (reason === this.#lastLongReason) return
    this.#lastLongReason = reason
    this.#say(waitingLine(reason, untilMs, nowMs, this.#terminal.palette))
  }

  /** Draws the block again when it is time to. */
  tick(): void {
    const nowMs = this.#clock.now()
    if (this.#isClosed || nowMs < this.#nextDrawMs) return
    this.#nextDrawMs = nowMs + REDRAW_EVERY_MS
    const lines = this.#block(nowMs)
    const text = `${this.#eraser()}${lines.map((line) => `${line}\n`).join('')}`
    this.#drawnLines = lines.length
    if (text !== '') this.#terminal.write(text)
  }

  clear(): void {
    if (this.#drawnLines > 0) this.#terminal.write(this.#eraser())
    this.#drawnLines = 0
  }

  close(): void {
    this.clear()
    this.#isClosed = true
  }

  /** A line that stays; the block comes back below it at the next draw. */
  #say(line: string): void {
    this.#terminal.write(`${this.#eraser()}${line}\n`)
    this.#drawnLines = 0
    this.tick()
  }

  #width(): number {
    return Math.max(20, this.#terminal.columns() - 1)
  }

  #eraser(): string {
    return this.#drawnLines === 0 ? '' : `\r\u001b[${this.#drawnLines}A\u001b[0J`
  }

  #block(nowMs: number): string[] {
    const { palette } = this.#terminal
    const width = this.#width()
    const running = [...this.#transfers.running.values()]
    const lines = running.slice(0, MAX_FILE_LINES).map((file) => fileLine(file, nowMs, width, palette))
    if (running.length > MAX_FILE_LINES) lines.push(palette.faint(`  … and ${running.length - MAX_FILE_LINES} more`))
    if (running.length > 0 || this.#transfers.leftFiles > 0) {
      lines.push(palette.strong(shorten(summaryText(this.#transfers, nowMs), width, 'end')))
    }
    if (this.#verified.files > 0) lines.push(shorten(verifiedText(this.#verified, nowMs), width, 'end'))
    const { reason, untilMs } = this.#waiting ?? {}
    const isOver = untilMs !== undefined && untilMs <= nowMs
    if (reason !== undefined && !isOver && running.length === 0) {
      lines.push(palette.attention(shorten(waitingLine(reason, untilMs, nowMs, NO_COLORS), width, 'end')))
    }
    return lines
  }
}

function fileLine(file: RunningFile, nowMs: number, width: number, palette: Palette): string {
  const share = file.size === 0 ? 1 : Math.min(1, file.done / file.size)
  const bytesPerSecond = file.rate.bytesPerSecond(nowMs)
  const left =
    bytesPerSecond < 1 ? '' : leftText(((file.size - Math.min(file.done, file.size)) / bytesPerSecond) * 1000)
  const parts = [
    `${String(Math.floor(share * 100)).padStart(3)} %`,
    `${formatSize(file.done)}/${formatSize(file.size)}`.padStart(15),
    formatRate(bytesPerSecond).padStart(10),
    left.padStart(7),
  ]
  // A line that wraps could not be erased: on a narrow terminal the last numbers are left out.
  while (parts.length > 1 && parts.join('  ').length + MIN_NAME_WIDTH > width) parts.pop()
  const numbers = parts.join('  ')
  const bar = width < BAR_FROM_COLUMNS ? '' : `  ${barText(share, palette)}`
  const room = width - numbers.length - (bar === '' ? 2 : BAR_WIDTH + 6)
  // The end has the number of the shard, by which the lines of one model differ.
  const name = shorten(displayName(`${file.repo} ${file.path}`), room, 'start')
  const blanks = ' '.repeat(Math.max(0, room - displayWidth(name)))
  return `${palette.name(name)}${blanks}${bar}  ${numbers}`
}

function barText(share: number, palette: Palette): string {
  const full = Math.floor(share * BAR_WIDTH)
  return `[${palette.good('#'.repeat(full))}${palette.faint('-'.repeat(BAR_WIDTH - full))}]`
}

function verifiedText(
  verified: { files: number; bytes: number; rate: RateMeter; path: string; did: string },
  nowMs: number,
): string {
  const rate = formatRate(verified.rate.bytesPerSecond(nowMs))
  return `${counted(verified.files, 'file')}, ${formatSize(verified.bytes)} ${verified.did}, ${rate}: ${displayName(verified.path)}`
}

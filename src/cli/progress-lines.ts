import type { Clock } from '../clock-port.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { formatRate, formatSize } from '../lib/units.ts'
import { counted } from './ago.ts'
import { eventLine, isNews } from './event-line.ts'
import { createPalette } from './palette.ts'
import {
  failedLine,
  finishedLine,
  listedLine,
  polledLine,
  sealedLine,
  summaryText,
  waitingLine,
} from './progress-sentence.ts'
import { PollNews } from './poll-news.ts'
import type { ProgressView } from './progress-view.ts'
import { RateMeter } from './rate-meter.ts'
import { TransferState } from './transfer-state.ts'

const SUMMARY_EVERY_MS = 10_000
/** A file from this size on is worth a line of its own. */
const LARGE_FILE_BYTES = 32 * 1024 * 1024

/** Progress as plain lines, for a pipe or a log: what a person would want to read later, and a summary now and then. */
export function createProgressLines(
  write: (line: string) => void,
  clock: Pick<Clock, 'now'>,
  isWorthALine: (event: LoggedEvent) => boolean = isNews,
): ProgressView {
  const palette = createPalette(false)
  const state = new TransferState(clock.now())
  const polls = new PollNews()
  const verified = { files: 0, bytes: 0, rate: new RateMeter(clock.now()) }
  let nextSummaryMs = clock.now() + SUMMARY_EVERY_MS
  let lastWaiting = ''
  const isSummaryDue = (nowMs: number): boolean => {
    if (nowMs < nextSummaryMs) return false
    nextSummaryMs = nowMs + SUMMARY_EVERY_MS
    return true
  }
  return {
    polled(watch, repos, changed) {
      if (polls.isNews(watch, changed)) write(polledLine(watch, repos, changed, palette))
    },
    listed: (ref, commit, files, bytes) => write(listedLine({ ref, commit, files, bytes }, palette)),
    total: (files, bytes) => state.total(files, bytes),
    started(file, size, resumedAt) {
      lastWaiting = ''
      state.start(file, size, resumedAt, clock.now())
    },
    moved(file, bytes) {
      const nowMs = clock.now()
      state.move(file, bytes, nowMs)
      if (isSummaryDue(nowMs)) write(`progress  ${summaryText(state, nowMs)}`)
    },
    ended: (file) => state.end(file),
    finished(file, size) {
      state.finish(file)
      if (size >= LARGE_FILE_BYTES) write(finishedLine(file, size, palette))
    },
    failed(file, code, message) {
      state.fail(file)
      write(failedLine(file, code, message, palette))
    },
    refused: (file) => state.fail(file),
    sealed: (ref, commit, files, bytes) => write(sealedLine({ ref, commit, files, bytes }, palette)),
    events(events) {
      for (const event of events) {
        if (isWorthALine(event)) write(`event     ${eventLine(event, palette, { withDate: false })}`)
      }
    },
    verified(_path, bytes, did = 'verified') {
      const nowMs = clock.now()
      verified.files += 1
      verified.bytes += bytes
      verified.rate.add(nowMs, bytes)
      if (!isSummaryDue(nowMs)) return
      const rate = formatRate(verified.rate.bytesPerSecond(nowMs))
      write(`progress  ${counted(verified.files, 'file')}, ${formatSize(verified.bytes)} ${did}, ${rate}`)
    },
    waiting(reason, untilMs) {
      if (reason === lastWaiting) return
      lastWaiting = reason
      write(waitingLine(reason, untilMs, clock.now(), palette))
    },
    clear() {},
    close() {},
  }
}

import type { Clock } from '../clock-port.ts'
import { isNews, isNewsBeforeFailures } from './event-line.ts'
import type { Palette } from './palette.ts'
import { OutputClosed } from './printer.ts'
import { createProgressLines } from './progress-lines.ts'
import { TerminalProgress } from './progress-terminal.ts'
import { silentProgress, type ProgressView } from './progress-view.ts'
import type { Stream } from './run-cli.ts'

/** How often a live display is looked at when nothing moves. */
const TICK_MS = 500

/** Where progress is shown, and what stops its timer. */
interface ChosenProgress extends Disposable {
  readonly view: ProgressView
}

/** A live display where there is a terminal, lines where the output is read later, nothing for scripts. */
export function chooseProgress(to: {
  live: Stream | undefined
  lines: Stream | undefined
  palette: Palette
  clock: Clock
  listsFailures: boolean
}): ChosenProgress {
  const { live, lines, palette, clock } = to
  const isWorthALine = to.listsFailures ? isNewsBeforeFailures : isNews
  if (live !== undefined) {
    const write = (text: string): void => send(live, text)
    const view = new TerminalProgress({ write, columns: () => live.columns() ?? 80, palette }, clock, isWorthALine)
    const timer = setInterval(() => view.tick(), TICK_MS)
    timer.unref()
    return { view, [Symbol.dispose]: () => clearInterval(timer) }
  }
  const view =
    lines === undefined
      ? silentProgress()
      : createProgressLines((line) => send(lines, `${line}\n`), clock, isWorthALine)
  return { view, [Symbol.dispose]: () => {} }
}

/** Progress never stops the work, even when nobody reads it any more. */
function send(stream: Stream, text: string): void {
  stream.write(text).catch((error: unknown) => {
    if (!(error instanceof OutputClosed)) throw error
  })
}

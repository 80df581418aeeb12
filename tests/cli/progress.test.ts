import assert from 'node:assert/strict'
import { test } from 'node:test'
import { displayWidth } from '../../src/cli/display-width.ts'
import { isNews, isNewsBeforeFailures } from '../../src/cli/event-line.ts'
import { createPalette } from '../../src/cli/palette.ts'
import { createProgressLines } from '../../src/cli/progress-lines.ts'
import { TerminalProgress } from '../../src/cli/progress-terminal.ts'
import { RateMeter } from '../../src/cli/rate-meter.ts'
import { parseCommitId } from '../../src/domain/digest.ts'
import type { LoggedEvent } from '../../src/domain/events.ts'
import { parseRepoArgument } from '../../src/domain/repo.ts'
import type { HubFile } from '../../src/hub-port.ts'

const ref = parseRepoArgument('Qwen/Qwen3.5-4B')!.ref
const commit = parseCommitId('a'.repeat(40))!
const HOSTILE = 'evil\u001b[2J\u0007\n\u202e.safetensors'
const MB = 1_000_000

function file(path: string): HubFile {
  return { ref, commit, path }
}

function event(type: LoggedEvent['type'], detail: Record<string, unknown> = {}): LoggedEvent {
  return { seq: 1, id: 'x-1', type, severity: 'warning', repo: ref, at: '', before: null, after: null, detail }
}

class ManualClock {
  nowMs = 1_000_000
  now(): number {
    return this.nowMs
  }
}

/** A terminal that understands what the display sends: text, line ends, cursor up, erase below. */
class Screen {
  readonly palette = createPalette(false)
  readonly #columns: number
  lines = ['']
  writes = 0

  constructor(columns: number) {
    this.#columns = columns
  }

  columns(): number {
    return this.#columns
  }

  write(text: string): void {
    this.writes += 1
    // oxlint-disable-next-line no-control-regex
    for (const part of text.split(/(\r|\n|\u001b\[\d+[AJ])/)) {
      if (part === '\n') this.lines.push('')
      // oxlint-disable-next-line no-control-regex
      else if (/^\u001b\[\d+A$/.test(part)) this.lines.length -= Number(part.slice(2, -1))
      else if (part === '\u001b[0J') this.lines[this.lines.length - 1] = ''
      else if (part !== '\r') this.lines[this.lines.length - 1] += part
    }
  }
}

test('TerminalProgress shows each running file and a total, and leaves only what is worth keeping', () => {
  const clock = new ManualClock()
  const screen = new Screen(100)
  const progress = new TerminalProgress(screen, clock)

  progress.polled('org:Qwen', 600, 3)
  progress.listed(ref, commit, 2, 30 * MB)
  progress.total(2, 30 * MB)
  progress.started(file('model.safetensors'), 20 * MB, 5 * MB)
  for (let second = 0; second < 5; second += 1) {
    clock.nowMs += 1000
    progress.moved(file('model.safetensors'), 2 * MB)
  }

  const shown = screen.lines.join('\n')
  assert.match(shown, /Qwen\/Qwen3\.5-4B model\.safetensors .*75 % +15\.0 MB\/20\.0 MB +2\.\d\d MB\/s +\ds/)
  assert.match(shown, /0 of 2 files, 10\.0 MB fetched, 15\.0 MB to go, 2\.\d\d MB\/s, \ds left/)

  progress.finished(file('model.safetensors'))
  progress.sealed(ref, commit, 2, 30 * MB)
  progress.close()

  assert.deepEqual(
    screen.lines.map((line) => line.split(' ')[0]),
    ['polled', 'listed', 'sealed', ''],
  )
})

test('TerminalProgress keeps the numbers by which the shards of a model differ', () => {
  const screen = new Screen(80)
  const clock = new ManualClock()
  const progress = new TerminalProgress(screen, clock)

  for (const shard of ['00017', '00018']) {
    progress.started(file(`model-${shard}-of-00245.safetensors`), 10 * MB, 0)
  }
  clock.nowMs += 2000
  progress.moved(file('model-00017-of-00245.safetensors'), MB)

  const shown = screen.lines.join('\n')
  assert.match(shown, /model-00017-of-00245\.safetensors/)
  assert.match(shown, /model-00018-of-00245\.safetensors/)
})

test('TerminalProgress redraws at most ten times a second', () => {
  const clock = new ManualClock()
  const screen = new Screen(80)
  const progress = new TerminalProgress(screen, clock)
  progress.started(file('a.bin'), 1000 * MB, 0)

  for (let ms = 0; ms < 1000; ms += 1) {
    clock.nowMs += 1
    progress.moved(file('a.bin'), 1000)
  }

  assert.ok(screen.writes <= 11, `${screen.writes} writes`)
})

test('TerminalProgress shows that nothing moves any more', () => {
  const clock = new ManualClock()
  const screen = new Screen(80)
  const progress = new TerminalProgress(screen, clock)
  progress.total(1, 100 * MB)
  progress.started(file('a.bin'), 100 * MB, 0)
  clock.nowMs += 1000
  progress.moved(file('a.bin'), MB)

  clock.nowMs += 10_000
  progress.tick()

  assert.match(screen.lines.join('\n'), /99\.0 MB to go, 0 B\/s$/m)
})

test('TerminalProgress draws nothing after it was closed', () => {
  const clock = new ManualClock()
  const screen = new Screen(80)
  const progress = new TerminalProgress(screen, clock)
  progress.started(file('a.bin'), MB, 0)
  progress.close()
  const before = screen.lines.join('\n')

  clock.nowMs += 1000
  progress.moved(file('a.bin'), 10)
  progress.tick()

  assert.equal(screen.lines.join('\n'), before)
})

test('TerminalProgress keeps every line of its block on one line of the terminal, whatever the names', () => {
  for (const columns of [20, 40, 80, 200]) {
    const clock = new ManualClock()
    const screen = new Screen(columns)
    const progress = new TerminalProgress(screen, clock)
    progress.total(50, 1000 * MB)
    for (const name of [HOSTILE, 'x'.repeat(5000), '模型'.repeat(300)]) progress.started(file(name), MB, 0)
    for (let at = 0; at < 30; at += 1) progress.started(file(`f${at}`), MB, 0)
    clock.nowMs += 1000

    progress.tick()

    assert.ok(screen.lines.length <= 12, 'a screen is not filled by running files')
    for (const line of screen.lines) {
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(line, /[\u0000-\u001f\u202e]/)
      assert.ok(displayWidth(line) <= columns, `${displayWidth(line)} of ${columns}: ${line}`)
    }
  }
})

test('createProgressLines writes large files, failures and warnings at once, small files never', () => {
  const lines: string[] = []
  const clock = new ManualClock()
  const progress = createProgressLines((line) => lines.push(line), clock)

  progress.started(file('config.json'), 10, 0)
  progress.finished(file('config.json'), 10)
  progress.started(file('big.gguf'), 100 * MB, 0)
  progress.finished(file('big.gguf'), 100 * MB)
  progress.failed(file(HOSTILE), 'TRANSFER_STALLED', 'nothing came\nfor 30 s')
  progress.events([event('license-changed'), event('repo-published', { backlog: true }), event('snapshot-sealed')])
  progress.waiting('the quota of the Hub', clock.nowMs + 30_000)
  progress.waiting('the quota of the Hub', clock.nowMs + 29_000)

  assert.equal(lines.length, 4)
  assert.match(lines[0]!, /^fetched {3}Qwen\/Qwen3\.5-4B big\.gguf, 100 MB$/)
  assert.match(lines[1]!, /^failed .*nothing came.*\(TRANSFER_STALLED\)$/)
  assert.match(lines[2]!, /changed its licence/)
  assert.match(lines[3]!, /^waiting {3}the quota of the Hub; next try in 30s$/)
  // oxlint-disable-next-line no-control-regex
  for (const line of lines) assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202e]/)
})

test('createProgressLines sums up at most every ten seconds', () => {
  const lines: string[] = []
  const clock = new ManualClock()
  const progress = createProgressLines((line) => lines.push(line), clock)
  progress.total(1, 1000 * MB)
  progress.started(file('big.gguf'), 1000 * MB, 0)

  for (let second = 0; second < 35; second += 1) {
    clock.nowMs += 1000
    progress.moved(file('big.gguf'), 10 * MB)
  }

  assert.equal(lines.length, 3)
  assert.match(lines[0]!, /^progress {2}0 of 1 file, 100 MB fetched, 900 MB to go, [\d.]+ MB\/s, 1m \d+s left$/)
})

test('a poll is told the first time, and when it found something', () => {
  const lines: string[] = []
  const progress = createProgressLines((line) => lines.push(line), new ManualClock())

  for (const changed of [0, 0, 2, 0]) progress.polled('org:Qwen', 600, changed)
  progress.polled('user:unsloth', 10, 0)

  assert.deepEqual(lines, [
    'polled    org:Qwen: 600 repositories, 0 new or changed',
    'polled    org:Qwen: 600 repositories, 2 new or changed',
    'polled    user:unsloth: 10 repositories, 0 new or changed',
  ])
})

test('a failed file counts as still to fetch', () => {
  const lines: string[] = []
  const clock = new ManualClock()
  const progress = createProgressLines((line) => lines.push(line), clock)
  progress.total(2, 20 * MB)
  progress.started(file('a'), 10 * MB, 0)
  progress.moved(file('a'), 4 * MB)
  progress.failed(file('a'), 'X', 'broke')
  progress.started(file('b'), 10 * MB, 0)
  clock.nowMs += 11_000

  progress.moved(file('b'), MB)

  assert.match(lines.at(-1)!, /5\.00 MB fetched, 19\.0 MB to go.*1 failed/)
})

test('TerminalProgress shows a wait in whole seconds, and no longer once its time has passed', () => {
  const clock = new ManualClock()
  const screen = new Screen(80)
  const progress = new TerminalProgress(screen, clock)

  progress.waiting('the Hub: no connection (ENOTFOUND)', clock.nowMs + 4300)
  const first = screen.lines.join('\n')
  clock.nowMs += 4000
  progress.tick()
  const later = screen.lines.join('\n')
  clock.nowMs += 300
  progress.tick()

  assert.equal(first, 'waiting   the Hub: no connection (ENOTFOUND); next try in 5s\n')
  assert.equal(later, 'waiting   the Hub: no connection (ENOTFOUND); next try in 1s\n')
  assert.equal(screen.lines.join(''), '')
})

test('TerminalProgress writes a reason that is longer than the line whole, once', () => {
  const clock = new ManualClock()
  const screen = new Screen(60)
  const progress = new TerminalProgress(screen, clock)
  const reason = `the Hub is unreachable; ${'and so on '.repeat(8)}the end`

  for (let at = 0; at < 3; at += 1) {
    progress.waiting(reason, clock.nowMs + 15_000)
    clock.nowMs += 15_000
    progress.tick()
  }
  progress.close()

  assert.deepEqual(screen.lines, [`waiting   ${reason}; next try in 15s`, ''])
})

test('RateMeter measures the last seconds, and survives a clock that jumps', () => {
  const meter = new RateMeter(0)
  for (let ms = 0; ms < 5000; ms += 100) meter.add(ms, 1000)

  assert.ok(Math.abs(meter.bytesPerSecond(5000) - 10_000) < 1000)
  assert.equal(meter.bytesPerSecond(60_000), 0)

  meter.add(1000, 5000)
  meter.add(60_100, 5000)

  const rate = meter.bytesPerSecond(60_100)
  assert.ok(rate > 0 && rate <= 4000, String(rate))
})

test('createProgressLines tells a refused repository by its event, and counts its files as failed', () => {
  const clock = new ManualClock()
  const lines: string[] = []
  const progress = createProgressLines((line) => lines.push(line), clock)
  progress.total(2, 2 * MB)

  for (const path of ['a', 'b']) progress.refused(file(path))
  progress.events([event('download-failed', { message: 'the repository is gated' })])
  progress.events([event('download-failed', { path: 'c', message: 'told by the line of its file' })])
  clock.nowMs += 60_000
  progress.moved(file('d'), 1)

  assert.equal(lines.length, 2)
  assert.match(lines[0]!, /a download failed: the repository is gated$/)
  assert.match(lines[1]!, /2 failed$/)
})

test('isNewsBeforeFailures leaves every failure to the outcome', () => {
  for (const type of ['download-failed', 'watch-failed'] as const) {
    assert.equal(isNews(event(type)), true)
    assert.equal(isNewsBeforeFailures(event(type)), false)
  }
  assert.equal(isNewsBeforeFailures(event('license-changed')), true)
})

import { constants } from 'node:fs'
import { open, readdir, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { invariant } from '../domain/errors.ts'
import type { LoggedEvent } from '../domain/events.ts'
import { syncDirectory, writeAll } from '../lib/fs-durable.ts'
import type { Layout } from './layout.ts'
import { onDisk } from './store-error.ts'

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const BLOCK_BYTES = 64 * 1024
/** No event is so long; what is, is not read further. */
const MAX_TAIL_BYTES = 16 * 1024 * 1024

/**
 * Appends events to the file of the month of their `at`, in the order of `seq`. Each file has ascending numbers, so the
 * last one tells which events are there already; a line that a crash tore is cut off first.
 * @throws ArchiveError DISK_FULL, DISK_FAILED, ARCHIVE_READ_ONLY, ARCHIVE_MISSING_MARKER
 */
export async function appendToJournal(
  layout: Layout,
  events: readonly LoggedEvent[],
  signal: AbortSignal,
): Promise<void> {
  const months = new Map<string, LoggedEvent[]>()
  for (const event of events.toSorted((a, b) => a.seq - b.seq)) {
    const month = monthOf(event)
    months.set(month, [...(months.get(month) ?? []), event])
  }
  for (const [month, ofMonth] of months) {
    signal.throwIfAborted()
    const path = layout.eventFile(month)
    await onDisk(layout, path, () => appendToMonth(path, ofMonth))
  }
}

/** The highest number in the journal files; 0 when there are none. */
export async function lastJournalSeq(layout: Layout): Promise<number> {
  return onDisk(layout, layout.events, async () => {
    let last = 0
    for (const name of await readdir(layout.events)) {
      if (!/^\d{4,6}-\d{2}\.jsonl$/.test(name)) continue
      await using file = await open(join(layout.events, name), O_NOFOLLOW | O_NONBLOCK | O_RDONLY)
      const facts = await file.stat()
      if (facts.isFile()) last = Math.max(last, (await readTail(file, facts.size)).lastSeq)
    }
    return last
  })
}

function monthOf(event: LoggedEvent): string {
  const time = new Date(event.at)
  invariant(!Number.isNaN(time.getTime()), `event ${event.seq} has a time`)
  return time.toISOString().slice(0, 7)
}

async function appendToMonth(path: string, events: readonly LoggedEvent[]): Promise<void> {
  await using file = await open(path, O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_RDWR, 0o640)
  const facts = await file.stat()
  if (!facts.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EIO', errno: -5 })
  const { end, lastSeq, needsNewline } = await readTail(file, facts.size)
  if (end < facts.size) await file.truncate(end)
  const lines = events.filter(({ seq }) => seq > lastSeq).map((event) => `${JSON.stringify(event)}\n`)
  if (needsNewline) lines.unshift('\n')
  await writeAll(file, Buffer.from(lines.join('')), end)
  // Also when there was nothing to write: the process that wrote it may have died before its fsync.
  await file.sync()
  await syncDirectory(dirname(path))
}

interface Tail {
  /** Where the next line goes; less than the size when the last line is torn. */
  readonly end: number
  /** Number of the last event that can be read; 0 when there is none. */
  readonly lastSeq: number
  readonly needsNewline: boolean
}

/** Reads backwards until a whole event is found. Whole lines that are no event are damage: they stay. */
async function readTail(file: FileHandle, size: number): Promise<Tail> {
  let tail = Buffer.alloc(0)
  for (;;) {
    const start = Math.max(0, size - 2 * tail.length - BLOCK_BYTES)
    const block = Buffer.alloc(size - tail.length - start)
    const { bytesRead } = await file.read(block, 0, block.length, start)
    if (bytesRead !== block.length) throw Object.assign(new Error('the file shrank'), { code: 'EIO', errno: -5 })
    tail = Buffer.concat([block, tail])
    const found = judgeTail(tail, start === 0, size)
    if (found !== undefined) return found
    if (start === 0 || tail.length > MAX_TAIL_BYTES) return { end: size, lastSeq: 0, needsNewline: tail.at(-1) !== 10 }
  }
}

function judgeTail(tail: Buffer, isWhole: boolean, size: number): Tail | undefined {
  const lines = tail.toString('latin1').split('\n')
  const fragment = lines.pop() ?? ''
  if (lines.length === 0 && !isWhole) return undefined
  // The first line may lack its start.
  const whole = isWhole ? lines : lines.slice(1)
  // A crash tears a line before its end, and a torn line is never JSON. What is JSON only lost its line break.
  const isTorn = fragment !== '' && parseJson(fragment) === undefined
  const last = [...whole, fragment].findLast((line) => seqOf(line) !== undefined)
  if (last === undefined && !isWhole) return undefined
  return {
    end: isTorn ? size - fragment.length : size,
    lastSeq: last === undefined ? 0 : (seqOf(last) ?? 0),
    needsNewline: fragment !== '' && !isTorn,
  }
}

function seqOf(line: string): number | undefined {
  const value = parseJson(line)
  const seq = typeof value === 'object' && value !== null && 'seq' in value ? value.seq : undefined
  return typeof seq === 'number' && Number.isSafeInteger(seq) ? seq : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import { printRepo } from '../domain/repo.ts'
import type { HubFile } from '../hub-port.ts'
import { RateMeter } from './rate-meter.ts'

/** Files from this size on show how fast the connection is. */
const TELLING_BYTES = 1_000_000

/** One running download. */
export interface RunningFile {
  readonly repo: string
  readonly path: string
  readonly size: number
  readonly rate: RateMeter
  done: number
}

/** What both progress displays know: running files, what is done, what is left. As large as the downloads at once. */
export class TransferState {
  readonly running = new Map<string, RunningFile>()
  readonly rate: RateMeter
  doneFiles = 0
  doneBytes = 0
  failedFiles = 0
  leftFiles = 0
  leftBytes = 0

  constructor(nowMs: number) {
    this.rate = new RateMeter(nowMs)
  }

  /** Everything that is still to fetch, known anew. */
  total(files: number, bytes: number): void {
    this.leftFiles = files
    this.leftBytes = bytes
  }

  start(file: HubFile, size: number, resumedAt: number, nowMs: number): void {
    const rate = new RateMeter(nowMs)
    this.running.set(keyOf(file), { repo: printRepo(file.ref), path: file.path, size, rate, done: resumedAt })
    this.#take(resumedAt)
  }

  move(file: HubFile, bytes: number, nowMs: number): void {
    this.rate.add(nowMs, bytes)
    this.doneBytes += bytes
    this.#take(bytes)
    const entry = this.running.get(keyOf(file))
    if (entry === undefined) return
    entry.rate.add(nowMs, bytes)
    entry.done += bytes
  }

  finish(file: HubFile): void {
    this.running.delete(keyOf(file))
    this.doneFiles += 1
    this.leftFiles = Math.max(0, this.leftFiles - 1)
  }

  /** What a try brought is still to fetch as long as the file is not whole. */
  end(file: HubFile): void {
    const entry = this.running.get(keyOf(file))
    this.running.delete(keyOf(file))
    this.leftBytes += entry?.done ?? 0
  }

  fail(file: HubFile): void {
    this.end(file)
    this.failedFiles += 1
  }

  /**
   * Milliseconds until everything is there at the present rate; undefined while nothing moves, and while only small files
   * move before large ones: their rate says nothing about the rest.
   */
  leftMs(nowMs: number): number | undefined {
    const bytesPerSecond = this.rate.bytesPerSecond(nowMs)
    const isTelling =
      this.leftBytes < TELLING_BYTES || [...this.running.values()].some(({ size }) => size >= TELLING_BYTES)
    return bytesPerSecond < 1 || !isTelling ? undefined : (this.leftBytes / bytesPerSecond) * 1000
  }

  #take(bytes: number): void {
    this.leftBytes = Math.max(0, this.leftBytes - bytes)
  }
}

function keyOf(file: HubFile): string {
  return `${printRepo(file.ref)}@${file.commit}/${file.path}`
}

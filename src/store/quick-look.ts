import { lstatSync, type Stats } from 'node:fs'
import { isErrno } from '../lib/fs-durable.ts'
import { lstatIfThere } from './measure-space.ts'

/** A look that takes longer waited for the disk or a network, in milliseconds. */
const QUICK_LOOK_MS = 1
/** So many go to threads after a slow one, where they wait side by side. */
const AFTER_SLOW = 64
/** Now and then a look goes to a thread all the same: whoever looks at thousands lets others have their turn meanwhile. */
const LOOKS_PER_TURN = 128

/**
 * Looks at names on the asking thread as long as what they are about is in memory, as what was just written is: asking
 * another thread costs several times as much.
 */
export class QuickLook {
  readonly #nowMs: () => number
  #looks = 0
  #slowUntil = 0

  /** @param nowMs another clock, for tests */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** What has this name, without following it; undefined when nothing has. @throws errno errors */
  async at(path: string): Promise<Stats | undefined> {
    this.#looks += 1
    if (this.#looks <= this.#slowUntil || this.#looks % LOOKS_PER_TURN === 0) return lstatIfThere(path)
    const startMs = this.#nowMs()
    const facts = lstatHere(path)
    if (this.#nowMs() - startMs > QUICK_LOOK_MS) this.#slowUntil = this.#looks + AFTER_SLOW
    return facts
  }
}

function lstatHere(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Catalog } from '../../src/catalog-port.ts'
import type { Clock } from '../../src/clock-port.ts'
import type { LoggedEvent } from '../../src/domain/events.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub, World } from '../support/sim-hub/types.ts'
import { TestVault } from '../support/test-vault.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
const CHILD = fileURLToPath(new URL('killed-pass.ts', import.meta.url))
/** Longer than every pause that is meant. */
const LONGEST_PASS_MS = HOUR_MS
const START_MS = Date.parse('2026-01-05T12:00:00.000Z')

/** Of a caller who may read nothing more than everybody. */
export const TOKEN = 'hf_year'

/** Losses are believed as by default: after three misses over half an hour. */
const YAML = `hub: { endpoint: "HUB", token: ${TOKEN}, confirm_loss: { misses: 3, over: 30m } }
budget: { total: 100GB, reserve: 1MB }
license: { allow: [apache-2.0, mit, qwen-research] }
watch:
  - { org: Qwen, every: 10m, silent_after: 90d }
  - { user: friend, every: 10m, silent_after: 3650d }
  - { repo: Other/Single, every: 10m }
`

/** Right before or right after a call of the catalog: between two things that must not be torn apart. */
export interface KillPoint {
  readonly method: keyof Catalog & string
  readonly when: 'before' | 'after'
}

/** For the steps that change a state, and for those that add a commit: in order. */
export interface Kills {
  readonly change: readonly (KillPoint | undefined)[]
  readonly commit: readonly (KillPoint | undefined)[]
}

/** The clock of the machine we run on: the right time, perhaps years off. */
class OwnClock implements Clock {
  /** How much later it shows than it is; negative: earlier. */
  aheadMs = 0
  readonly #right: HurriedClock

  constructor(right: HurriedClock) {
    this.#right = right
  }

  now = (): number => this.#right.now() + this.aheadMs

  sleep = (ms: number, signal: AbortSignal): Promise<void> => this.#right.sleep(ms, signal)
}

/** A vault, a Hub and their common clock, moved by hand through a year. Every step says what the log must say. */
export class Year implements AsyncDisposable {
  readonly hub: SimHub
  readonly vault: TestVault
  /** The right time, which the Hub shows. */
  readonly clock: HurriedClock
  readonly ownClock: OwnClock
  /** What was told in each step, without what differs from one year to the next, in a fixed order. */
  readonly told: string[][] = []
  /** Time that passed by the script, without what was waited for. */
  #scriptedMs = START_MS
  /** `seq` up to which every event was expected. */
  #told = 0
  readonly #kills: { readonly change: (KillPoint | undefined)[]; readonly commit: (KillPoint | undefined)[] }

  private constructor(hub: SimHub, vault: TestVault, clocks: { right: HurriedClock; own: OwnClock }, kills: Kills) {
    this.hub = hub
    this.vault = vault
    this.clock = clocks.right
    this.ownClock = clocks.own
    this.#kills = { change: [...kills.change], commit: [...kills.commit] }
  }

  /** @param kills where a process of its own is killed first: one a step, undefined = nowhere */
  static async begin(populate: (world: World) => void, kills: Kills = { change: [], commit: [] }): Promise<Year> {
    const clock = new HurriedClock(START_MS)
    const own = new OwnClock(clock)
    const hub = await startSimHub({
      now: clock.now,
      listPageSizeMax: 5,
      linkLifeSeconds: 10 * 365 * 86_400,
      tokens: { [TOKEN]: { user: 'archivist' } },
    })
    populate(hub.world)
    return new Year(hub, await TestVault.open(hub, YAML, own), { right: clock, own }, kills)
  }

  get world(): World {
    return this.hub.world
  }

  /** The day it is, for the dates of commits: the same in every year that is played. */
  today(): string {
    return new Date(this.#scriptedMs).toISOString()
  }

  skip(ms: number): void {
    this.#scriptedMs += ms
    this.clock.skip(ms)
  }

  /** So many passes, this far apart; the first one after as long. */
  async pass(times = 1, apartMs = HOUR_MS): Promise<void> {
    for (let at = 0; at < times; at += 1) {
      this.skip(apartMs)
      const beforeMs = this.clock.now()
      await this.vault.sync()
      assert.ok(this.clock.now() - beforeMs < LONGEST_PASS_MS, 'no pass waits without end')
    }
  }

  /** As `pass`, after a change of a repository's state: another process may begin it and be killed. */
  passAfterChange(times = 1): Promise<void> {
    return this.#passKilled(this.#kills.change, times)
  }

  /** As `passAfterChange`, after a commit. */
  passAfterCommit(times = 1): Promise<void> {
    return this.#passKilled(this.#kills.commit, times)
  }

  async #passKilled(kills: (KillPoint | undefined)[], times: number): Promise<void> {
    const kill = kills.shift()
    this.skip(HOUR_MS)
    if (kill !== undefined) await this.#killAt(kill)
    await this.pass(times)
  }

  /** Kill points that were not used. */
  get killsLeft(): number {
    return [...this.#kills.change, ...this.#kills.commit].filter((kill) => kill !== undefined).length
  }

  async #killAt(kill: KillPoint): Promise<void> {
    await this.vault.archive[Symbol.asyncDispose]()
    const { method, when } = kill
    const args: readonly string[] = [CHILD, this.vault.folder, String(this.ownClock.now()), method, when]
    // Most of what such a process costs is reading our own sources.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(this.vault.folder, 'compiled') }
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env })
    const [, signal] = (await once(child, 'close')) as unknown[]
    assert.equal(signal, 'SIGKILL', `killed ${when} ${method}`)
    await this.vault.openAgain(this.hub, YAML)
  }

  /** Passes until a loss is believed. */
  loss(): Promise<void> {
    return this.pass(4, 20 * 60_000)
  }

  /**
   * The events since the last call, in any order of one step, are these and no others.
   * @param lines `type severity repo`, with as many as were raised
   */
  async expect(what: string, ...lines: readonly string[]): Promise<void> {
    const events = await this.vault.archive.catalog.events({ since: this.#told, limit: 1000 })
    assert.deepEqual(events.map(lineOf).toSorted(), lines.toSorted(), what)
    this.told.push([what, ...events.map(replayable).toSorted()])
    this.#told = events.at(-1)?.seq ?? this.#told
  }

  /**
   * Ends the process in an orderly way and starts another one.
   * @param deadlines of its Hub client; default: its own
   */
  async restart(deadlines?: TestVault['deadlines']): Promise<void> {
    this.vault.deadlines = deadlines
    await this.vault.reopen(this.hub, YAML)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vault[Symbol.asyncDispose]()
    await this.hub[Symbol.asyncDispose]()
  }
}

/** All of an event that does not depend on when exactly it was seen, and on which port the Hub listens. */
function replayable(event: LoggedEvent): string {
  const { before, after, detail } = event
  const text = `${lineOf(event)} ${JSON.stringify({ before, after, detail })}`
  return OF_THE_MOMENT.reduce((rest, [pattern, name]) => rest.replaceAll(pattern, name), text)
}

const OF_THE_MOMENT: readonly (readonly [RegExp, string])[] = [
  [/\d{4,6}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT/g, 'TIME'],
  [/Root=[\w-]+/g, 'REQUEST'],
  [/r=\d+;t=\d+/g, 'LEFT'],
  // Counted from midnight to midnight, and what was waited for may cross one.
  [/"longestPauseDays":\d+/g, 'PAUSE'],
  [/127\.0\.0\.1:\d+/g, 'HUB'],
]

/** An event as the script writes it. */
export function lineOf(event: Pick<LoggedEvent, 'type' | 'severity' | 'repo'>): string {
  return `${event.type} ${event.severity}${event.repo === undefined ? '' : ` ${event.repo.name}`}`
}

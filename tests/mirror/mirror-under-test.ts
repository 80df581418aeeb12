import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Clock } from '../../src/clock-port.ts'
import type { HttpService } from '../../src/lib/http-service.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Log } from '../../src/log-port.ts'
import { startMirror, type MirrorOptions } from '../../src/mirror/start-mirror.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub, SimHubOptions, World } from '../support/sim-hub/types.ts'
import { TestVault } from '../support/test-vault.ts'

const ignore = (): void => {}
export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** Adds the milliseconds that a test says have passed: what was looked at a moment ago is looked at again. */
export class SkippingClock implements Clock {
  #skippedMs = 0

  now(): number {
    return systemClock.now() + this.#skippedMs
  }

  skip(ms: number): void {
    this.#skippedMs += ms
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }
}

/** The mirror of a real archive that was synced from a simulated Hub. */
export class MirrorUnderTest {
  readonly hub: SimHub
  readonly vault: TestVault
  readonly mirror: HttpService
  readonly clock: SkippingClock

  constructor(hub: SimHub, vault: TestVault, mirror: HttpService, clock: SkippingClock) {
    this.hub = hub
    this.vault = vault
    this.mirror = mirror
    this.clock = clock
  }

  get url(): string {
    return this.mirror.origin
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, { redirect: 'manual', ...init })
  }

  async json(path: string, init: RequestInit = {}): Promise<unknown> {
    const response = await this.fetch(path, init)
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }

  /** Syncs again, and lets the mirror notice. */
  async sync(): Promise<void> {
    await this.vault.sync()
    this.notice()
  }

  /** As if the moment had passed for which the mirror trusts what it has seen. */
  notice(): void {
    this.clock.skip(11_000)
  }
}

/** Fills a Hub, archives it, and serves the archive. Everything is closed after the test. */
export async function startMirrorOf(
  t: Pick<TestContext, 'after'>,
  fill: (world: World) => void,
  options: Partial<MirrorOptions> & { yaml?: string; hub?: SimHubOptions } = {},
): Promise<MirrorUnderTest> {
  const { yaml, hub: hubOptions, ...rest } = options
  const hub = await startSimHub(hubOptions)
  fill(hub.world)
  const clock = new SkippingClock()
  const vault = await TestVault.open(hub, yaml, clock)
  await vault.sync()
  const stop = new AbortController()
  const mirror = await startMirror({
    host: '127.0.0.1',
    port: 0,
    token: undefined,
    names: [],
    log: silentLog,
    graceMs: 50,
    archive: vault.archive,
    signal: stop.signal,
    ...rest,
  })
  t.after(async () => {
    stop.abort()
    await mirror[Symbol.asyncDispose]()
    await vault[Symbol.asyncDispose]()
    await hub[Symbol.asyncDispose]()
  })
  return new MirrorUnderTest(hub, vault, mirror, clock)
}

/** A folder that goes with the test. */
export async function temporaryFolder(t: Pick<TestContext, 'after'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weightvault-mirror-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

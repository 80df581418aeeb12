import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { type FaultProxy, startFaultProxy } from '../../tests/support/fault-proxy/start-fault-proxy.ts'
import { Sandbox } from '../../tests/support/sandbox.ts'
import { seededRandom } from '../../tests/support/sim-hub/random.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import { type CampaignOptions, type CampaignResult, failureLine, HANGS_AFTER_MS } from './campaign-options.ts'
import { FetchedTwice } from './fetched-twice.ts'
import { knownRepo, type KnownRepo } from './known-contents.ts'
import { Oracle } from './oracle.ts'
import { stopProcess, unreadByClientPort } from './unread-bytes.ts'

const MIB = 1024 * 1024
/** What a kill may cost: one piece of the transfer of what came over each connection, and no more than that for each open one. */
export const MOST_LOST_BYTES_PER_CONNECTION = 4 * MIB
const LONG_KILLS = 5000
/** Kills are placed within so many bytes of files, requests or milliseconds after the start. */
const MOST_BYTES = 14 * MIB
const MOST_REQUESTS = 12
const MOST_MS = 700
const SMALL_FILES = 48
const MOST_SMALL_BYTES = 400_000
/** Kills after which what the program says it holds is asked for. */
const KILLS_BETWEEN_QUESTIONS = 8

/** One kill: what it cost. */
interface Cost {
  readonly lostBytes: number
  /** Of these, the most that had come over one connection. */
  readonly mostOfOne: number
  /** How many were open that had carried bytes of files. */
  readonly open: number
}

/**
 * Starts `weightvault sync` again and again on the same archive and kills it with SIGKILL at random moments, until the
 * archive is complete; then a new one. `count`: kills in all.
 */
export async function playKills(options: CampaignOptions): Promise<CampaignResult> {
  const wanted = options.count ?? LONG_KILLS
  const costs: Cost[] = []
  let acknowledged = 0
  await compileOnce()
  for (let seed = options.seed; costs.length < wanted; seed += 1) {
    try {
      const era = await playEra(seed, wanted - costs.length)
      costs.push(...era.costs)
      acknowledged += era.acknowledged
      options.say(`seed ${seed}: ${summarize(era.costs, era.acknowledged)}`)
    } catch (error) {
      const again = `kills --seed ${seed} --count ${wanted - costs.length}`
      return { summary: `${costs.length} kills before`, failures: [failureLine(`kills, seed ${seed}`, error, again)] }
    }
  }
  const failures = tooDear(costs, `kills --seed ${options.seed} --count ${wanted}`)
  return { summary: summarize(costs, acknowledged), failures }
}

/** Killed processes leave no compiled code behind, and most of the time would go into compiling. */
async function compileOnce(): Promise<void> {
  const { id, spec } = knownRepo('Qwen/Warm-1B', [1000])
  await using hub = await startSimHub()
  hub.world.addRepo(id, spec)
  await using sandbox = await Sandbox.make(hub)
  assert.equal((await sandbox.run(['sync'])).code, 0)
}

/** Kills that cost more than a piece a connection: of what one had carried, or of all for those that were open. */
function tooDear(costs: readonly Cost[], again: string): string[] {
  const most = MOST_LOST_BYTES_PER_CONNECTION
  const dear = costs.filter(({ lostBytes, mostOfOne, open }) => mostOfOne > most || lostBytes > open * most)
  const [first] = dear
  if (first === undefined) return []
  const what = `${dear.length} kills cost more than a piece a connection`
  const how = `the first ${first.lostBytes} bytes with ${first.open} open connections, ${first.mostOfOne} of one`
  return [failureLine(what, how, again)]
}

function summarize(costs: readonly Cost[], acknowledged: number): string {
  const lost = costs.map(({ lostBytes }) => lostBytes).sort((a, b) => a - b)
  const ofOne = costs.map(({ mostOfOne }) => mostOfOne).sort((a, b) => a - b)
  const perOpen = costs.map((cost) => cost.lostBytes / Math.max(1, cost.open)).sort((a, b) => a - b)
  const mib = (bytes: number | undefined): string => `${((bytes ?? 0) / MIB).toFixed(2)} MiB`
  const middle = Math.floor(costs.length / 2)
  return (
    `${costs.length} kills, 0 of ${acknowledged} acknowledged blobs lost, 0 wrong; fetched again after a kill: ` +
    `median ${mib(lost[middle])}, most ${mib(lost.at(-1))}; of one connection: median ${mib(ofOne[middle])}, ` +
    `most ${mib(ofOne.at(-1))}; per open connection: most ${mib(perOpen.at(-1))} (limit ${mib(MOST_LOST_BYTES_PER_CONNECTION)})`
  )
}

/** Large files to lose pieces of, and many small ones to be acknowledged in between. */
function reposOf(seed: number, random: () => number): KnownRepo[] {
  const id = (name: string): string => `Qwen/${name}-${seed}`
  const small = Array.from({ length: SMALL_FILES }, () => Math.floor(MOST_SMALL_BYTES ** random()))
  return [
    knownRepo(id('Big'), [36 * MIB + 7], `${seed} big`),
    knownRepo(id('Shards'), [9 * MIB + 1, 4 * MIB, 4 * MIB - 1, 4 * MIB + 1], `${seed} shards`),
    knownRepo(id('Small'), [0, ...small.slice(SMALL_FILES / 2)], `${seed} small`),
    knownRepo(id('Other'), small.slice(0, SMALL_FILES / 2), `${seed} other`),
  ]
}

/** One archive, from nothing to complete. */
async function playEra(seed: number, mostKills: number): Promise<{ costs: Cost[]; acknowledged: number }> {
  const random = seededRandom(seed)
  await using hub = await startSimHub({ pieceBytes: { min: 65_536, max: 262_144 } })
  const repos = reposOf(seed, random)
  const commits = new Map(repos.map(({ id, spec }) => [id, hub.world.addRepo(id, spec)]))
  await using proxy = await startFaultProxy(hub)
  await using sandbox = await Sandbox.make(proxy)
  const oracle = new Oracle(
    sandbox.root,
    repos.flatMap(({ files }) => files),
  )
  const ledger = new FetchedTwice()
  const connections: number[] = []

  for (let run = 0; connections.length < mostKills; run += 1) {
    const killed = await runUntilKilled(sandbox, proxy, run, random, ledger)
    if (killed === undefined) break
    connections.push(killed)
    oracle.assertSound()
    if (run % KILLS_BETWEEN_QUESTIONS === 0) oracle.acknowledge(await heldBy(sandbox, repos))
  }
  oracle.acknowledge(await heldBy(sandbox, repos))
  const { acknowledged } = oracle
  proxy.forget()
  const last = await sandbox.run(['sync'], { deadlineMs: HANGS_AFTER_MS })
  assert.equal(last.code, 0, last.stdout + last.stderr)
  for (const { file, start, bytes } of proxy.deliveries) {
    ledger.add({ run: Infinity, connection: 0 }, { file, start, end: start + bytes })
  }
  oracle.assertComplete(commits)
  assert.equal((await sandbox.run(['verify'])).code, 0, 'the program finds nothing wrong either')
  const seqs = (await sandbox.events()).map(({ seq }) => seq)
  assert.deepEqual(
    seqs,
    seqs.map((_, at) => at + 1),
    'the event log has no gap',
  )
  const costs = connections.map((open, run) => {
    const lost = [...ledger.lostBy(run).values()]
    return { lostBytes: lost.reduce((sum, bytes) => sum + bytes, 0), mostOfOne: Math.max(0, ...lost), open }
  })
  return { costs, acknowledged }
}

/** SHA-256 of everything the program says it holds. */
async function heldBy(sandbox: Sandbox, repos: readonly KnownRepo[]): Promise<string[]> {
  const held: string[] = []
  for (const { id } of repos) {
    const { code, data } = await sandbox.json(['show', id])
    if (code === 0) held.push(...data.files.flatMap((file) => (file.held && file.sha256 !== null ? [file.sha256] : [])))
  }
  return held
}

/** Runs one sync and kills it. Returns how many connections for files were open; undefined when it ended before. */
async function runUntilKilled(
  sandbox: Sandbox,
  proxy: FaultProxy,
  run: number,
  random: () => number,
  ledger: FetchedTwice,
): Promise<number | undefined> {
  proxy.forget()
  const due = killPoint(proxy, random)
  const program = sandbox.start(['sync'], { deadlineMs: HANGS_AFTER_MS })
  const { pid } = program.child
  let killed: number | undefined
  await Promise.race([program.ended, due])
  if (pid !== undefined && program.child.exitCode === null && stopProcess(pid)) {
    killed = recordRun(proxy, run, ledger)
    program.kill('SIGKILL')
  }
  proxy.watch = undefined
  await program.ended
  return killed
}

/** Resolves at a moment chosen by the seed: so many bytes of files later, requests later, or milliseconds later. */
async function killPoint(proxy: FaultProxy, random: () => number): Promise<void> {
  const kind = random()
  const place = random()
  const laterMs = random() * 20
  if (kind < 0.1) {
    await pause(place * MOST_MS)
    return
  }
  const { promise, resolve } = Promise.withResolvers<void>()
  // Squared: most kills come soon, and some only after several pieces.
  const bytes = proxy.bytesDelivered + place ** 2 * MOST_BYTES
  const requests = proxy.requests + 1 + Math.floor(place * MOST_REQUESTS)
  proxy.watch = () => {
    if (kind < 0.4 ? proxy.requests >= requests : proxy.bytesDelivered >= bytes) resolve()
  }
  await promise
  // Spreads the kills over what the program does after the bytes came.
  await pause(laterMs)
}

/** Takes down what the stopped program has read: what went into its connections without what still lies in the kernel. */
function recordRun(proxy: FaultProxy, run: number, ledger: FetchedTwice): number {
  const unread = unreadByClientPort(Number(new URL(proxy.cdnUrl).port))
  const open = new Set<number>()
  for (const { file, start, bytes, length = bytes, clientPort, bodyAt, carried } of proxy.deliveries) {
    if (unread.has(clientPort)) open.add(clientPort)
    const read = carried() - (unread.get(clientPort) ?? 0) - bodyAt
    const end = start + Math.min(Math.max(0, read), length)
    ledger.add({ run, connection: clientPort }, { file, start, end })
  }
  return open.size
}

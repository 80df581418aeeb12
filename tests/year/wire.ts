import assert from 'node:assert/strict'
import type { Fault } from '../support/sim-hub/fault-types.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { sealed, updated, weights } from './lines.ts'
import { DAY_MS, TOKEN, type Year } from './year.ts'

const MODELS = /^\/api\/models\?.*author=Qwen/

export async function listings(year: Year): Promise<void> {
  const { hub, world } = year
  const outage = ['hub-unreachable warning', 'hub-reachable notice'] as const
  let fault = hub.faults.add({ path: MODELS, listErrorOnPage: 2 })
  await year.pass(2)
  await year.expect('page 2 of the listing fails', outage[0], outage[1])
  fault.remove()
  await year.pass()
  await year.expect('and comes again')

  fault = hub.faults.add({ path: MODELS, emptyList: true })
  await year.pass(4, 20 * 60_000)
  await year.expect('an empty list is not five hundred losses', outage[0], outage[1])
  fault.remove()
  await year.pass()
  await year.expect('the list is back')

  for (const shifted of [{ doubleRows: 1 }, { shiftRows: 1 }]) {
    fault = hub.faults.add({ path: MODELS, ...shifted })
    await year.pass(2, 20 * 60_000)
    fault.remove()
    await year.pass()
    await year.expect(`rows of pages moved: ${JSON.stringify(shifted)}`)
  }
  world.setNumModels('Qwen', 3)
  await year.pass(2)
  await year.expect('the overview disagrees')
  world.setNumModels('Qwen', undefined)

  await hub.setOnline(false)
  await year.pass(3)
  await year.expect('the Hub is away: one event, whoever meets it', outage[0])
  await year.restart()
  await year.pass(2)
  await year.expect('still away, in another process')
  await hub.setOnline(true)
  await year.pass()
  await year.expect('back', outage[1])
  fault = hub.faults.add({ origin: 'hub', nonJson: true })
  await year.pass(2)
  fault.remove()
  await year.pass()
  await year.expect('the page of a proxy', ...outage)
}

export async function quotas(year: Year): Promise<void> {
  const { hub } = year
  for (const tooManyRequests of ['ratelimit', 'retry-after', 'bare'] as const) {
    hub.faults.add({ path: /^\/api\/models\?/, tooManyRequests, times: 1 })
    await year.pass(2)
    await year.expect(`429, ${tooManyRequests}: waited out`)
    hub.faults.clear()
  }
  const fault = hub.faults.add({ origin: 'hub', tooManyRequests: 'bare' })
  await year.pass(2)
  await year.expect('429 without an end', 'hub-unreachable warning')
  fault.remove()
  await year.pass()
  await year.expect('and with one', 'hub-reachable notice')
  await countedDown(year)
  hub.faults.add({ dateSkewSeconds: 10 * 365 * 86_400 })
  hub.faults.add({ timesWithoutMilliseconds: true })
  await year.pass(3)
  await year.expect('a clock ten years off, and times without milliseconds')
  hub.faults.clear()
}

/** A quota that a polite client never overdraws, and one that others have used up. */
async function countedDown(year: Year): Promise<void> {
  const { hub, world } = year
  hub.setQuotas({ api: 12, resolvers: 12 })
  hub.clearRequests()
  world.commit('Qwen/H', { set: [{ path: 'polite.json', content: '{}\n' }], date: year.today() })
  await year.pass(4, 60_000)
  await year.expect('a quota that counts down: paced', ...updated('Qwen/H'))
  const refused = () => hub.requests.filter(({ status }) => status === 429).length
  assert.ok(
    hub.requests.some(({ bucket }) => bucket === 'api'),
    'the quota was charged',
  )
  assert.equal(refused(), 0, 'a polite client never meets a 429')

  for (let status = 200; status !== 429;) {
    const headers = { authorization: `Bearer ${TOKEN}` }
    const answer = await fetch(`${hub.url}/api/models?author=Qwen`, { headers })
    await answer.arrayBuffer()
    status = answer.status
  }
  await year.restart()
  hub.clearRequests()
  await year.vault.sync()
  assert.equal(refused(), 1, 'whoever does not know meets it once')
  hub.setQuotas({})
  await year.expect('a quota that others used up: waited out')
}

export async function redirects(year: Year): Promise<void> {
  const { hub, world } = year
  await using elsewhere = await startSimHub({ linkLifeSeconds: 10 * 365 * 86_400 })
  const moved = weights('elsewhere.gguf', 'elsewhere', 1_000_000)
  elsewhere.world.addRepo('friend/Quant', { files: [moved] })
  let fault = hub.faults.add({ path: MODELS, redirectTo: `${elsewhere.url}/api/models?author=Qwen` })
  await year.pass(4, 20 * 60_000)
  await year.expect('the listing leads to another host: refused, and nothing is lost', 'watch-failed warning')
  fault.remove()
  await year.pass()
  assert.deepEqual(elsewhere.requests, [], 'nobody asked there')

  world.commit('friend/Quant', { set: [moved] })
  fault = hub.faults.add({ origin: 'cdn', redirectTo: `${elsewhere.url}/friend/Quant/resolve/main/elsewhere.gguf` })
  await year.pass(2)
  await year.expect('bytes from another host, which prove themselves', ...updated('friend/Quant', 'notice'))
  fault.remove()
  const away = [...elsewhere.requests, ...hub.requests.filter(({ origin }) => origin === 'cdn')]
  assert.ok(elsewhere.requests.length > 0, 'they came from there')
  assert.ok(
    away.every(({ headers }) => headers['authorization'] === undefined),
    'the token followed to no other host',
  )

  fault = hub.faults.add({ path: MODELS, redirectLoop: true })
  await year.pass(4, 20 * 60_000)
  await year.expect('the listing leads to itself', 'watch-failed warning')
  fault.remove()
  await year.pass()
  world.commit('friend/Quant', { set: [weights('looped.gguf', 'looped', 1_000_000)] })
  fault = hub.faults.add({ origin: 'cdn', redirectLoop: true })
  await year.pass(2)
  await year.expect(
    'bytes that lead to themselves',
    'download-failed warning friend/Quant',
    'repo-updated notice friend/Quant',
  )
  fault.remove()
  await year.pass()
  await year.expect('and are there', sealed('friend/Quant'))
}

export async function transfers(year: Year): Promise<void> {
  const { hub, world } = year
  const bytes = 1_000_000
  const cdn = { origin: 'cdn', times: 1 } as const
  // What the transfer itself mends is no news; an answer that cannot be the file is, once.
  const failed = 'download-failed warning friend/Quant'
  const passing: readonly { what: string; faults: readonly Fault[]; news?: string }[] = [
    { what: 'the link expires in mid-file', faults: [{ cutAfter: 400_000 }, { expireLink: true, nth: 2 }] },
    { what: 'cut at byte n', faults: [{ cutAfter: 777_777 }] },
    { what: '200 to a range', faults: [{ ignoreRange: true }] },
    { what: 'a wrong Content-Range', faults: [{ wrongContentRange: 'bytes 5-9/77' }], news: failed },
    { what: 'a short body of the right length', faults: [{ shortBody: 1000 }] },
    { what: 'a slow drip', faults: [{ slowDrip: { bytes: 200_000, everyMs: 1 } }] },
    { what: 'another ETag', faults: [{ changeEtag: '"0000"' }] },
    { what: 'gzip without a length', faults: [{ gzipped: true }] },
    { what: 'a bit flipped once', faults: [{ flipBit: 4711 }] },
  ]
  for (const [at, { what, faults, news }] of passing.entries()) {
    world.commit('friend/Quant', { set: [weights(`part-${at}.gguf`, what, bytes)] })
    for (const fault of faults) hub.faults.add({ ...cdn, ...fault })
    await year.pass(2, DAY_MS)
    await year.expect(what, ...updated('friend/Quant', 'notice'), ...(news === undefined ? [] : [news]))
    hub.faults.clear()
  }
  world.commit('friend/Quant', { set: [weights('flipped.gguf', 'flipped', bytes)] })
  hub.faults.add({ origin: 'cdn', flipBit: 4711 })
  await year.pass(1, DAY_MS)
  await year.expect(
    'a bit flipped each time',
    'upstream-damaged warning friend/Quant',
    'repo-updated notice friend/Quant',
  )
  hub.faults.clear()
  await year.pass(4, DAY_MS)
  await year.expect('and then no more', sealed('friend/Quant'))

  world.commit('friend/Quant', { set: [weights('purged.gguf', 'purged', bytes)] })
  world.purgeLfs('friend/Quant', 'purged.gguf')
  await year.pass(5, DAY_MS)
  await year.expect(
    'bytes purged while the tree lists them',
    'bytes-purged critical friend/Quant',
    'repo-updated notice friend/Quant',
  )
}

/** Nobody waits half a minute in a test: the deadlines of a hub that says nothing are short here. */
export async function silentWire(year: Year): Promise<void> {
  const { hub, world } = year
  let fault = hub.faults.add({ origin: 'hub', stall: 'before-headers' })
  await year.restart({ headersMs: 50, idleMs: 50 })
  await year.pass(3)
  await year.expect('no answer at all', 'hub-unreachable warning')
  fault.remove()
  await year.restart()
  await year.pass()
  await year.expect('an answer', 'hub-reachable notice')
  fault = hub.faults.add({ origin: 'hub', rawReply: '' })
  await year.pass(2)
  await year.expect('connections that end without an answer', 'hub-unreachable warning')
  fault.remove()
  await year.pass()
  await year.expect('and with one', 'hub-reachable notice')

  await year.restart({ headersMs: 1500, idleMs: 1500 })
  world.commit('friend/Quant', { remove: ['purged.gguf'], set: [weights('silent.gguf', 'silent', 1_000_000)] })
  hub.faults.add({ origin: 'cdn', times: 1, stall: 'before-headers' })
  hub.faults.add({ origin: 'cdn', times: 1, nth: 2, stall: 300_000 })
  await year.pass(2, DAY_MS)
  await year.expect('no answer to a transfer, and none in mid-file', ...updated('friend/Quant', 'notice'))
  hub.faults.clear()
  await year.restart()
}

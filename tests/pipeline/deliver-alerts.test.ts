import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChangeEvent } from '../../src/domain/events.ts'
import { deliverAlerts } from '../../src/pipeline/deliver-alerts.ts'
import { eventOf, refOf } from '../db/catalog-fixtures.ts'
import { AlertReceiver } from '../support/alert-receiver.ts'
import { SetClock } from '../support/set-clock.ts'
import { TestVault } from '../support/test-vault.ts'

const NOBODY = { url: 'http://127.0.0.1:9' }
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const never = new AbortController().signal

/** An archive with these channels, whose clock stands still until it is set. */
class AlertVault implements AsyncDisposable {
  readonly clock = new SetClock()
  #vault!: TestVault

  static async open(notify: string): Promise<AlertVault> {
    const made = new AlertVault()
    made.#vault = await TestVault.open(NOBODY, yamlOf(notify), made.clock)
    return made
  }

  get catalog() {
    return this.#vault.archive.catalog
  }

  get channels() {
    return this.#vault.archive.channels
  }

  append(...events: readonly Partial<ChangeEvent>[]) {
    return this.catalog.appendEvents(events.map((event) => eventOf(event.type, { severity: 'warning', ...event })))
  }

  deliver(signal = never) {
    return deliverAlerts(this.#vault.archive, {}, signal)
  }

  async reopen(notify: string): Promise<void> {
    await this.#vault.reopen(NOBODY, yamlOf(notify))
  }

  async state(at = 0) {
    const key = this.channels[at]?.key ?? ''
    const state = await this.catalog.outbox.channelState(key)
    assert.ok(state)
    return state
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#vault[Symbol.asyncDispose]()
  }
}

function yamlOf(notify: string): string {
  return `watch: []\nnotify:\n${notify}\n`
}

function hook(receiver: AlertReceiver, more = ''): string {
  return `  - { to: "${receiver.url}/hook", allow_private: true${more === '' ? '' : `, ${more}`} }`
}

test('each event that a rule asks for arrives once, in order, under its own id', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver, 'repos: ["qwen/*"]'))
  const logged = await vault.append(
    { type: 'license-changed', repo: refOf('Qwen/A') },
    { type: 'repo-renamed', repo: refOf('Qwen/B') },
    { type: 'repo-renamed', repo: refOf('other/B') },
    { type: 'repo-updated', repo: refOf('Qwen/B'), severity: 'notice' },
    { type: 'license-changed', repo: refOf('Qwen/C'), severity: 'critical' },
    { type: 'hub-unreachable', repo: undefined },
  )

  await vault.deliver()
  await vault.deliver()

  const asked = [logged[0]?.id, logged[1]?.id, logged[4]?.id]
  assert.deepEqual(receiver.takenEventIds, asked)
  assert.deepEqual(
    receiver.taken.map(({ id }) => id),
    asked,
  )
  assert.deepEqual(
    receiver.received.map(({ headers }) => headers['idempotency-key']),
    asked,
  )
})

test('a channel that is added later gets nothing of the past, and all that comes', async () => {
  await using receiver = await AlertReceiver.start()
  await using late = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver))
  await vault.append({ type: 'license-changed' })

  await vault.reopen(`${hook(receiver)}\n${hook(late)}`)
  const [, second] = [0, ...(await vault.append({ type: 'repo-renamed' }))]
  await vault.deliver()

  assert.equal(receiver.taken.length, 2)
  assert.deepEqual(late.takenEventIds, [second?.id])
})

test('what fails is tried again after growing pauses, over restarts, as the same message, and nothing overtakes it', async () => {
  await using receiver = await AlertReceiver.start()
  const config = hook(receiver)
  await using vault = await AlertVault.open(config)
  receiver.behaviour = 503
  const [first] = await vault.append({ type: 'license-changed' })
  const pauses: number[] = []

  for (let attempt = 1; attempt <= 12; attempt += 1) {
    await vault.deliver()
    const state = await vault.state()
    assert.equal(state.failures, attempt)
    const pause = state.nextTryMs - vault.clock.now()
    pauses.push(pause)
    vault.clock.advance(pause - 1)
    await vault.deliver()
    assert.equal(receiver.received.length, attempt, 'no try before the pause is over')
    vault.clock.advance(1)
    if (attempt === 3) await vault.append({ type: 'repo-renamed' })
    if (attempt % 4 === 0) await vault.reopen(config)
  }
  receiver.behaviour = 200
  await vault.deliver()

  assert.ok((pauses[0] ?? 0) >= 5000 && (pauses[0] ?? 0) <= 10_000)
  for (const [at, pause] of pauses.entries()) {
    const ceiling = Math.min(HOUR, 10_000 * 2 ** at)
    assert.ok(pause >= ceiling / 2 && pause <= ceiling, `pause ${at} is ${pause}`)
  }
  assert.deepEqual(
    new Set(receiver.received.slice(0, 13).map(({ headers }) => headers['idempotency-key'])),
    new Set([first?.id]),
  )
  assert.deepEqual(
    receiver.taken.map(({ events }) => events[0]?.type),
    ['license-changed', 'repo-renamed'],
  )
  assert.equal((await vault.state()).failures, 0)
})

test('a pause that the channel asks for is kept, but never for longer than an hour', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver))
  receiver.behaviour = 429
  receiver.answerHeaders['retry-after'] = '1800'
  await vault.append({ type: 'license-changed' })

  await vault.deliver()
  const asked = (await vault.state()).nextTryMs - vault.clock.now()
  vault.clock.advance(asked)
  receiver.answerHeaders['retry-after'] = '999999'
  await vault.deliver()
  const most = (await vault.state()).nextTryMs - vault.clock.now()

  assert.deepEqual([asked, most], [1800_000, HOUR])
})

test('a storm becomes one message a cause that names every event, and never none', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver))
  const gone = Array.from({ length: 500 }, (_, at) => ({
    type: 'repo-unavailable' as const,
    severity: 'critical' as const,
    repo: refOf(`Qwen/Gone-${at}`),
  }))
  const renamed = Array.from({ length: 3 }, (_, at) => ({
    type: 'repo-renamed' as const,
    repo: refOf(`unsloth/R${at}`),
  }))
  const logged = await vault.append(...gone.slice(0, 250), renamed[0]!, ...gone.slice(250), ...renamed.slice(1), {
    type: 'disk-low',
    repo: undefined,
  })

  await vault.deliver()

  assert.deepEqual(
    receiver.taken.map(({ title, severity }) => [severity, title]),
    [
      ['critical', 'Qwen: 500 times not available on the Hub any more'],
      ['warning', 'unsloth: 3 times renamed'],
      ['warning', 'disk takes no more'],
    ],
  )
  assert.deepEqual(receiver.takenEventIds.toSorted(), logged.map(({ id }) => id).toSorted())
  assert.match(receiver.taken[0]?.text ?? '', /Gone-0.*and \d+ more/s)
})

test('events that trickle in a storm are held for a minute and then coalesce', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver))
  const ids: (string | undefined)[] = []
  for (let second = 0; second < 120; second += 1) {
    const [event] = await vault.append({ type: 'download-failed', repo: refOf('Qwen/A') })
    ids.push(event?.id)
    await vault.deliver()
    vault.clock.advance(1000)
  }
  vault.clock.advance(MINUTE)
  await vault.deliver()

  assert.deepEqual(receiver.takenEventIds, ids)
  assert.ok(receiver.taken.length >= 12 && receiver.taken.length <= 14, `${receiver.taken.length} messages`)
})

test('events of severity info wait for a daily digest; digest: off sends them at once', async () => {
  await using daily = await AlertReceiver.start()
  await using direct = await AlertReceiver.start()
  await using vault = await AlertVault.open(`${hook(daily, 'min: info')}\n${hook(direct, 'min: info, digest: off')}`)
  await vault.deliver()
  const info = await vault.append(
    { type: 'repo-updated', severity: 'info', repo: refOf('Qwen/A') },
    { type: 'snapshot-sealed', severity: 'info', repo: refOf('Qwen/A') },
  )
  const [loud] = await vault.append({ type: 'license-changed' })

  await vault.deliver()
  assert.deepEqual(daily.takenEventIds, [loud?.id])
  assert.deepEqual(
    direct.takenEventIds,
    [...info, loud].map((event) => event?.id),
  )
  vault.clock.advance(DAY)
  await vault.deliver()
  vault.clock.advance(DAY)
  await vault.deliver()

  assert.equal(daily.taken.length, 2, 'a day without news has no digest')
  const digest = daily.taken[1]
  assert.deepEqual([digest?.kind, digest?.title], ['digest', 'Digest: 1 updated, 1 sealed'])
  assert.deepEqual(
    digest?.events.map(({ id }) => id),
    info.map(({ id }) => id),
  )
})

test('a failing channel is told by the others, once, and so is its return; status shows it', async () => {
  await using bad = await AlertReceiver.start()
  await using good = await AlertReceiver.start()
  await using vault = await AlertVault.open(`${hook(bad, 'name: phone')}\n${hook(good, 'min: critical')}`)
  bad.behaviour = 500
  await vault.append({ type: 'license-changed' })

  for (let attempt = 0; attempt < 6; attempt += 1) {
    await vault.deliver()
    vault.clock.advance(HOUR)
  }
  const state = await vault.state()
  await vault.deliver()
  bad.behaviour = 200
  vault.clock.advance(HOUR)
  await vault.deliver()
  await vault.deliver()

  assert.deepEqual([state.lastCode, state.failures], ['CHANNEL_UNREACHABLE', 6])
  assert.deepEqual(
    good.taken.map(({ kind, title }) => [kind, title]),
    [
      ['notice', 'the alert channel "phone" fails'],
      ['notice', 'the alert channel "phone" works again'],
    ],
  )
  assert.match(good.taken[0]?.happened[0] ?? '', /127\.0\.0\.1 answered with status 500 \(CHANNEL_UNREACHABLE\)/)
  assert.equal(bad.taken.length, 1)
})

test('what a channel does not take for a week is given up, and it is told which events these were', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver))
  receiver.behaviour = 500
  const old = await vault.append({ type: 'license-changed' }, { type: 'repo-renamed' })
  for (let day = 0; day < 9; day += 1) {
    await vault.deliver()
    vault.clock.advance(DAY)
  }
  const [fresh] = await vault.append({ type: 'disk-low', repo: undefined })
  await vault.deliver()
  receiver.behaviour = 200
  vault.clock.advance(HOUR)
  await vault.deliver()

  const [notice] = receiver.taken
  assert.equal(notice?.kind, 'notice')
  assert.match(notice?.happened[0] ?? '', new RegExp(`2 alerts about events ${old[0]?.seq} to ${old[1]?.seq} `))
  assert.deepEqual(receiver.takenEventIds, [fresh?.id])
  assert.equal((await vault.state()).givenUp, 2)
})

test('one alert that is given up is one alert', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver))
  receiver.behaviour = 500
  const [only] = await vault.append({ type: 'license-changed' })
  for (let day = 0; day < 9; day += 1) {
    await vault.deliver()
    vault.clock.advance(DAY)
  }
  receiver.behaviour = 200
  vault.clock.advance(HOUR)
  await vault.deliver()

  const [notice] = receiver.taken
  assert.match(notice?.title ?? '', /1 alert was given up/)
  assert.match(notice?.happened[0] ?? '', new RegExp(`did not take 1 alert about event ${only?.seq} for a week`))
})

test('a clock that jumps by ten years gives nothing up and sends nothing twice', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver, 'min: info'))
  receiver.behaviour = 500
  const [loud] = await vault.append({ type: 'license-changed' })
  await vault.append({ type: 'repo-updated', severity: 'info' })
  await vault.deliver()
  vault.clock.advance(3650 * DAY)
  await vault.deliver()
  vault.clock.advance(-3650 * DAY)
  await vault.deliver()
  receiver.behaviour = 200
  vault.clock.advance(HOUR)
  await vault.deliver()
  vault.clock.advance(2 * DAY)
  await vault.deliver()
  await vault.deliver()

  assert.deepEqual(
    receiver.taken.map(({ kind }) => kind),
    ['alert', 'digest'],
  )
  assert.deepEqual(receiver.takenEventIds[0], loud?.id)
})

test('a message that is refused again and again is sent in a form without upstream text', async () => {
  await using receiver = await AlertReceiver.start()
  receiver.behaviour = (body) => (body.includes('poison') ? 400 : 200)
  await using vault = await AlertVault.open(hook(receiver))
  const [event] = await vault.append({ type: 'license-changed', after: { license: 'poison' } })
  for (let attempt = 0; attempt < 4; attempt += 1) {
    await vault.deliver()
    vault.clock.advance(HOUR)
  }

  assert.equal(receiver.received.length, 4)
  assert.deepEqual([receiver.taken[0]?.id, receiver.taken[0]?.furtherIds], [event?.id, [event?.id]])
  assert.match(receiver.taken[0]?.title ?? '', /^warning: event 1 \(license-changed\)$/)
})

test('a cut that fails half-way leaves neither messages nor a moved cursor: the alert comes once', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver))
  const [event] = await vault.append({ type: 'license-changed' })
  const { outbox } = vault.catalog
  const before = await vault.state()
  const message = { id: 'x-1', kind: 'alert', seqs: [1] } as const
  // The second message has the id of the first one, which the table refuses after the cursor was moved.
  const cut = { from: before.cutSeq, to: 1, messages: [message, message], burst: before.burst, nowMs: 1 }

  await assert.rejects(outbox.storeCut(before.key, cut))

  assert.deepEqual(await vault.state(), before)
  assert.equal(await outbox.storeCut(before.key, { ...cut, from: 77, messages: [message] }), false)
  assert.deepEqual(await vault.state(), before)
  await vault.deliver()
  assert.deepEqual(receiver.takenEventIds, [event?.id])
})

test('an event whose transaction is rolled back is owed to nobody, and one that is committed is, without any further write', async () => {
  await using receiver = await AlertReceiver.start()
  await using vault = await AlertVault.open(hook(receiver))
  const impossible = eventOf('license-changed', { severity: 'warning', detail: { big: 1n } })
  await assert.rejects(vault.catalog.appendEvents([eventOf('repo-renamed', { severity: 'warning' }), impossible]))
  const [kept] = await vault.append({ type: 'license-changed' })

  await vault.deliver()

  assert.deepEqual(receiver.takenEventIds, [kept?.id])
  assert.equal(kept?.seq, 1)
})

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { AlertReceiver } from '../support/alert-receiver.ts'
import { blobPath, provenBlobs } from '../support/held-files.ts'
import { MailReceiver } from '../support/mail-receiver.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { CliFolder } from './cli-harness.ts'

interface Tested {
  readonly channels: { channel: string; ok: boolean; error: { code: string; message: string } | null }[]
}

function yaml(notify: readonly string[], more = ''): string {
  return `archive: ./archive\nwatch: []\nserve: { dashboard: off, mirror: off }\n${more}notify:\n${notify.map((line) => `  - ${line}\n`).join('')}`
}

test('notify test really sends one message to every channel, whatever its rules, and needs no archive', async () => {
  await using receiver = await AlertReceiver.start()
  await using mail = await MailReceiver.start({ authOptional: true, allowInsecureAuth: true })
  const here = 'allow_private: true'
  await using folder = await CliFolder.make(
    yaml(
      [
        `{ to: "${receiver.url}/hook", min: critical, repos: [none/x], ${here} }`,
        `{ to: "slack:${receiver.url}/slack", ${here} }`,
        `{ to: "discord:${receiver.url}/discord", ${here} }`,
        `{ to: "ntfy:${receiver.url}/topic", name: phone, ${here} }`,
        `{ to: "mailto:ops@example.org", ${here} }`,
      ],
      `smtp: { host: 127.0.0.1, port: ${mail.port}, from: vault@example.org, security: none }\n`,
    ),
  )

  const called = await folder.call(['notify', 'test', '--json'])

  assert.equal(called.code, 0, called.out)
  const { channels } = JSON.parse(called.out) as Tested
  assert.deepEqual(
    channels.map(({ channel, ok }) => [channel, ok]),
    [
      ['webhook 127.0.0.1', true],
      ['slack 127.0.0.1', true],
      ['discord 127.0.0.1', true],
      ['phone', true],
      ['mailto example.org', true],
    ],
  )
  assert.deepEqual(receiver.received.map(({ path }) => path).toSorted(), ['/', '/discord', '/hook', '/slack'])
  assert.equal(mail.received.length, 1)
})

test('notify test ends with 8 and says which channel failed and why, without its address', async () => {
  await using good = await AlertReceiver.start()
  await using bad = await AlertReceiver.start()
  bad.behaviour = 403
  await using folder = await CliFolder.make(
    yaml([
      `{ to: "${good.url}/C4N4RY", allow_private: true }`,
      `{ to: "${bad.url}/C4N4RY?token=C4N4RY", allow_private: true, secret: C4N4RY }`,
      `{ to: "slack:${good.url}/C4N4RY" }`,
    ]),
  )

  const text = await folder.call(['notify', 'test', '--log-level', 'debug'])
  const json = await folder.call(['notify', 'test', '--json'])

  assert.deepEqual([text.code, json.code], [8, 8])
  assert.match(text.out, /webhook 127\.0\.0\.1 +\S+ +ok/)
  assert.match(text.out, /webhook 127\.0\.0\.1 #2 .*status 403 \(CHANNEL_REFUSED\)/)
  assert.match(text.out, /slack 127\.0\.0\.1 .*private address \(CHANNEL_REFUSED\)/)
  assert.match(text.out, /slack 127\.0\.0\.1: set allow_private: true/)
  assert.doesNotMatch(text.out + text.err + json.out + json.err, /C4N4RY/)
})

test('sync sends what is due at its end; a channel that fails costs a warning, not the pass', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using good = await AlertReceiver.start()
  await using bad = await AlertReceiver.start()
  bad.behaviour = 500
  const more = 'min: info, digest: off, allow_private: true'
  const channels = [`{ to: "${good.url}/x", ${more} }`, `{ to: "${bad.url}/x", name: phone, ${more} }`]
  await using folder = await CliFolder.make(
    yaml(channels, 'hub: { endpoint: "HUB" }\nbudget: { reserve: 1MB }\n').replace(
      'watch: []',
      'watch: [{ org: Qwen }]',
    ),
    hub,
  )

  const first = await folder.call(['sync'])
  const once = await folder.call(['notify'])
  hub.world.commit('Qwen/A-1B', { card: { license: 'other', license_name: 'closed' } })
  const second = await folder.call(['sync'])
  const status = await folder.json<{ channels: { failures: number; error: { code: string } | null }[] }>('status')
  const { events } = await folder.json<{ events: { id: string }[] }>('events', '--since', '0')
  const doctor = await folder.call(['doctor'])

  assert.deepEqual([first.code, second.code], [0, 0], first.err + second.err)
  assert.match(first.err, /warning: alerts wait for the channel "phone": 127\.0\.0\.1 answered with status 500/)
  assert.match(once.out, /phone .* 1 failed try, the first .*: 127\.0\.0\.1 answered/)
  assert.match(doctor.out, /notify +warn +phone takes no alerts: 127\.0\.0\.1 answered with status 500/)
  const noticed = good.taken.filter(({ kind }) => kind !== 'notice')
  assert.deepEqual(
    noticed.flatMap((message) => message.events.map(({ id }) => id)).toSorted(),
    events.map(({ id }) => id).toSorted(),
  )
  assert.deepEqual(
    status.channels.map(({ failures, error }) => [failures, error?.code]),
    [
      [0, undefined],
      [2, 'CHANNEL_UNREACHABLE'],
    ],
  )
})

test('verify sends what it found at its end', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using receiver = await AlertReceiver.start()
  const channel = `{ to: "${receiver.url}/x", min: critical, allow_private: true }`
  await using folder = await CliFolder.make(
    yaml([channel], 'hub: { endpoint: "HUB" }\nbudget: { reserve: 1MB }\n').replace(
      'watch: []',
      'watch: [{ org: Qwen }]',
    ),
    hub,
  )
  await folder.call(['sync'])
  const [blob = ''] = provenBlobs(join(folder.path, 'archive'))
  await rm(blobPath(join(folder.path, 'archive'), blob))

  const verified = await folder.call(['verify'])

  assert.equal(verified.code, 6)
  assert.deepEqual(
    receiver.taken.flatMap(({ events }) => events.map(({ type }) => type)),
    ['fixity-failed'],
  )
  assert.match(receiver.taken[0]?.todo ?? '', /Check the disk now/)
})

test('notify and status show how sending goes; without channels they say so', async () => {
  await using receiver = await AlertReceiver.start()
  await using folder = await CliFolder.make(yaml([`{ to: "${receiver.url}/x", allow_private: true, name: ops }`]))
  receiver.behaviour = 500
  await folder.call(['init'])
  assert.equal((await folder.call(['sync'])).code, 0)

  const list = await folder.call(['notify'])
  const status = await folder.json<{ channels: { channel: string; waiting: number }[] }>('status')
  await folder.configure('archive: ./archive\nwatch: []\n')
  const none = await folder.call(['notify', 'test'])

  assert.match(list.out, /ops +never +0 +0 +nothing sent yet/)
  assert.deepEqual(
    status.channels.map(({ channel, waiting }) => [channel, waiting]),
    [['ops', 0]],
  )
  assert.deepEqual([none.code, /No channel is configured/.test(none.out)], [0, true])
})

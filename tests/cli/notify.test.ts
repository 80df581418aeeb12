import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AlertReceiver } from '../support/alert-receiver.ts'
import { MailReceiver } from '../support/mail-receiver.ts'
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

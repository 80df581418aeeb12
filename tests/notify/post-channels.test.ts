import assert from 'node:assert/strict'
import { lookup } from 'node:dns/promises'
import { createServer } from 'node:http'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { isPrivateAddress } from '../../src/lib/private-address.ts'
import { sendDiscord } from '../../src/notify/discord.ts'
import { postOnce } from '../../src/notify/http-post.ts'
import { sendNtfy } from '../../src/notify/ntfy.ts'
import { sendSlack } from '../../src/notify/slack.ts'
import { sendWebhook, webhookSignature } from '../../src/notify/webhook.ts'
import { AlertReceiver } from '../support/alert-receiver.ts'
import { HANGS_AFTER_MS, until } from '../support/until.ts'
import { hostileAlert } from './alerts.ts'

const never = new AbortController().signal
const message = { headers: {}, body: '{}' }

function targetOf(receiver: AlertReceiver, path = '/x') {
  return { url: `${receiver.url}${path}`, allowPrivate: true, proxy: undefined, deadlineMs: HANGS_AFTER_MS }
}

function bodyOf(receiver: AlertReceiver): Record<string, unknown> {
  return JSON.parse(receiver.received.at(-1)?.body ?? '') as Record<string, unknown>
}

// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/

test('sendWebhook signs body and time, and carries the id at every try', async () => {
  await using receiver = await AlertReceiver.start()
  const alert = hostileAlert()

  await sendWebhook({ ...targetOf(receiver), secret: 'key' }, alert, 1_773_309_600_123, never)

  const { headers, body } = receiver.received[0]!
  assert.equal(headers['x-weightvault-timestamp'], '1773309600')
  assert.equal(headers['x-weightvault-signature'], webhookSignature('key', '1773309600', body))
  assert.notEqual(webhookSignature('key', '1773309601', body), headers['x-weightvault-signature'])
  assert.deepEqual([headers['idempotency-key'], headers['x-weightvault-event']], [alert.id, alert.id])
  const parsed = receiver.taken[0]!
  assert.deepEqual([parsed.events[0]?.repo, parsed.events[0]?.type], ['Qwen/A-1B', 'license-changed'])
  for (const part of ['What happened: ', 'What it means: ', 'What we hold: ', 'What to do: ']) {
    assert.ok(parsed.text.includes(part), part)
  }
  assert.doesNotMatch(parsed.text, CONTROLS)
})

test('sendWebhook leaves details out where the body would be too long, and keeps every id', async () => {
  await using receiver = await AlertReceiver.start()
  const alert = hostileAlert(50)
  const events = alert.events.map((event) => ({ ...event, detail: { big: 'x'.repeat(10_000) } }))

  await sendWebhook({ ...targetOf(receiver), secret: undefined }, { ...alert, events }, 0, never)

  const { headers, body } = receiver.received[0]!
  assert.ok(body.length < 256 * 1024)
  assert.equal(headers['x-weightvault-signature'], undefined)
  assert.equal(receiver.taken[0]?.events.length, 50)
  assert.equal(bodyOf(receiver)['detailsLeftOut'], true)
})

test('sendSlack sends plain text only, within the limits of Slack', async () => {
  await using receiver = await AlertReceiver.start()

  for (const count of [1, 50]) {
    await sendSlack(targetOf(receiver), hostileAlert(count), never)

    const body = bodyOf(receiver)
    const blocks = body['blocks'] as { type: string; text: { type: string; text: string } }[]
    assert.deepEqual(
      blocks.map(({ text }) => text.type),
      ['plain_text', 'plain_text'],
    )
    assert.ok(blocks[0]!.text.text.length <= 150 && blocks[1]!.text.text.length <= 3000)
    assert.deepEqual([body['mrkdwn'], body['parse'], body['link_names']], [false, 'none', false])
    assert.doesNotMatch(String(body['text']), /[<>]/)
    assert.match(blocks[1]!.text.text, /What to do: /)
    assert.doesNotMatch(blocks[1]!.text.text, CONTROLS)
  }
})

test('sendDiscord allows no mention, escapes all markup, and stays within 2000 characters', async () => {
  await using receiver = await AlertReceiver.start()

  for (const count of [1, 50]) {
    await sendDiscord(targetOf(receiver), hostileAlert(count), never)

    const body = bodyOf(receiver)
    const content = String(body['content'])
    assert.ok(content.length <= 2000, `${content.length}`)
    assert.deepEqual([body['allowed_mentions'], body['flags']], [{ parse: [] }, 4])
    // What is left of markup after the escaped characters and our own headings are taken out.
    const markup = content.replaceAll(/\\./g, '').replaceAll(/\*\*([^*]*)\*\*/g, '$1')
    assert.doesNotMatch(markup, /[*_~`|<>[\]()@]/)
    assert.match(content, /\*\*What to do\\:\*\*/)
    assert.doesNotMatch(content, CONTROLS)
  }
})

test('sendNtfy publishes as JSON to the topic, with priority and token, within 4096 bytes', async () => {
  await using receiver = await AlertReceiver.start()

  for (const count of [1, 50]) {
    await sendNtfy({ ...targetOf(receiver, '/base/my-topic'), secret: 'tk_1' }, hostileAlert(count), never)

    const { path, headers } = receiver.received.at(-1)!
    const body = bodyOf(receiver)
    assert.deepEqual([path, headers.authorization], ['/base/', 'Bearer tk_1'])
    assert.deepEqual([body['topic'], body['priority']], ['my-topic', 5])
    assert.ok(Buffer.byteLength(String(body['message'])) <= 4096)
    assert.match(String(body['message']), /What to do: /)
    assert.doesNotMatch(String(body['message']), CONTROLS)
  }
})

test('postOnce follows no redirect, wherever it leads', async () => {
  await using receiver = await AlertReceiver.start()
  await using other = await AlertReceiver.start()
  receiver.behaviour = { redirect: `${other.url}/x` }

  await assert.rejects(postOnce(targetOf(receiver), message, never), { code: 'CHANNEL_REFUSED', message: /status 302/ })

  assert.deepEqual(other.received, [])
})

test('postOnce bounds what a receiver does: silence, resets, huge answers, errors', async () => {
  await using receiver = await AlertReceiver.start()
  const outcomes: string[] = []
  for (const behaviour of ['hang', 'reset', 'after-reset', 'huge', 404, 500, 429] as const) {
    receiver.behaviour = behaviour
    const target = { ...targetOf(receiver), ...(behaviour === 'hang' ? { deadlineMs: 200 } : {}) }
    const outcome = await postOnce(target, message, never).then(
      () => 'taken',
      (error: { code: string }) => error.code,
    )
    outcomes.push(`${behaviour} ${outcome}`)
  }

  assert.deepEqual(outcomes, [
    'hang CHANNEL_UNREACHABLE',
    'reset CHANNEL_UNREACHABLE',
    'after-reset taken',
    'huge taken',
    '404 CHANNEL_REFUSED',
    '500 CHANNEL_UNREACHABLE',
    '429 CHANNEL_UNREACHABLE',
  ])
  const sent = await until('the huge answer is given up', () => receiver.hugeBytes)
  assert.ok(sent < 32e6, `${sent} bytes were taken`)
})

test('postOnce keeps to public addresses unless the channel may be at a private one', async () => {
  await using receiver = await AlertReceiver.start()
  const { port } = new URL(receiver.url)

  for (const host of [
    '127.0.0.1',
    '127.1',
    '0x7f000001',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '10.0.0.1',
    '169.254.169.254',
  ]) {
    const target = { url: `http://${host}:${port}/x`, allowPrivate: false, proxy: undefined }
    await assert.rejects(
      postOnce(target, message, never),
      { code: 'CHANNEL_REFUSED', hint: /allow_private: true/ },
      host,
    )
  }

  assert.deepEqual(receiver.received, [])
})

test('postOnce looks where a name really leads before it connects', async (t) => {
  await using receiver = await AlertReceiver.start()
  const name = hostname()
  const addresses = await lookup(name, { all: true }).catch(() => [])
  if (!addresses.some(({ address }) => isPrivateAddress(address))) return t.skip('this machine has no name of its own')
  const target = { url: `http://${name}:${new URL(receiver.url).port}/x`, allowPrivate: false, proxy: undefined }

  await assert.rejects(postOnce(target, message, never), {
    code: 'CHANNEL_REFUSED',
    message: /is at a private address/,
  })
})

test('postOnce goes through the configured proxy, except to the hosts that are reached directly', async (t) => {
  await using receiver = await AlertReceiver.start()
  const asked: string[] = []
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(502).end()
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.after(() => proxy.close())
  const { port } = proxy.address() as { port: number }
  const http = `http://127.0.0.1:${port}`

  await assert.rejects(postOnce({ ...targetOf(receiver), proxy: { http } }, message, never), {
    code: 'CHANNEL_UNREACHABLE',
  })
  await postOnce({ ...targetOf(receiver), proxy: { http, no: '127.0.0.1' } }, message, never)

  assert.deepEqual(asked, [`${receiver.url}/x`])
  assert.equal(receiver.received.length, 1)
})

test('no error of a channel holds its address', async () => {
  await using receiver = await AlertReceiver.start()
  const canary = 'C4N4RY'
  for (const behaviour of [404, 500, 'reset', { redirect: 'http://x.example/' }] as const) {
    receiver.behaviour = behaviour
    const error = await postOnce(targetOf(receiver, `/${canary}?t=${canary}`), message, never).catch(
      (thrown: Error) => thrown,
    )
    assert.ok(error instanceof Error)
    assert.doesNotMatch(inspect(error, { depth: 10, showHidden: true }), /C4N4RY/)
  }
})

test('postOnce ends with the signal', async () => {
  await using receiver = await AlertReceiver.start()
  receiver.behaviour = 'hang'
  const stop = new AbortController()

  const posted = postOnce(targetOf(receiver), message, stop.signal)
  stop.abort(new Error('stopped'))

  await assert.rejects(posted, /stopped/)
})

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { sendEmail, type MailTarget } from '../../src/notify/email.ts'
import { LOOPBACK_CERT } from '../support/loopback-certificate.ts'
import { MailReceiver } from '../support/mail-receiver.ts'
import { hostileAlert } from './alerts.ts'

const never = new AbortController().signal

function targetOf(receiver: { port: number }, change: Partial<MailTarget> = {}): MailTarget {
  return {
    host: '127.0.0.1',
    port: receiver.port,
    security: 'starttls',
    user: 'vault',
    password: 'pass word',
    from: 'weightvault@example.org',
    to: ['ops@example.org', 'night@example.net'],
    allowPrivate: true,
    authority: LOOPBACK_CERT,
    ...change,
  }
}

test('sendEmail sends plain text over STARTTLS with a login, and no text becomes a header', async () => {
  await using receiver = await MailReceiver.start()

  await sendEmail(targetOf(receiver), hostileAlert(), never)

  const [mail] = receiver.received
  assert.ok(mail)
  assert.deepEqual([mail.isEncrypted, mail.user, mail.from], [true, 'vault', 'weightvault@example.org'])
  assert.deepEqual(mail.to, ['ops@example.org', 'night@example.net'])
  const end = mail.raw.indexOf('\r\n\r\n')
  const head = mail.raw.slice(0, end).replaceAll(/\r\n[ \t]/g, ' ')
  const names = head.split('\r\n').map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
  assert.deepEqual(
    names.filter((name) => name === 'bcc' || name === 'cc'),
    [],
  )
  assert.match(head, /^Subject: \[weightvault\] critical: Qwen\/A-1B: licence changed$/m)
  assert.match(head, /^Message-ID: <01234567-1@example\.org>$/m)
  assert.match(head, /^Content-Type: text\/plain; charset=utf-8$/m)
  assert.match(head, /^Auto-Submitted: auto-generated$/m)
})

test('sendEmail makes no header of a title or an id that holds line breaks', async () => {
  await using receiver = await MailReceiver.start()
  const broken = 'x\r\nBcc: victim@example.org\r\n\r\nbody'

  await sendEmail(targetOf(receiver), { ...hostileAlert(), title: broken, id: broken }, never)

  const [mail] = receiver.received
  assert.deepEqual(mail?.to, ['ops@example.org', 'night@example.net'])
  assert.doesNotMatch(mail?.raw.slice(0, mail.raw.indexOf('\r\n\r\n')) ?? '', /^Bcc:/im)
})

test('sendEmail sends nothing, no password either, to a server without STARTTLS, unless it is told to', async () => {
  await using receiver = await MailReceiver.start({
    disabledCommands: ['STARTTLS'],
    authOptional: true,
    allowInsecureAuth: true,
  })

  await assert.rejects(sendEmail(targetOf(receiver), hostileAlert(), never), {
    code: 'CHANNEL_REFUSED',
    message: /encryption/,
  })
  assert.deepEqual(receiver.received, [])
  await sendEmail(targetOf(receiver, { security: 'none', user: undefined, password: undefined }), hostileAlert(), never)

  assert.deepEqual(
    receiver.received.map(({ isEncrypted }) => isEncrypted),
    [false],
  )
})

test('sendEmail speaks TLS from the first byte where told to, and refuses a certificate nobody vouches for', async () => {
  await using receiver = await MailReceiver.start({ secure: true })

  await sendEmail(targetOf(receiver, { security: 'tls' }), hostileAlert(), never)
  const { authority: _, ...untrusting } = targetOf(receiver, { security: 'tls' })
  await assert.rejects(sendEmail(untrusting, hostileAlert(), never), { code: 'CHANNEL_REFUSED' })

  await using starting = await MailReceiver.start()
  const { authority: _none, ...untrustingStart } = targetOf(starting)
  await assert.rejects(sendEmail(untrustingStart, hostileAlert(), never), { hint: /certificate/ })

  assert.deepEqual([receiver.received.length, starting.received.length], [1, 0])
})

test('sendEmail tells a wrong password, refused recipients and a busy server apart', async () => {
  await using receiver = await MailReceiver.start()
  const codeOf = (change: Partial<MailTarget>): Promise<string> =>
    sendEmail(targetOf(receiver, change), hostileAlert(), never).then(
      () => 'sent',
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    )

  assert.match(await codeOf({ password: 'wrong' }), /^CHANNEL_REFUSED: .*user or password$/)
  assert.match(await codeOf({ to: ['nobody@example.org'] }), /^CHANNEL_REFUSED: .*550$/)
  assert.match(
    await codeOf({ to: ['ops@example.org', 'nobody@example.org'] }),
    /^CHANNEL_REFUSED: .*1 of the recipients$/,
  )
  receiver.behaviour = 451
  assert.match(await codeOf({}), /^CHANNEL_UNREACHABLE: .*it answered 451$/)
  receiver.behaviour = 554
  assert.match(await codeOf({}), /^CHANNEL_REFUSED: .*554$/)
  receiver.behaviour = 'reset'
  assert.match(await codeOf({}), /^CHANNEL_UNREACHABLE: /)
  receiver.behaviour = 'hang'
  assert.match(await codeOf({ deadlineMs: 300 }), /^CHANNEL_UNREACHABLE: .*in time$/)
  assert.match(await codeOf({ allowPrivate: false }), /^CHANNEL_REFUSED: .*private address$/)
  assert.match(await codeOf({ host: 'localhost', allowPrivate: false }), /^CHANNEL_REFUSED: .*private address$/)
})

test('no error of a mail channel holds the password', async () => {
  await using receiver = await MailReceiver.start()
  const failures = [
    { password: 'C4N4RY' },
    { password: 'C4N4RY', allowPrivate: false },
    { password: 'C4N4RY', port: 1 },
  ]

  for (const change of failures) {
    const error = await sendEmail(targetOf(receiver, change), hostileAlert(), never).catch((thrown: Error) => thrown)
    assert.ok(error instanceof Error)
    const encoded = Buffer.from('\u0000vault\u0000C4N4RY').toString('base64')
    assert.doesNotMatch(inspect(error, { depth: 10, showHidden: true }), new RegExp(`C4N4RY|${encoded}`))
  }
})

test('sendEmail waits for no server that says nothing, and ends with the signal', async (t) => {
  const silent = createServer(() => undefined)
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const { port } = silent.address() as { port: number }
  const stop = new AbortController()

  await assert.rejects(sendEmail(targetOf({ port }, { deadlineMs: 200 }), hostileAlert(), never), {
    code: 'CHANNEL_UNREACHABLE',
  })
  const sent = sendEmail(targetOf({ port }), hostileAlert(), stop.signal)
  stop.abort(new Error('stopped'))

  await assert.rejects(sent, /stopped/)
})

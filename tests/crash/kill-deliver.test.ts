import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { AlertReceiver, type Behaviour } from '../support/alert-receiver.ts'
import { LOOPBACK_CERT } from '../support/loopback-certificate.ts'
import { MailReceiver } from '../support/mail-receiver.ts'
import { Sandbox, WATCH_QWEN, type RunningProgram } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { until } from '../support/until.ts'

/** What the receivers do with the next message while the program is killed; then they take it. */
const MOMENTS: readonly ('hang' | 'taken-hang')[] = ['hang', 'taken-hang', 'hang', 'taken-hang']

function withChannels(hook: AlertReceiver, mail: MailReceiver): string {
  const more = 'min: info, digest: off, allow_private: true'
  return `${WATCH_QWEN}notify:
  - { to: "${hook.url}/hook", ${more} }
  - { to: "mailto:ops@example.org", ${more} }
smtp: { host: localhost, port: ${mail.port}, from: vault@example.org, user: vault, password: "pass word" }
`
}

test('alerts reach an HTTP and an SMTP receiver at least once, and by id exactly once, over kill -9 in the middle of sending', async () => {
  await using hub = await startSimHub()
  await using hook = await AlertReceiver.start()
  await using mail = await MailReceiver.start()
  await using sandbox = await Sandbox.make(hub, withChannels(hook, mail))
  await writeFile(join(sandbox.folder, 'ca.pem'), LOOPBACK_CERT)
  const start = (): RunningProgram => sandbox.start(['run'], { env: { NODE_EXTRA_CA_CERTS: 'ca.pem' } })
  const mailIds = (): Set<string> => new Set(mail.messageIds)
  let commit = hub.world.addRepo('Qwen/A-1B', smallModel('a'))

  for (const [round, moment] of MOMENTS.entries()) {
    hook.behaviour = moment satisfies Behaviour
    mail.behaviour = moment
    const [seen, mails] = [hook.received.length, mail.attempts]
    if (round > 0) commit = hub.world.commit('Qwen/A-1B', { card: { license: `licence-${round}` } })
    const service = start()
    await until('both are in the middle of a message', () => hook.received.length > seen && mail.attempts > mails)
    service.kill('SIGKILL')
    assert.equal((await service.ended).signal, 'SIGKILL')
  }
  hook.behaviour = 200
  mail.behaviour = 'take'
  const last = start()
  const owed = await until('the last commit is sealed and everything up to it delivered', async () => {
    const events = await sandbox.events()
    const isSealed = events.some(({ type, after }) => type === 'snapshot-sealed' && after === commit)
    const ids = events.map(({ id }) => id)
    return isSealed &&
      mail.received.some(({ raw }) => raw.includes(`licence-${MOMENTS.length - 1}`)) &&
      isEvery(ids, hook)
      ? ids
      : undefined
  })
  last.kill('SIGTERM')
  assert.equal((await last.ended).code, 0)

  const messages = new Map(hook.taken.map((message) => [message.id, message]))
  assert.ok(hook.taken.length > messages.size, 'some message came twice, under the same id')
  for (const again of hook.taken) {
    assert.deepEqual(
      again.events.map(({ id }) => id),
      messages.get(again.id)?.events.map(({ id }) => id),
      'a message that comes twice is the same message',
    )
  }
  const ids = [...messages.values()].flatMap(({ events, furtherIds }) => [...events.map(({ id }) => id), ...furtherIds])
  assert.equal(new Set(ids).size, ids.length, 'no event is in two messages')
  assert.ok(owed.every((id) => ids.includes(id)))
  assert.deepEqual(
    [...messages.values()].map(({ events }) => events[0]?.seq ?? 0),
    [...messages.values()].map(({ events }) => events[0]?.seq ?? 0).toSorted((a, b) => a - b),
    'messages come in order',
  )
  assert.ok(mail.received.length > mailIds().size, 'some mail came twice, under the same Message-ID')
  assert.ok(mail.received.every(({ isEncrypted, user }) => isEncrypted && user === 'vault'))
  const bodies = [...new Map(mail.received.map(({ raw }, at) => [mail.messageIds[at], raw])).values()].join('\n')
  // A run that was killed before its poll never saw its round's licence.
  const seen = (await sandbox.events()).filter(({ type }) => type === 'license-changed')
  assert.ok(seen.length > 0)
  for (const { after } of seen) assert.ok(bodies.includes(String((after as { license: unknown }).license)))
})

function isEvery(ids: readonly string[], { takenEventIds }: AlertReceiver): boolean {
  return ids.every((id) => takenEventIds.includes(id))
}

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { AlertReceiver } from '../support/alert-receiver.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { until } from '../support/until.ts'

test('a channel that is added while the service runs is told of what comes; no address gets into output, log or archive', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-1B', smallModel('a'))
  await using receiver = await AlertReceiver.start()
  await using sandbox = await Sandbox.make(hub)
  const service = sandbox.start(['run', '--log-level', 'debug'])
  await service.whenPrinted(/sealed .*Qwen\/A-1B/)
  const past = (await sandbox.events()).map(({ id }) => id)

  const yaml = await readFile(sandbox.configFile, 'utf8')
  const channel = `{ to: "${receiver.url}/C4N4RY", secret: C4N4RY, min: info, digest: off, allow_private: true }`
  await writeFile(sandbox.configFile, `${yaml}notify: [${channel}]\n`)
  await service.whenPrinted(/configuration read again/)
  receiver.behaviour = 403
  hub.world.commit('Qwen/A-1B', { card: { license: 'other', license_name: 'closed' } })
  await service.whenPrinted(/alert not sent/)
  receiver.behaviour = 200
  await until('the change of the licence is told', () =>
    receiver.taken.some(({ events }) => events.some(({ type }) => type === 'license-changed')),
  )
  const status = await sandbox.run(['status', '--json'])
  const list = await sandbox.run(['notify'])
  service.kill('SIGTERM')

  assert.equal((await service.ended).code, 0)
  assert.deepEqual(
    receiver.takenEventIds.filter((id) => past.includes(id)),
    [],
  )
  const [alert] = receiver.taken.filter(({ title }) => /licence changed/.test(title))
  assert.match(alert?.text ?? '', /What happened: Qwen\/A-1B changed its licence: apache-2\.0 → other: closed/)
  assert.match(alert?.text ?? '', /What we hold: \d+ of \d+ files, .* of commit [0-9a-f]{10} /)
  for (const text of [service.output, status.stdout, list.stdout, await sandbox.read('catalog.db')]) {
    assert.doesNotMatch(text, /C4N4RY/)
  }
})

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { startForwardProxy } from '../support/fault-proxy/forward-proxy.ts'
import { startFaultProxy } from '../support/fault-proxy/start-fault-proxy.ts'
import type { WireFault } from '../support/fault-proxy/wire-fault.ts'
import { provenBlobs } from '../support/held-files.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'

const NAMES = { hub: 'http://hub.example', cdn: 'http://cdn.example' }
/** Larger than what is fetched in one answer: its bytes take the way of large files. */
const LARGE = 2_000_000

/** One sync of a Hub with a public name, behind a proxy that knows only the Hub and its CDN. */
async function syncPublicly(
  fault: WireFault,
): Promise<{ code: number | null; wanted: Set<string>; held: number; said: string }> {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/Large-1B', smallModel('large', LARGE))
  hub.world.addRepo('Qwen/Small-1B', smallModel('small'))
  await using proxy = await startFaultProxy(hub, { names: NAMES })
  await using forward = await startForwardProxy(
    new Map([
      ['hub.example:80', proxy.url],
      ['cdn.example:80', proxy.cdnUrl],
    ]),
  )
  proxy.faults.add(fault)
  await using sandbox = await Sandbox.make({ url: NAMES.hub })
  const { code, stdout, stderr } = await sandbox.run(['sync', '--json'], { env: { HTTP_PROXY: forward.url } })
  assert.deepEqual(readdirSync(join(sandbox.root, 'quarantine')), [])
  return { code, wanted: new Set(forward.wanted), held: provenBlobs(sandbox.root).length, said: stdout + stderr }
}

const KNOWN = new Set(['hub.example:80', 'cdn.example:80'])

/** Addresses no public Hub may send anybody to, in spellings that have fooled others. */
const PRIVATE = [
  'http://10.0.0.1/x',
  'http://169.254.169.254/latest/meta-data',
  'http://[::ffff:10.0.0.1]/x',
  'http://localhost/x',
  'http://2130706433/x',
]

suite('a Hub with a public name, behind a proxy', { concurrency: 3 }, () => {
  test('is archived through the proxy', async () => {
    const { code, wanted, held, said } = await syncPublicly({ path: '^/nothing' })

    assert.deepEqual([code, held, wanted], [0, 6, KNOWN], said)
  })

  for (const location of PRIVATE) {
    test(`cannot send the program to ${location}`, async () => {
      const answer = { status: 302, headers: { Location: location } }

      const { code, wanted, said } = await syncPublicly({ origin: 'cdn', answer })

      assert.deepEqual([code, wanted], [8, KNOWN], said)
      assert.match(said, /HUB_REDIRECT_REFUSED/)
    })
  }

  test('cannot send questions about repositories to another host', async () => {
    const answer = { status: 302, headers: { Location: 'http://10.0.0.1/api/models' } }

    const { code, wanted, held } = await syncPublicly({ origin: 'hub', answer })

    assert.deepEqual([code, held, wanted], [8, 0, new Set(['hub.example:80'])])
  })
})

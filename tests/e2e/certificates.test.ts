import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { startFaultProxy, type FaultProxyOptions } from '../support/fault-proxy/start-fault-proxy.ts'
import { provenBlobs } from '../support/held-files.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { ELSEWHERE_CERTIFICATE, EXPIRED_CERTIFICATE, TEST_CA } from '../support/test-ca.ts'

/** Larger than what is fetched in one answer: its bytes take the way of large files. */
const LARGE = 6_000_000
const SMALL = 50_000

/** One sync over TLS. Returns its exit code, how many LFS files are held, and all it said. */
async function syncOver(
  certificates: FaultProxyOptions['certificates'],
  isTrusted: boolean,
): Promise<{ code: number | null; heldWeights: number; said: string }> {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/Large-1B', smallModel('large', LARGE))
  hub.world.addRepo('Qwen/Small-1B', smallModel('small', SMALL))
  await using proxy = await startFaultProxy(hub, { tls: true, ...(certificates === undefined ? {} : { certificates }) })
  await using sandbox = await Sandbox.make(proxy)
  const authority = join(sandbox.folder, 'ca.pem')
  await writeFile(authority, TEST_CA)
  const env = isTrusted ? { NODE_EXTRA_CA_CERTS: authority } : {}
  const { code, stdout, stderr } = await sandbox.run(['sync', '--json'], { env })
  const weights = new Set(
    await Promise.all(
      ['Qwen/Large-1B', 'Qwen/Small-1B'].map(async (repo) => (await hub.world.file(repo, 'model.safetensors')).sha256),
    ),
  )
  const heldWeights = provenBlobs(sandbox.root).filter((sha256) => weights.has(sha256)).length
  return { code, heldWeights, said: stdout + stderr }
}

// Most of the time they wait for the next try.
suite('certificates', { concurrency: 6 }, () => {
  test('an authority that the user trusts is trusted on every way', async () => {
    const { code, heldWeights, said } = await syncOver(undefined, true)

    assert.deepEqual([code, heldWeights], [0, 2], said)
  })

  const WRONG = { 'of another name': ELSEWHERE_CERTIFICATE, 'out of date': EXPIRED_CERTIFICATE }
  for (const [name, certificate] of Object.entries(WRONG)) {
    test(`a Hub with a certificate ${name} is not spoken to`, async () => {
      const { code, heldWeights, said } = await syncOver({ hub: certificate }, true)

      assert.deepEqual([code, heldWeights], [8, 0], said)
      assert.match(said, /certificate|CERT/i)
    })

    test(`no byte comes from a CDN with a certificate ${name}`, async () => {
      const { code, heldWeights, said } = await syncOver({ cdn: certificate }, true)

      assert.deepEqual([code, heldWeights], [8, 0], said)
    })
  }

  test('an authority that nobody trusts is not trusted', async () => {
    const { code, heldWeights } = await syncOver(undefined, false)

    assert.deepEqual([code, heldWeights], [8, 0])
  })
})

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { startForwardProxy } from '../support/fault-proxy/forward-proxy.ts'
import { startFaultProxy } from '../support/fault-proxy/start-fault-proxy.ts'
import { provenBlobs } from '../support/held-files.ts'
import { Sandbox } from '../support/sandbox.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { smallModel } from '../support/small-model.ts'
import { TEST_CA } from '../support/test-ca.ts'

/** Larger than what is fetched in one answer: its bytes take the way of large files. */
const LARGE = 6_000_000

/**
 * One sync with proxy variables. Returns which of hub and CDN it asked the proxy for.
 * @param environment gets the proxy's address
 */
async function syncWith(
  scheme: 'http' | 'https',
  environment: (proxyUrl: string) => NodeJS.ProcessEnv,
): Promise<{ code: number | null; isHeld: boolean; throughProxy: string[]; said: string }> {
  await using hub = await startSimHub({ pieceBytes: 'large' })
  hub.world.addRepo('Qwen/Large-1B', smallModel('large', LARGE))
  const { sha256 } = await hub.world.file('Qwen/Large-1B', 'model.safetensors')
  await using server = await startFaultProxy(hub, { tls: scheme === 'https' })
  const known = { hub: server.url, cdn: server.cdnUrl }
  const addresses = new Map(Object.entries(known).map(([name, url]) => [new URL(url).host, name]))
  await using proxy = await startForwardProxy(new Map([...addresses.keys()].map((host) => [host, `http://${host}`])))
  await using sandbox = await Sandbox.make(server)
  const authority = join(sandbox.folder, 'ca.pem')
  await writeFile(authority, TEST_CA)
  const env = { NODE_EXTRA_CA_CERTS: authority, ...environment(proxy.url) }
  const { code, stdout, stderr } = await sandbox.run(['sync', '--json'], { env })
  return {
    code,
    isHeld: provenBlobs(sandbox.root).includes(sha256),
    throughProxy: [...new Set(proxy.wanted.map((host) => addresses.get(host) ?? host))].sort(),
    said: stdout + stderr,
  }
}

const PROXIED = ['cdn', 'hub']
const CASES: readonly [string, 'http' | 'https', (proxyUrl: string) => NodeJS.ProcessEnv, string[]][] = [
  ['HTTPS_PROXY', 'https', (url) => ({ HTTPS_PROXY: url }), PROXIED],
  ['HTTP_PROXY', 'http', (url) => ({ HTTP_PROXY: url }), PROXIED],
  ['NO_PROXY', 'https', (url) => ({ HTTPS_PROXY: url, NO_PROXY: '127.0.0.1' }), []],
]

suite('proxy variables', { concurrency: 3 }, () => {
  for (const [name, scheme, environment, expected] of CASES) {
    test(`${name}: everything comes through ${expected.length > 0 ? 'the proxy' : 'no proxy'}, and is archived`, async () => {
      const { code, isHeld, throughProxy, said } = await syncWith(scheme, environment)

      assert.deepEqual([code, isHeld, throughProxy], [0, true, expected], said)
    })
  }
})

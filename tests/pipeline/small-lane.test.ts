import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Catalog } from '../../src/catalog-port.ts'
import { runJobs } from '../../src/pipeline/run-jobs.ts'
import { bindProgress } from '../../src/pipeline/run-pass.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { TestVault } from '../support/test-vault.ts'
import { until } from '../support/until.ts'

const { signal } = new AbortController()

function textFiles(count: number) {
  return Array.from({ length: count }, (_, at) => ({ path: `part-${at}.txt`, content: `content ${at}`, lfs: false }))
}

test('more small files than are leased at once are all fetched in one run, each by one request for its bytes', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Many-1B', { card: {}, files: textFiles(900) })
  await using vault = await TestVault.open(hub)

  const result = await vault.sync()

  assert.equal(result.stoppedBy, undefined)
  assert.equal(result.fetchedFiles, 901)
  assert.equal(result.sealed.length, 1)
  const bytes = hub.requests.filter((request) => request.path.startsWith('/api/resolve-cache/'))
  assert.equal(bytes.length, 901)
  assert.equal(hub.requests.filter((request) => request.method === 'HEAD').length, 0)
})

test('small files that end while a large one is looked for are no reason to stop', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Many-1B', { card: {}, files: textFiles(600) })
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  const deps = bindProgress(vault.archive, vault.progress)
  let [leased, completed] = [0, 0]
  const replaced: Partial<Catalog> = {
    async leaseJobs(options) {
      const jobs = await deps.catalog.leaseJobs(options)
      leased += jobs.length
      return jobs
    },
    async completeJobs(done, at) {
      const result = await deps.catalog.completeJobs(done, at)
      completed += done.length
      return result
    },
    // As slow as a busy machine: everything that was leased ends meanwhile.
    async leaseJob(options) {
      await until('all that was leased is completed', () => completed === leased)
      return deps.catalog.leaseJob(options)
    },
  }
  const catalog = new Proxy(deps.catalog, {
    get(target, name: keyof Catalog) {
      const method = replaced[name] ?? target[name]
      return typeof method === 'function' ? method.bind(target) : method
    },
  })

  const result = await runJobs({ ...deps, catalog }, undefined, signal)

  assert.equal(result.stoppedBy, undefined)
  assert.equal(result.fetchedFiles, 601)
})

test('a run that is stopped gives every small file back', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Many-1B', { card: {}, files: textFiles(300) })
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  const stop = new AbortController()
  hub.faults.add({ path: /part-9\.txt/, stall: 'before-headers' })
  const running = runJobs(bindProgress(vault.archive, vault.progress), undefined, stop.signal)
  await hub.whenRequested((request) => request.path.includes('part-9.txt'))

  stop.abort()

  await assert.rejects(running, { name: 'AbortError' })
  assert.equal((await vault.archive.catalog.totals()).jobsLeased, 0)
  hub.faults.clear()
  assert.equal((await vault.sync()).sealed.length, 1)
})

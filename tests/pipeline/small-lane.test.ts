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

function replacing(catalog: Catalog, methods: Partial<Catalog>): Catalog {
  return new Proxy(catalog, {
    get(target, name: keyof Catalog) {
      const method = methods[name] ?? target[name]
      return typeof method === 'function' ? method.bind(target) : method
    },
  })
}

test('more small files than are leased at once are all fetched in one run, each by one request for its bytes', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Many-1B', { card: {}, files: textFiles(1700) })
  await using vault = await TestVault.open(hub)

  const result = await vault.sync()

  assert.equal(result.stoppedBy, undefined)
  assert.equal(result.fetchedFiles, 1701)
  assert.equal(result.sealed.length, 1)
  const bytes = hub.requests.filter((request) => request.path.startsWith('/api/resolve-cache/'))
  assert.equal(bytes.length, 1701)
  assert.equal(hub.requests.filter((request) => request.method === 'HEAD').length, 0)
})

test('small files that end while a large one is looked for are no reason to stop', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/Many-1B', { card: {}, files: textFiles(600) })
  await using vault = await TestVault.open(hub)
  await vault.sync({ checkOnly: true })
  const deps = bindProgress(vault.archive, vault.progress)
  let [leased, completed] = [0, 0]
  const catalog = replacing(deps.catalog, {
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
  hub.faults.add({ path: /part-100\.txt/, stall: 'before-headers' })
  const deps = bindProgress(vault.archive, vault.progress)
  let releases = 0
  const catalog = replacing(deps.catalog, {
    releaseJobs(ids) {
      releases += 1
      return deps.catalog.releaseJobs(ids)
    },
  })
  const running = runJobs({ ...deps, catalog }, undefined, stop.signal)
  await hub.whenRequested((request) => request.path.includes('part-100.txt'))

  stop.abort()

  await assert.rejects(running, { name: 'AbortError' })
  assert.equal((await vault.archive.catalog.totals()).jobsLeased, 0)
  assert.ok(releases < 100, 'what had not begun goes back together')
  hub.faults.clear()
  assert.equal((await vault.sync()).sealed.length, 1)
})

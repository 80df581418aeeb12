/** Sections "Listing", "Quota" and "Clock" of what the simulated Hub must be able to do: one test a switch. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/sim-hub/ask.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

async function hubOf(count: number): Promise<SimHub> {
  const hub = await startSimHub()
  for (let index = 0; index < count; index++) hub.world.addRepo(`Qwen/M${index}`, { files: [] })
  return hub
}

/** Ids of all pages of 2, by creation, and the status of the last page read. */
async function walk(
  hub: SimHub,
  onPage: (page: number) => void = () => {},
): Promise<{ ids: string[]; status: number }> {
  const ids: string[] = []
  let url = `${hub.url}/api/models?author=Qwen&limit=2&sort=createdAt`
  for (let page = 1; page < 20; page++) {
    const answer = await ask(url)
    if (answer.status !== 200) return { ids, status: answer.status }
    ids.push(...(JSON.parse(answer.text) as { id: string }[]).map((row) => row.id.slice(5)))
    onPage(page)
    const next = /<(http:\/\/[^>]+)>; rel="next"/.exec(answer.headers['link'] ?? '')?.[1]
    if (next === undefined) return { ids, status: 200 }
    url = next
  }
  throw new Error('the listing does not end')
}

test('listErrorOnPage breaks the second page and spares the first', async () => {
  await using hub = await hubOf(5)
  hub.faults.add({ path: /\/api\/models\?/, listErrorOnPage: 2 })

  assert.deepEqual(await walk(hub), { ids: ['M4', 'M3'], status: 500 })
})

test('shiftRows loses rows between pages, doubleRows repeats them', async () => {
  await using hub = await hubOf(6)

  const lost = hub.faults.add({ shiftRows: 1 })
  assert.deepEqual((await walk(hub)).ids, ['M5', 'M4', 'M2', 'M1'])
  lost.remove()
  hub.faults.add({ doubleRows: 1, times: 2 })
  assert.deepEqual((await walk(hub)).ids.slice(0, 4), ['M5', 'M4', 'M4', 'M3'])
})

test('a repo that appears while pages are read doubles a row by itself', async () => {
  await using hub = await hubOf(4)

  const { ids } = await walk(hub, (page) => {
    if (page === 1) hub.world.addRepo('Qwen/New', { files: [] })
  })
  assert.deepEqual(ids, ['M3', 'M2', 'M2', 'M1', 'M0'])
})

test('emptyList answers 200 with nothing and no Link', async () => {
  await using hub = await hubOf(5)
  hub.faults.add({ emptyList: true })

  assert.deepEqual(await walk(hub), { ids: [], status: 200 })
})

test('mutateJson changes one answer and not the world', async () => {
  await using hub = await hubOf(1)
  hub.faults.add({
    times: 1,
    mutateJson: (json) => ({ ...(json as object), id: 'evil/B', sha: 'main' }),
  })

  const changed = JSON.parse((await ask(`${hub.url}/api/models/Qwen/M0`)).text) as { id: string; sha: string }
  assert.deepEqual([changed.id, changed.sha], ['evil/B', 'main'])
  const again = JSON.parse((await ask(`${hub.url}/api/models/Qwen/M0`)).text) as { id: string }
  assert.equal(again.id, 'Qwen/M0')
})

test('mutateBody and nonJson give what no parser takes', async () => {
  await using hub = await hubOf(1)

  const cut = hub.faults.add({ mutateBody: (body) => Buffer.concat([body.subarray(0, -3), Buffer.from([0xff, 0xfe])]) })
  const broken = await ask(`${hub.url}/api/models/Qwen/M0`)
  assert.equal(broken.body.at(-1), 0xfe)
  assert.equal(broken.isComplete, true)
  cut.remove()
  hub.faults.add({ nonJson: true })
  const page = await ask(`${hub.url}/api/models/Qwen/M0`)
  assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8'])
})

test('a 429 comes with r=0 and t, with Retry-After, or with neither', async () => {
  await using hub = await hubOf(1)
  const refused = async (fault: Parameters<SimHub['faults']['add']>[0]) => {
    hub.faults.clear()
    hub.faults.add(fault)
    const { status, headers } = await ask(`${hub.url}/api/models`)
    assert.equal(status, 429)
    return [headers['ratelimit']?.replace(/t=\d+/, 't=N'), headers['retry-after']]
  }

  assert.deepEqual(await refused({ tooManyRequests: 'ratelimit' }), ['"api";r=0;t=N', undefined])
  assert.deepEqual(await refused({ tooManyRequests: 'retry-after', retryAfter: '7' }), [undefined, '7'])
  assert.deepEqual(await refused({ tooManyRequests: 'retry-after' }), [undefined, '1'])
  assert.deepEqual(await refused({ tooManyRequests: 'bare' }), [undefined, undefined])
})

test('dateSkewSeconds moves the Date header, timesWithoutMilliseconds shortens every time', async () => {
  await using hub = await startSimHub({ now: () => Date.parse('2026-03-01T12:00:00Z') })
  hub.world.addRepo('Qwen/A', { createdAt: '2026-02-01T10:00:00.000Z', files: [] })
  hub.faults.add({ dateSkewSeconds: -86_400, timesWithoutMilliseconds: true })

  const answer = await ask(`${hub.url}/api/models/Qwen/A`)

  assert.equal(answer.headers['date'], 'Sat, 28 Feb 2026 12:00:00 GMT')
  assert.match(answer.text, /"createdAt":"2026-02-01T10:00:00Z"/)
  assert.doesNotMatch(answer.text, /\.000Z/)
})

test('a repo may hide from the listing while its info answers, and the reverse', async () => {
  await using hub = await hubOf(2)
  const infoStatus = async (id: string) => (await ask(`${hub.url}/api/models/${id}`)).status

  hub.world.hideFromListing('Qwen/M0', true)
  hub.world.hideFromInfo('Qwen/M1', true)
  assert.deepEqual((await walk(hub)).ids, ['M1'])
  assert.deepEqual([await infoStatus('Qwen/M0'), await infoStatus('Qwen/M1')], [200, 401])
  hub.world.hideFromListing('Qwen/M0', false)
  hub.world.hideFromInfo('Qwen/M1', false)
  assert.deepEqual((await walk(hub)).ids, ['M1', 'M0'])
  assert.equal(await infoStatus('Qwen/M1'), 200)
})

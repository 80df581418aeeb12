import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Sha256 } from '../../src/domain/digest.ts'
import { type Delivery, startFaultProxy, type FaultProxy } from '../support/fault-proxy/start-fault-proxy.ts'
import type { WireFault } from '../support/fault-proxy/wire-fault.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { generated } from '../support/content/generated.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'
import { DEFAULT_YAML, TestVault } from '../support/test-vault.ts'

const MIB = 1024 * 1024
const SIZE = 20 * MIB + 4321
const REPO = 'Qwen/Large-1B'
const PATH = 'model.safetensors'
const DAY_MS = 24 * 60 * 60 * 1000

interface Scene extends AsyncDisposable {
  readonly hub: SimHub
  readonly proxy: FaultProxy
  readonly vault: TestVault
  readonly clock: HurriedClock
  readonly sha256: Sha256
  /** Whether the file is held and its repository sealed. */
  isSealed(): Promise<boolean>
  quarantined(): string[]
}

async function makeScene(...faults: readonly WireFault[]): Promise<Scene> {
  await using made = new AsyncDisposableStack()
  const clock = new HurriedClock()
  const hub = made.use(await startSimHub({ now: clock.now, linkLifeSeconds: 1e9, pieceBytes: 'large' }))
  hub.world.addRepo(REPO, { card: {}, files: [{ path: PATH, content: generated('large', SIZE), lfs: true }] })
  const proxy = made.use(await startFaultProxy(hub))
  proxy.faults.add(...faults)
  const vault = made.use(await TestVault.open(proxy, DEFAULT_YAML, clock))
  const { sha256 } = await hub.world.file(REPO, PATH)
  const open = made.move()
  return {
    hub,
    proxy,
    vault,
    clock,
    sha256: sha256 as Sha256,
    isSealed: async () => (await vault.archive.catalog.totals()).sealedSnapshots === 1,
    quarantined: () => readdirSync(join(vault.root, 'quarantine')).toSorted(),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

function flip(at: number, how: Pick<WireFault, 'nth' | 'times'> = {}): WireFault {
  return { origin: 'cdn', flip: { file: at }, ...how }
}

/** How often each block of the file was delivered, whole. */
function deliveriesOf(proxy: FaultProxy): number[] {
  const counts = Array.from({ length: Math.ceil(SIZE / MIB) }, () => 0)
  for (const { start, bytes } of proxy.deliveries) {
    for (let at = start; at < start + bytes; at += MIB) counts[at / MIB]! += 1
  }
  return counts
}

test('a byte flipped on the way costs a second look until it is found, and its block', async () => {
  await using scene = await makeScene(flip(2 * MIB + 17, { times: 1 }))

  const result = await scene.vault.sync()

  assert.deepEqual(result.failed, [])
  assert.ok(await scene.isSealed())
  assert.equal(
    (await scene.vault.archive.blobs.digest(scene.sha256, new AbortController().signal)).sha256,
    scene.sha256,
  )
  assert.deepEqual(scene.quarantined(), [])
  assert.deepEqual(await scene.vault.eventsOf('upstream-damaged'), [])
  const counts = deliveriesOf(scene.proxy)
  assert.equal(counts[2], 3, 'the block came a third time, which settled it')
  assert.ok(Math.max(...counts.toSpliced(2, 1)) <= 2, counts.join())
})

test('a line that flips another byte in each pass gives the right bytes all the same', async () => {
  await using scene = await makeScene(
    flip(9 * MIB, { times: 1 }),
    flip(3 * MIB + 5, { nth: 2, times: 1 }),
    flip(17 * MIB + 5, { nth: 2, times: 1 }),
  )

  const result = await scene.vault.sync()

  assert.deepEqual(result.failed, [])
  assert.ok(await scene.isSealed())
  assert.deepEqual(scene.quarantined(), [])
})

test('bytes that a source sends wrongly every time are looked at twice, once', async () => {
  await using scene = await makeScene(flip(5 * MIB))

  const first = await scene.vault.sync()

  assert.deepEqual(
    first.failed.map(({ code }) => code),
    ['DIGEST_MISMATCH'],
  )
  assert.deepEqual(
    deliveriesOf(scene.proxy),
    Array.from({ length: 21 }, () => 2),
  )
  const [event, ...more] = await scene.vault.eventsOf('upstream-damaged')
  assert.deepEqual([event?.repo?.name, event?.detail['path'], event?.detail['found']], [REPO, PATH, 'same-bytes'])
  assert.deepEqual([event?.detail['differed'], more], [[], []])
  assert.equal(scene.quarantined().length, 2)
  const note = JSON.parse(
    readFileSync(
      join(
        scene.vault.root,
        'quarantine',
        scene.quarantined().find((name) => name.endsWith('.json'))!,
      ),
      'utf8',
    ),
  ) as { reason: string }
  assert.match(note.reason, /they came twice alike$/)

  scene.proxy.forget()
  await scene.clock.sleep(3 * DAY_MS, new AbortController().signal)
  await scene.vault.sync()

  assert.deepEqual(
    deliveriesOf(scene.proxy),
    Array.from({ length: 21 }, () => 1),
    'the same bytes are known',
  )
  assert.equal((await scene.vault.eventsOf('upstream-damaged'))[1]?.detail['found'], 'known-bytes')
  assert.equal(scene.quarantined().length, 2)
})

test('a source that comes with other bytes each time is given up after three more', async () => {
  await using scene = await makeScene(
    ...[0, 1, 2, 3].map((at) => flip(7 * MIB + at, { nth: 1, times: 1 })),
    flip(12 * MIB),
  )

  const { failed } = await scene.vault.sync()

  assert.equal(failed.length, 1)
  const [event] = await scene.vault.eventsOf('upstream-damaged')
  assert.deepEqual([event?.detail['found'], event?.detail['differed']], ['undecided', [7 * MIB]])
  assert.equal(deliveriesOf(scene.proxy)[7], 4)
  assert.equal(scene.quarantined().length, 2)
})

test('a source that knows no ranges gives a large file whole', async () => {
  await using scene = await makeScene()
  scene.hub.faults.add({ origin: 'cdn', ignoreRange: true })

  const { failed } = await scene.vault.sync()

  assert.deepEqual(failed, [])
  assert.ok(await scene.isSealed())
})

test('a source that ignores ranges is not looked at again', async () => {
  await using scene = await makeScene()
  scene.hub.faults.add({ origin: 'cdn', ignoreRange: true, flipBit: 17 })

  await scene.vault.sync()

  const [event] = await scene.vault.eventsOf('upstream-damaged')
  assert.equal(event?.detail['found'], 'no-ranges')
  assert.equal(scene.quarantined().length, 2)
})

test('when the source of wrong bytes is gone, they are compared with those of the next one', async () => {
  await using scene = await makeScene(flip(5 * MIB, { times: 1 }))
  scene.hub.world.addRepo('Qwen/Copy-1B', {
    card: {},
    files: [{ path: PATH, content: generated('large', SIZE), lfs: true }],
  })
  let first: string | undefined
  scene.proxy.onFile = (file) => {
    first ??= file
    // Everything came once by then.
    if (scene.proxy.bytesDelivered < SIZE || scene.quarantined().length > 0) return
    scene.proxy.onFile = undefined
    scene.proxy.faults.add({ origin: 'cdn', path: `^${first}`, answer: { status: 404 } })
  }

  const { failed } = await scene.vault.sync()

  assert.deepEqual(failed, [])
  assert.equal((await scene.vault.archive.catalog.totals()).sealedSnapshots, 2)
  assert.deepEqual(scene.quarantined(), [])
  const files = new Set(scene.proxy.deliveries.filter(({ bytes }) => bytes > 0).map(({ file }) => file))
  assert.equal(files.size, 2, 'both were asked')
  assert.ok(scene.proxy.bytesDelivered < 3 * SIZE)
})

test('a second look stops when the queue is paused, and goes on later', async () => {
  await using scene = await makeScene(flip(19 * MIB, { times: 1 }))
  const { catalog } = scene.vault.archive
  scene.proxy.watch = async () => {
    if (scene.proxy.bytesDelivered < SIZE + MIB) return
    scene.proxy.watch = undefined
    await catalog.setPaused(true)
    // The answer is believed for so long.
    await scene.clock.sleep(1000, new AbortController().signal)
  }

  assert.deepEqual((await scene.vault.sync()).failed, [])
  assert.equal(await scene.isSealed(), false)
  assert.deepEqual(scene.quarantined(), [])
  assert.ok(scene.proxy.bytesDelivered < 2 * SIZE, 'the look was not ended')

  await catalog.setPaused(false)
  scene.proxy.forget()
  assert.deepEqual((await scene.vault.sync()).failed, [])
  assert.ok(await scene.isSealed())
  assert.deepEqual(scene.quarantined(), [])
  assert.equal(deliveriesOf(scene.proxy)[19], 2, 'it is in the file once, and came twice otherwise')
})

test('a second look that was stopped goes on where it was, though other repositories list the bytes, too', async () => {
  await using scene = await makeScene(flip(19 * MIB, { times: 1 }))
  scene.hub.world.addRepo('Qwen/Copy-1B', {
    card: {},
    files: [{ path: PATH, content: generated('large', SIZE), lfs: true }],
  })
  const { catalog } = scene.vault.archive
  scene.proxy.watch = async () => {
    if (scene.proxy.bytesDelivered < SIZE + 10 * MIB) return
    scene.proxy.watch = undefined
    await catalog.setPaused(true)
    // The answer is believed for so long.
    await scene.clock.sleep(1000, new AbortController().signal)
  }
  assert.deepEqual((await scene.vault.sync()).failed, [])
  assert.ok(scene.proxy.bytesDelivered < 2 * SIZE, 'the look was not ended')
  const before = deliveriesOf(scene.proxy)

  await catalog.setPaused(false)
  scene.proxy.forget()
  assert.deepEqual((await scene.vault.sync()).failed, [])

  assert.equal((await catalog.totals()).sealedSnapshots, 2)
  const after = deliveriesOf(scene.proxy)
  // What was on its way when it was stopped comes again.
  const kept = before.filter((count, at) => count === 2 && after[at] === 0).length
  assert.ok(kept >= 5, `${before.join()}, then ${after.join()}`)
})

test('the cap on downloads holds for a second look', async () => {
  await using scene = await makeScene(flip(19 * MIB, { times: 1 }))
  const { proxy, clock } = scene
  const settings: { rateBytesPerSecond: number | undefined } = scene.vault.archive.settings
  let startMs: number | undefined
  proxy.onFile = () => {
    if (proxy.bytesDelivered < SIZE || startMs !== undefined) return
    startMs = clock.now()
    settings.rateBytesPerSecond = 10_000
  }

  assert.deepEqual((await scene.vault.sync()).failed, [])

  assert.ok(await scene.isSealed())
  const compared = proxy.bytesDelivered - SIZE
  assert.ok(compared > 15 * MIB, 'it came again up to where it was wrong')
  // What is owed when the look ends is not waited for.
  assert.ok(clock.now() - startMs! > (compared / 10_000) * 1000 * 0.5, `${clock.now() - startMs!} ms`)
})

test('what one source sent twice is compared with what the next one sends', async () => {
  await using scene = await makeScene()
  scene.hub.world.addRepo('Qwen/Copy-1B', {
    card: {},
    files: [{ path: PATH, content: generated('large', SIZE), lfs: true }],
  })
  const { proxy } = scene
  // The one that is asked first is damaged at its beginning, and is gone in the middle of the second look.
  let first = ''
  proxy.onFile = (file) => {
    if (first !== '') return
    first = file
    proxy.faults.add({ origin: 'cdn', path: `^${first}`, flip: { file: 17 } })
  }
  let broken: readonly Delivery[] | undefined
  proxy.watch = () => {
    if (broken === undefined && proxy.bytesDelivered >= SIZE + 12 * MIB) {
      broken = proxy.deliveries.filter(({ isOver }) => !isOver)
      proxy.onFile = undefined
      proxy.faults.clear()
      proxy.faults.add({ origin: 'cdn', path: `^${first}`, answer: { status: 404 } })
    }
    if (broken?.some(({ isOver }) => !isOver)) throw new Error('the source is gone')
  }

  const { failed } = await scene.vault.sync()

  assert.deepEqual(failed, [])
  assert.equal((await scene.vault.archive.catalog.totals()).sealedSnapshots, 2)
  assert.notEqual(broken, undefined)
  assert.deepEqual(await scene.vault.eventsOf('upstream-damaged'), [], 'the second is not told for the first')
})

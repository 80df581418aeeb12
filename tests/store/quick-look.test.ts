import { strict as assert } from 'node:assert'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { QuickLook } from '../../src/store/quick-look.ts'
import { temporaryFolder } from './store-fixture.ts'

/** Whether a look is answered before anything else has its turn, as only one on this thread is. */
async function isAtOnce(looks: QuickLook, path: string): Promise<boolean> {
  let isAnswered = false
  const answer = looks.at(path).then(() => (isAnswered = true))
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  const wasAnswered = isAnswered
  await answer
  return wasAnswered
}

test('what is there is told as it is, without following it, and what is not is undefined', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), 'abc')
  symlinkSync('file', join(folder, 'link'))
  let [nowMs, stepMs] = [0, 0]
  const looks = new QuickLook(() => (nowMs += stepMs))

  for (const ms of [0, 5, 0]) {
    stepMs = ms
    assert.equal((await looks.at(join(folder, 'file')))?.size, 3)
    assert.equal((await looks.at(join(folder, 'link')))?.isSymbolicLink(), true)
    assert.equal(await looks.at(join(folder, 'nothing')), undefined)
    assert.equal(await looks.at(join(folder, 'file', 'below')), undefined)
    await assert.rejects(looks.at(join(folder, 'x'.repeat(300))), { code: 'ENAMETOOLONG' })
  }
})

test('looks stay on the thread that asks while they are quick, but for one that lets others have their turn', async (t) => {
  const looks = new QuickLook(() => 0)
  const folder = temporaryFolder(t)

  const inRow: number[] = []
  for (let row = 0; inRow.length < 3; row += 1) {
    if (await isAtOnce(looks, folder)) continue
    inRow.push(row)
    row = -1
  }

  assert.ok(
    inRow.every((row) => row > 50 && row < 500),
    `${inRow.join(', ')} looks without a turn for others`,
  )
})

test('after a slow look others go side by side, until one is quick again', async (t) => {
  let [nowMs, stepMs] = [0, 5]
  const looks = new QuickLook(() => (nowMs += stepMs))
  const folder = temporaryFolder(t)
  const atOnce = async (count: number): Promise<number> => {
    let found = 0
    for (let look = 0; look < count; look += 1) if (await isAtOnce(looks, folder)) found += 1
    return found
  }

  assert.equal(await atOnce(1), 1, 'nobody knows yet')
  assert.equal(await atOnce(20), 0, 'slow')
  const tried = await atOnce(400)
  assert.ok(tried > 0 && tried < 20, `${tried} of 400 tried whether it is quick again`)
  stepMs = 0
  await atOnce(100)
  assert.ok((await atOnce(100)) > 90, 'quick again')
})

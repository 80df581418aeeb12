import { updated, weights } from './lines.ts'
import { DAY_MS, type Year } from './year.ts'

const TEN_YEARS_MS = 3652 * DAY_MS

/** The clock of the machine we run on is wrong: ten years ahead, then ten years behind, then right again. */
export async function ownClock(year: Year): Promise<void> {
  const { hub, world } = year
  world.setPrivate('Qwen/C', true)
  await year.pass(1)
  year.ownClock.aheadMs = TEN_YEARS_MS
  await year.pass(1)
  world.setPrivate('Qwen/C', false)
  await year.pass(2)
  await year.expect('ten years ahead: no loss, and nobody fell silent')

  world.setTag('Qwen/E', 'clock', world.repo('Qwen/E').head)
  world.commit('Qwen/E', { set: [{ path: 'ahead.txt', content: 'ahead\n' }], date: year.today() })
  await year.passAfterCommit()
  await year.expect('what is new then', ...updated('Qwen/E'))
  const damaged = hub.faults.add({ origin: 'cdn', flipBit: 4711 })
  world.commit('friend/Quant', { set: [weights('ahead.gguf', 'ahead', 20_000)], date: year.today() })
  await year.pass()
  await year.expect('bytes arrive damaged', 'upstream-damaged warning friend/Quant', 'repo-updated notice friend/Quant')
  damaged.remove()

  year.ownClock.aheadMs = 0
  await year.pass(1)
  await year.expect('set right: nothing waits for ten years', 'snapshot-sealed info friend/Quant')
  world.setTag('Qwen/E', 'clock', undefined)
  await year.pass(3, DAY_MS)
  await year.expect('a tag that was read ten years ahead is read again', 'ref-deleted warning Qwen/E')

  year.ownClock.aheadMs = -TEN_YEARS_MS
  await year.restart()
  await year.pass(3)
  await year.expect('ten years behind')
  world.commit('Qwen/E', { set: [{ path: 'behind.txt', content: 'behind\n' }], date: year.today() })
  await year.passAfterCommit()
  await year.expect('what is new then', ...updated('Qwen/E'))
  year.ownClock.aheadMs = 0
  await year.pass(3)
  await year.expect('and right again')
}

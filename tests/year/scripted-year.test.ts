import assert from 'node:assert/strict'
import { test } from 'node:test'
import { journalEvents } from '../support/held-files.ts'
import { MONTHS, populate } from './script.ts'
import { Year, type Kills } from './year.ts'

// Every mutation of the Hub over a year of virtual time, with outages and restarts. Each step of the script says which
// events it must raise, and no other may be there: a pass that raises one too many fails the next step, too.

test('a scripted year yields exactly the expected events, no more and no fewer', async () => {
  await using year = await Year.begin(populate)

  for (const month of MONTHS) await month(year)

  await assertLogIsWhole(year)
})

const none = undefined
const KILLS: Kills = {
  change: [
    { method: 'recordPoll', when: 'before' },
    none,
    { method: 'recordPoll', when: 'after' },
    { method: 'startRescues', when: 'before' },
    none,
    { method: 'eventsNotExported', when: 'before' },
    none,
    { method: 'rescueCursor', when: 'before' },
  ],
  commit: [
    { method: 'recordListing', when: 'before' },
    { method: 'completeJobs', when: 'after' },
    { method: 'recordListing', when: 'after' },
    { method: 'recordSealed', when: 'before' },
    none,
    { method: 'recordSealed', when: 'after' },
    { method: 'recordRefs', when: 'before' },
    none,
    { method: 'recordPoll', when: 'after' },
  ],
}

test('the same year with processes that are killed in between yields the same events', async () => {
  await using year = await Year.begin(populate, KILLS)

  for (const month of MONTHS) await month(year)

  assert.equal(year.killsLeft, 0, 'every process was killed')
  await assertLogIsWhole(year)
})

/** Numbers without gaps, and a journal that holds the log. */
async function assertLogIsWhole(year: Year): Promise<void> {
  const events = await year.vault.events()
  assert.deepEqual(
    events.map((event) => event.seq),
    events.map((_, at) => at + 1),
  )
  assert.deepEqual(
    journalEvents(year.vault.root).map((event) => (event as { id: string }).id),
    events.map((event) => event.id),
  )
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoggedEvent } from '../../src/domain/events.ts'
import { journalEvents } from '../support/held-files.ts'
import { MONTHS, populate } from './script.ts'
import { Year, type Kills } from './year.ts'

// Every mutation of the Hub over a year of virtual time, with outages and restarts. Each step of the script says which
// events it must raise, and no other may be there: a pass that raises one too many fails the next step, too.

test('a scripted year yields exactly the expected events, no more and no fewer', async () => {
  await firstYear()
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

test('played again with processes that are killed in between, it yields the same events', async () => {
  const first = await firstYear()

  const again = await play(KILLS)

  assert.deepEqual(again, first)
})

let played: Promise<Told> | undefined

/** Played once, whoever asks. */
function firstYear(): Promise<Told> {
  return (played ??= play())
}

/** What was told, step by step: type, severity, repository, `before`, `after` and `detail`. */
type Told = readonly (readonly string[])[]

async function play(kills?: Kills): Promise<Told> {
  await using year = await Year.begin(populate, kills)
  for (const month of MONTHS) await month(year)
  assert.equal(year.killsLeft, 0, 'every process was killed')
  await assertLogIsWhole(year)
  return year.told
}

/** Numbers without gaps, and a journal that holds the log. */
async function assertLogIsWhole(year: Year): Promise<void> {
  const events = await year.vault.events()
  assert.deepEqual(
    events.map((event) => event.seq),
    events.map((_, at) => at + 1),
  )
  assert.deepEqual(
    // A clock that is wrong puts events into other months.
    journalEvents(year.vault.root)
      .map((event) => event as LoggedEvent)
      .toSorted((a, b) => a.seq - b.seq)
      .map((event) => event.id),
    events.map((event) => event.id),
  )
}

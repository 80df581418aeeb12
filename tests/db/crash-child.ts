// Runs in a process of its own that kills itself in the middle of a transaction; see crash.test.ts.
import { sql, type Kysely } from 'kysely'
import { MIGRATIONS } from '../../src/db/migrate.ts'
import { openCatalog } from '../../src/db/open-catalog.ts'
import {
  addListed,
  addRepos,
  commitOf,
  eventOf,
  factsOf,
  listingRecordOf,
  pollOf,
  quietLog,
  smallFile,
} from './catalog-fixtures.ts'

const [path = '', moment] = process.argv.slice(2)

/** Killed when it is printed as JSON, which is the last step of a transaction that logs it. */
const deadly = { toJSON: () => process.kill(process.pid, 'SIGKILL') }
const options = { path, archiveId: '0123456789ab', mode: 'write', log: quietLog } as const

const catalog = await openCatalog(options)
const { repoId } = await addListed(catalog, 'Qwen/A', [smallFile('a')])
await catalog.appendEvents([eventOf(), eventOf()])
await addRepos(catalog, factsOf('Qwen/A', { commit: commitOf('next') }))

if (moment === 'listing') {
  const files = Array.from({ length: 3000 }, (_, at) => smallFile(`f${at}`))
  const events = [eventOf(), eventOf('repo-updated', { detail: { deadly } })]
  await catalog.recordListing(listingRecordOf(repoId, 'Qwen/A', files, { commit: commitOf('next'), events }))
}
if (moment === 'poll') {
  const changed = [{ facts: factsOf('Qwen/B'), upstream: 'ok' as const }]
  await catalog.recordPoll(pollOf({ changed, events: [eventOf(), eventOf('repo-updated', { detail: { deadly } })] }))
}
if (moment === 'migration') {
  await catalog[Symbol.asyncDispose]()
  const up = async (db: Kysely<unknown>): Promise<void> => {
    await sql`CREATE TABLE half (x TEXT) STRICT`.execute(db)
    process.kill(process.pid, 'SIGKILL')
  }
  await openCatalog({ ...options, migrations: new Map([...MIGRATIONS, ['9999-deadly', { up }]]) })
}
// Only reached when nothing above killed the process.
process.exitCode = 99

import type { HubId } from '../domain/digest.ts'
import type { ChangeEvent } from '../domain/events.ts'
import type { RepoRef } from '../domain/repo.ts'
import type { PollRecord, RefRecord } from '../watch-rows.ts'
import type { RescueStart } from '../work-rows.ts'
import { CatalogFile } from './catalog-file.ts'
import * as events from './events.ts'
import * as known from './known-repos.ts'
import { recordPoll } from './polls.ts'
import { dueRefs, refsOf, storeRefs } from './ref-states.ts'
import * as rescue from './rescues.ts'
import { transitionsOf } from './transitions.ts'
import { notePollFailure, watchStates } from './watches.ts'

/** The part of the catalog that watching works with: polls, states of repositories, refs, rescues. */
export class WatchedRepos extends CatalogFile {
  watchState(watch: string) {
    return this.read(async (db) => (await watchStates(db, watch))[0])
  }
  watchStates() {
    return this.read((db) => watchStates(db))
  }
  reposOfWatch(watch: string) {
    return this.read((db) => known.reposOfWatch(db, watch))
  }
  repoByName(ref: RepoRef) {
    return this.read(async (db) => knownOrNone(await known.storedRepoByName(db, ref)))
  }
  repoByHubId(hubId: HubId) {
    return this.read(async (db) => knownOrNone(await known.storedRepoByHubId(db, hubId)))
  }
  recordPoll(record: PollRecord) {
    return this.write((db) => recordPoll(db, this.bulk, this.archiveId, record))
  }
  recordPollFailure(watch: string, at: string, code: string, message: string, changes: readonly ChangeEvent[]) {
    return this.write(async (db) => {
      await notePollFailure(db, watch, at, { code, message })
      return this.append(db, changes)
    })
  }
  continueEventsAfter(seq: number) {
    return this.write((db) => events.continueEventsAfter(db, seq))
  }
  appendEvents(changes: readonly ChangeEvent[]) {
    return this.write((db) => this.append(db, changes))
  }
  transitions(repoId: number, limit: number) {
    return this.read((db) => transitionsOf(db, repoId, limit))
  }
  activityOf(watch: string) {
    return this.read((db) => known.activityOf(db, watch))
  }
  dueRefs(options: { watch: string; before: string; now: string; again: number }) {
    return this.read((db) => dueRefs(db, options))
  }
  refsOf(repoId: number) {
    return this.read((db) => refsOf(db, repoId))
  }
  recordRefs(record: RefRecord) {
    return this.write(async (db) => {
      await storeRefs(db, record)
      return this.append(db, record.events)
    })
  }

  // rescue
  rescueCursor() {
    return this.read((db) => rescue.rescueCursor(db))
  }
  startRescues(start: RescueStart) {
    return this.write((db) => rescue.startRescues(db, start))
  }
  noteRescue(repoId: number, progress: { tried: number; found: number; doneAt: string | undefined }) {
    return this.write((db) => rescue.noteRescue(db, repoId, progress))
  }
  rescues(filter: { pendingOnly: boolean; limit: number }) {
    return this.read((db) => rescue.rescues(db, filter))
  }
}

function knownOrNone(row: known.StoredRepo | undefined) {
  return row === undefined ? undefined : known.knownRepoOf(row)
}

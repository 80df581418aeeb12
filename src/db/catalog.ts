import type { FileDecision } from '../domain/decision.ts'
import type { CommitId, HubId, Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import type { ChangeEvent, LoggedEvent } from '../domain/events.ts'
import type { ContentKey, Sibling } from '../domain/listing.ts'
import type { Attestor, Coverage } from '../domain/manifest.ts'
import type { RepoRef } from '../domain/repo.ts'
import type { AlertOutbox } from '../alert-port.ts'
import type { Catalog } from '../catalog-port.ts'
import type {
  EventFilter,
  ListingRecord,
  PollRecord,
  RefRecord,
  RepoFilter,
  RescueStart,
  ScheduleEntry,
} from '../catalog-rows.ts'
import type { Digests, Log } from '../ports.ts'
import { prepareBulk, type Bulk } from './bulk.ts'
import { completeJob } from './complete-job.ts'
import * as events from './events.ts'
import { fileByPath, filesPage } from './files.ts'
import * as jobs from './jobs.ts'
import * as known from './known-repos.ts'
import { listRepos, repoRow, repoRowById, reposNamed, type RepoPage } from './list-repos.ts'
import { addDigests, recordListing, redecide } from './listings.ts'
import { isPaused, readMeta, setPaused, writeMeta } from './meta.ts'
import { Outbox } from './outbox.ts'
import * as pending from './pending.ts'
import { planRows, planTotals, type PlanPage } from './plan.ts'
import { recordPoll } from './polls.ts'
import { queuePage } from './queue.ts'
import { dueRefs, storeRefs } from './ref-states.ts'
import * as rescue from './rescues.ts'
import { applySchedule, bump } from './schedule.ts'
import type { Db } from './schema.ts'
import { recordSealed, sealable } from './seal.ts'
import * as snapshots from './snapshots.ts'
import { catalogError, checkpointSqlite, type SqliteHandle } from './sqlite.ts'
import { totals } from './totals.ts'
import { transitionsOf } from './transitions.ts'
import { recordVerified } from './verified.ts'
import { notePollFailure, watchStates } from './watches.ts'

const SCHEDULE_BASIS = 'schedule_basis'

/** The catalog in one SQLite file. Every method is one transaction; they run one after another. */
export class SqliteCatalog implements Catalog {
  readonly archiveId: string
  readonly outbox: AlertOutbox
  readonly #handle: SqliteHandle
  readonly #bulk: Bulk
  readonly #path: string
  readonly #isReadOnly: boolean
  readonly #log: Log
  #isClosed = false

  /** Takes over an open file whose schema is there. */
  constructor(handle: SqliteHandle, options: { path: string; archiveId: string; mode: 'write' | 'read'; log: Log }) {
    this.archiveId = options.archiveId
    this.#handle = handle
    this.#bulk = prepareBulk(handle.raw)
    this.#path = options.path
    this.#isReadOnly = options.mode === 'read'
    this.#log = options.log
    this.outbox = new Outbox(
      (step) => this.#read(step),
      (step) => this.#write(step),
    )
  }

  // watch
  watchState(watch: string) {
    return this.#read(async (db) => (await watchStates(db, watch))[0])
  }
  watchStates() {
    return this.#read((db) => watchStates(db))
  }
  reposOfWatch(watch: string) {
    return this.#read((db) => known.reposOfWatch(db, watch))
  }
  repoByName(ref: RepoRef) {
    return this.#read(async (db) => knownOrNone(await known.storedRepoByName(db, ref)))
  }
  repoByHubId(hubId: HubId) {
    return this.#read(async (db) => knownOrNone(await known.storedRepoByHubId(db, hubId)))
  }
  recordPoll(record: PollRecord) {
    return this.#write((db) => recordPoll(db, this.#bulk, this.archiveId, record))
  }
  recordPollFailure(watch: string, at: string, code: string, message: string, changes: readonly ChangeEvent[]) {
    return this.#write(async (db) => {
      await notePollFailure(db, watch, at, { code, message })
      return this.#append(db, changes)
    })
  }
  continueEventsAfter(seq: number) {
    return this.#write((db) => events.continueEventsAfter(db, seq))
  }
  appendEvents(changes: readonly ChangeEvent[]) {
    return this.#write((db) => this.#append(db, changes))
  }
  transitions(repoId: number, limit: number) {
    return this.#read((db) => transitionsOf(db, repoId, limit))
  }
  activityOf(watch: string) {
    return this.#read((db) => known.activityOf(db, watch))
  }
  dueRefs(options: { watch: string; before: string; again: number }) {
    return this.#read((db) => dueRefs(db, options))
  }
  recordRefs(record: RefRecord) {
    return this.#write(async (db) => {
      await storeRefs(db, record)
      return this.#append(db, record.events)
    })
  }

  // rescue
  rescueCursor() {
    return this.#read((db) => rescue.rescueCursor(db))
  }
  startRescues(start: RescueStart) {
    return this.#write((db) => rescue.startRescues(db, start))
  }
  noteRescue(repoId: number, progress: { tried: number; found: number; doneAt: string | undefined }) {
    return this.#write((db) => rescue.noteRescue(db, repoId, progress))
  }
  rescues(filter: { pendingOnly: boolean; limit: number }) {
    return this.#read((db) => rescue.rescues(db, filter))
  }

  // plan
  unlistedHeads(watch: string | undefined) {
    return this.#read((db) => known.unlistedHeads(db, watch))
  }
  undigestedHeads(watch: string | undefined, before: string) {
    return this.#read((db) => known.undigestedHeads(db, watch, before))
  }
  addDigests(snapshotId: number, files: readonly Sibling[], at: string) {
    return this.#write((db) => addDigests(db, snapshotId, files, at))
  }
  cardOf(repoId: number) {
    return this.#read((db) => known.cardOf(db, repoId))
  }
  recordListing(record: ListingRecord) {
    return this.#write((db) => recordListing(db, this.#bulk, this.archiveId, record))
  }
  decidedSnapshots() {
    return this.#read((db) => snapshots.decidedSnapshots(db))
  }
  redecide(
    snapshotId: number,
    decisions: readonly FileDecision[],
    policyKey: string,
    isSmall: (file: Sibling) => boolean,
  ) {
    return this.#write((db) => redecide(db, this.#bulk, { snapshotId, decisions, policyKey, isSmall }))
  }
  blockSnapshot(snapshotId: number, code: string) {
    return this.#write((db) => snapshots.blockSnapshot(db, snapshotId, code))
  }
  unblockSnapshots(codes: readonly string[]) {
    return this.#write((db) => snapshots.unblockSnapshots(db, codes))
  }
  pendingSnapshots() {
    return this.#read((db) => pending.pendingSnapshots(db))
  }
  smallBytesToFetch(maxSize: number) {
    return this.#read((db) => pending.smallBytesToFetch(db, maxSize))
  }
  unwantedKeys(keys: readonly ContentKey[]) {
    return this.#read((db) => pending.unwantedKeys(db, keys))
  }
  applySchedule(entries: readonly ScheduleEntry[]) {
    return this.#write((db) => applySchedule(db, entries))
  }

  scheduleBasis() {
    return this.#read((db) => readMeta(db, SCHEDULE_BASIS))
  }
  setScheduleBasis(basis: string) {
    return this.#write((db) => writeMeta(db, SCHEDULE_BASIS, basis))
  }

  // run jobs
  leaseJob(options: jobs.LeaseOptions) {
    return this.#write((db) => jobs.leaseJob(db, options))
  }
  makeDue(repos?: readonly number[]) {
    return this.#write((db) => jobs.makeDue(db, repos))
  }
  nextDueMs(repos?: readonly number[]) {
    return this.#read((db) => jobs.nextDueMs(db, repos))
  }
  completeJob(jobId: number, digests: Digests, attestedBy: readonly Attestor[], at: string) {
    return this.#write((db) => completeJob(db, jobId, digests, { attestedBy, at }))
  }
  failJob(jobId: number, code: string, nextTryMs: number, changes: readonly ChangeEvent[]) {
    return this.#write(async (db) => {
      await jobs.failJob(db, jobId, code, nextTryMs)
      return this.#append(db, changes)
    })
  }
  releaseJob(jobId: number) {
    return this.#write((db) => jobs.releaseJob(db, jobId))
  }
  releaseAllLeases() {
    return this.#write((db) => jobs.releaseAllLeases(db))
  }

  // seal and verify
  sealable() {
    return this.#read((db) => sealable(db))
  }
  recordSealed(
    snapshotId: number,
    revision: number,
    coverage: Coverage,
    sealedAt: string,
    changes: readonly ChangeEvent[],
  ) {
    return this.#write(async (db) => {
      await recordSealed(db, snapshotId, { revision, coverage, sealedAt })
      return this.#append(db, changes)
    })
  }
  recordVerified(sha256s: readonly Sha256[], at: string) {
    return this.#write(() => recordVerified(this.#bulk, sha256s, at))
  }

  // queue control
  setPaused(paused: boolean) {
    return this.#write((db) => setPaused(db, paused))
  }
  isPaused() {
    return this.#read((db) => isPaused(db))
  }
  bump(repoId: number) {
    return this.#write((db) => bump(db, repoId))
  }

  // event journal
  eventsNotExported(limit: number) {
    return this.#read((db) => events.eventsNotExported(db, limit))
  }
  markExported(seq: number) {
    return this.#write((db) => events.markExported(db, seq))
  }

  // reading
  repoRow(ref: RepoRef) {
    return this.#read((db) => repoRow(db, ref))
  }
  repoRowById(repoId: number) {
    return this.#read((db) => repoRowById(db, repoId))
  }
  reposNamed(ref: RepoRef) {
    return this.#read((db) => reposNamed(db, ref))
  }
  listRepos(filter: RepoFilter, page: RepoPage) {
    return this.#read((db) => listRepos(db, filter, page))
  }
  snapshot(repoId: number, commit: CommitId) {
    return this.#read((db) => snapshots.snapshotByCommit(db, repoId, commit))
  }
  snapshotsByPrefix(repoId: number, prefix: string) {
    return this.#read((db) => snapshots.snapshotsByPrefix(db, repoId, prefix))
  }
  files(snapshotId: number, page: { after: string | undefined; limit: number }) {
    return this.#read((db) => filesPage(db, snapshotId, page))
  }
  file(snapshotId: number, path: string) {
    return this.#read((db) => fileByPath(db, snapshotId, path))
  }
  planRows(page: PlanPage) {
    return this.#read((db) => planRows(db, page))
  }
  planTotals() {
    return this.#read((db) => planTotals(db))
  }
  queue(page: { limit: number }) {
    return this.#read((db) => queuePage(db, page.limit))
  }
  events(filter: EventFilter) {
    return this.#read((db) => events.readEvents(db, filter))
  }
  totals() {
    return this.#read((db) => totals(db))
  }

  async checkpoint(): Promise<void> {
    this.#refuseWhenReadOnly()
    await this.#checkpoint()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      // Also waits for the transaction that still runs.
      if (!this.#isReadOnly) await this.#checkpoint()
    } catch (error) {
      // Nothing is lost: the log is read at the next start.
      this.#log.warn({ component: 'catalog', err: error }, 'catalog closed without a checkpoint')
    }
    await this.#handle.kysely.destroy()
    if (this.#handle.raw.open) this.#handle.raw.close()
  }

  #append(db: Db, changes: readonly ChangeEvent[]): Promise<LoggedEvent[]> {
    return events.appendEvents(db, this.archiveId, changes)
  }

  async #checkpoint(): Promise<void> {
    const { kysely, raw } = this.#handle
    try {
      await kysely.connection().execute(async () => checkpointSqlite(raw))
    } catch (error) {
      throw catalogError(error, this.#path)
    }
  }

  async #write<T>(step: (db: Db) => Promise<T>): Promise<T> {
    this.#refuseWhenReadOnly()
    return this.#read(step)
  }

  async #read<T>(step: (db: Db) => Promise<T>): Promise<T> {
    try {
      return await this.#handle.kysely.transaction().execute(step)
    } catch (error) {
      throw catalogError(error, this.#path)
    }
  }

  #refuseWhenReadOnly(): void {
    if (!this.#isReadOnly) return
    throw new ArchiveError('ARCHIVE_READ_ONLY', `the catalog ${this.#path} was opened for reading only`, {
      hint: 'another weightvault process writes this archive; ask it, or stop it',
    })
  }
}

function knownOrNone(row: known.StoredRepo | undefined) {
  return row === undefined ? undefined : known.knownRepoOf(row)
}

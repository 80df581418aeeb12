import type { EventFilter, RepoFilter } from '../archive-rows.ts'
import type { FileDecision } from '../domain/decision.ts'
import type { CommitId, GitOid, Sha256 } from '../domain/digest.ts'
import type { ChangeEvent, LoggedEvent } from '../domain/events.ts'
import type { ContentKey, Sibling } from '../domain/listing.ts'
import type { Coverage } from '../domain/manifest.ts'
import type { RepoRef } from '../domain/repo.ts'
import type { Catalog } from '../catalog-port.ts'
import type { AdoptedBlob, FileNameQuery, SeenFile } from '../find-rows.ts'
import type { CompletedJob, FailedTry, ListingRecord, NewDamage, ScheduleEntry } from '../work-rows.ts'
import { completeJobs } from './complete-jobs.ts'
import { noteDamage } from './damage.ts'
import * as adopt from './adopt.ts'
import * as events from './events.ts'
import { fileByPath, filesPage } from './files.ts'
import { failJob, releaseAllLeases, releaseJobs } from './end-leases.ts'
import * as jobs from './jobs.ts'
import * as known from './known-repos.ts'
import { listRepos, repoRow, repoRowById, reposNamed, type RepoPage } from './list-repos.ts'
import { listedContents, whereListed, whereNamed } from './listed-digests.ts'
import { addDigests, recordListing, redecide } from './listings.ts'
import { isPaused, readMeta, setPaused, writeMeta } from './meta.ts'
import * as pending from './pending.ts'
import { planRows, planTotals, type PlanPage } from './plan.ts'
import { jobOfFile, queuePage } from './queue.ts'
import { applySchedule, bump } from './schedule.ts'
import { recordSealed, sealable } from './seal.ts'
import * as snapshots from './snapshots.ts'
import { demoteSource } from './sources.ts'
import { totals } from './totals.ts'
import { recordVerified } from './verified.ts'
import { WatchedRepos } from './watched-repos.ts'

const SCHEDULE_BASIS = 'schedule_basis'

/** The catalog in one SQLite file. Every method is one transaction; they run one after another. */
export class SqliteCatalog extends WatchedRepos implements Catalog {
  // plan
  unlistedHeads(watch: string | undefined) {
    return this.read((db) => known.unlistedHeads(db, watch))
  }
  undigestedHeads(watch: string | undefined, read: { before: string; now: string }) {
    return this.read((db) => known.undigestedHeads(db, watch, read))
  }
  addDigests(snapshotId: number, files: readonly Sibling[], at: string) {
    return this.write((db) => addDigests(db, snapshotId, files, at))
  }
  cardOf(repoId: number) {
    return this.read((db) => known.cardOf(db, repoId))
  }
  recordListing(record: ListingRecord) {
    return this.write((db) => recordListing(db, this.bulk, this.archiveId, record))
  }
  decidedSnapshots() {
    return this.read((db) => snapshots.decidedSnapshots(db))
  }
  redecide(
    snapshotId: number,
    decisions: readonly FileDecision[],
    policyKey: string,
    isSmall: (file: Sibling) => boolean,
  ) {
    return this.write((db) => redecide(db, this.bulk, { snapshotId, decisions, policyKey, isSmall }))
  }
  blockSnapshot(snapshotId: number, code: string) {
    return this.write((db) => snapshots.blockSnapshot(db, snapshotId, code))
  }
  unblockSnapshots(codes: readonly string[]) {
    return this.write((db) => snapshots.unblockSnapshots(db, codes))
  }
  pendingSnapshots() {
    return this.read((db) => pending.pendingSnapshots(db))
  }
  smallBytesToFetch(maxSize: number) {
    return this.read((db) => pending.smallBytesToFetch(db, maxSize))
  }
  unwantedKeys(keys: readonly ContentKey[]) {
    return this.read((db) => pending.unwantedKeys(db, keys))
  }
  applySchedule(entries: readonly ScheduleEntry[]) {
    return this.write((db) => applySchedule(db, entries))
  }

  scheduleBasis() {
    return this.read((db) => readMeta(db, SCHEDULE_BASIS))
  }
  setScheduleBasis(basis: string) {
    return this.write((db) => writeMeta(db, SCHEDULE_BASIS, basis))
  }

  // run jobs
  leaseJob(options: jobs.LeaseOptions) {
    return this.write((db) => jobs.leaseJob(db, options))
  }
  leaseJobs(options: jobs.BatchLeaseOptions) {
    return this.write((db) => jobs.leaseJobs(db, options))
  }
  makeDue(repos?: readonly number[]) {
    return this.write((db) => jobs.makeDue(db, repos))
  }
  nextDueMs(repos?: readonly number[]) {
    return this.read((db) => jobs.nextDueMs(db, repos))
  }
  completeJobs(done: readonly CompletedJob[], at: string) {
    return this.write(async (db) => {
      const { complete, news } = await completeJobs(db, this.bulkComplete, done, at)
      return { complete, events: await this.append(db, news) }
    })
  }
  failJob(jobId: number, failure: FailedTry, changes: readonly ChangeEvent[]) {
    return this.write(async (db) => {
      await failJob(db, jobId, failure)
      return this.append(db, changes)
    })
  }
  releaseJobs(jobIds: readonly number[]) {
    return this.write((db) => releaseJobs(db, jobIds))
  }
  demoteSource(key: ContentKey, repoId: number, notBeforeMs: number, changes: readonly ChangeEvent[]) {
    return this.write(async (db) => {
      await demoteSource(db, key, repoId, notBeforeMs)
      return this.append(db, changes)
    })
  }
  releaseAllLeases() {
    return this.write((db) => releaseAllLeases(db))
  }

  // seal and verify
  sealable() {
    return this.read((db) => sealable(db))
  }
  recordSealed(
    snapshotId: number,
    revision: number,
    coverage: Coverage,
    sealedAt: string,
    changes: readonly ChangeEvent[],
  ) {
    return this.write(async (db) => {
      await recordSealed(db, snapshotId, { revision, coverage, sealedAt })
      return this.append(db, changes)
    })
  }
  recordDamage(damage: readonly NewDamage[], at: string) {
    return this.write(async (db) => {
      const fresh = await noteDamage(db, damage, at)
      return this.append(
        db,
        fresh.map((one) => one.event),
      )
    })
  }
  recordVerified(sha256s: readonly Sha256[], at: string) {
    return this.write(() => recordVerified(this.bulk, sha256s, at))
  }

  // find and adopt
  listedContents() {
    return this.read((db) => listedContents(db))
  }
  whereListed(content: { sha256: Sha256 | undefined; gitOid: GitOid | undefined }, limit: number) {
    return this.read((db) => whereListed(db, content, limit))
  }
  whereNamed(query: FileNameQuery, limit: number) {
    return this.read((db) => whereNamed(db, query, limit))
  }
  holdsBlob(sha256: Sha256) {
    return this.read((db) => adopt.holdsBlob(db, sha256))
  }
  digestsOfSeen(file: SeenFile) {
    return this.read((db) => adopt.digestsOfSeen(db, file))
  }
  noteSeen(files: Parameters<typeof adopt.noteSeen>[1]) {
    return this.write((db) => adopt.noteSeen(db, files))
  }
  adoptBlobs(blobs: readonly AdoptedBlob[], at: string) {
    return this.write(async (db) => {
      const { news, ...held } = await adopt.adoptBlobs(db, this.bulkComplete, blobs, at)
      return { ...held, events: await this.append(db, news) }
    })
  }

  // queue control
  setPaused(paused: boolean) {
    return this.write((db) => setPaused(db, paused))
  }
  isPaused() {
    return this.read((db) => isPaused(db))
  }
  bump(repoId: number) {
    return this.write((db) => bump(db, repoId))
  }

  // event journal
  importEvents(imported: readonly LoggedEvent[]) {
    return this.write((db) => events.importEvents(db, imported))
  }
  eventsNotExported(limit: number) {
    return this.read((db) => events.eventsNotExported(db, limit))
  }
  markExported(seq: number) {
    return this.write((db) => events.markExported(db, seq))
  }

  // reading
  repoRow(ref: RepoRef) {
    return this.read((db) => repoRow(db, ref))
  }
  repoRowById(repoId: number) {
    return this.read((db) => repoRowById(db, repoId))
  }
  reposNamed(ref: RepoRef) {
    return this.read((db) => reposNamed(db, ref))
  }
  listRepos(filter: RepoFilter, page: RepoPage) {
    return this.read((db) => listRepos(db, filter, page))
  }
  snapshot(repoId: number, commit: CommitId) {
    return this.read((db) => snapshots.snapshotByCommit(db, repoId, commit))
  }
  snapshotsByPrefix(repoId: number, prefix: string) {
    return this.read((db) => snapshots.snapshotsByPrefix(db, repoId, prefix))
  }
  files(snapshotId: number, page: { after: string | undefined; limit: number }) {
    return this.read((db) => filesPage(db, snapshotId, page))
  }
  file(snapshotId: number, path: string) {
    return this.read((db) => fileByPath(db, snapshotId, path))
  }
  planRows(page: PlanPage) {
    return this.read((db) => planRows(db, page))
  }
  planTotals() {
    return this.read((db) => planTotals(db))
  }
  jobOfFile(snapshotId: number, path: string) {
    return this.read((db) => jobOfFile(db, snapshotId, path))
  }
  queue(page: { limit: number }) {
    return this.read((db) => queuePage(db, page.limit))
  }
  events(filter: EventFilter) {
    return this.read((db) => events.readEvents(db, filter))
  }
  totals() {
    return this.read((db) => totals(db))
  }
}

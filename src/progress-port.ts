import type { CommitId } from './domain/digest.ts'
import type { LoggedEvent } from './domain/events.ts'
import type { RepoRef } from './domain/repo.ts'
import type { HubFile } from './hub-port.ts'

/** What long work tells whoever watches. Every method is cheap and never throws. */
export interface Progress {
  /** One watch was polled completely. */
  polled(watch: string, repos: number, changed: number): void
  /** The listing of a commit was stored. */
  listed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void
  /** Everything still to fetch is known (again): bytes and files not yet held and allowed to move. */
  total(files: number, bytes: number): void
  started(file: HubFile, size: number, resumedAt: number): void
  /** `bytes` more of this file have come. */
  moved(file: HubFile, bytes: number): void
  /** This try ended before the file was whole; another source or another time may go on. */
  ended(file: HubFile): void
  finished(file: HubFile, size: number): void
  failed(file: HubFile, code: string, message: string): void
  /** The repository as a whole refuses its files: the event and the result tell it once, not each of its files. */
  refused(file: HubFile): void
  sealed(ref: RepoRef, commit: CommitId, files: number, bytes: number): void
  /** Events were logged, in order. */
  events(events: readonly LoggedEvent[]): void
  /** One file was re-hashed (verify), or otherwise gone through: `did` says what was done to it. */
  verified(path: string, bytes: number, did?: 'verified' | 'restored' | 'hashed'): void
  /** Work waits for a reason a person should know: quota, disk, window, an unreachable Hub. */
  waiting(reason: string, untilMs: number | undefined): void
}

import type { Generated } from 'kysely'
import type { Flag } from './codec.ts'

/** One per content that is wanted and not held. */
export interface JobsTable {
  id: Generated<number>
  /** SHA-256 (32 bytes) or git oid (20 bytes). */
  digest: Buffer
  size: number
  is_small: Flag
  /** JOB_STATES in jobs.ts. */
  state: number
  /** Best of the snapshots that want it. */
  rank: number
  hold: number
  is_runnable: Flag
  attempts: number
  /** Time of the next try of a waiting job. */
  until_ms: number
  last_code: string | null
}

/** Who waits for a job. */
export interface JobFilesTable {
  snapshot_id: number
  is_small: Flag
  path_key: Buffer
  job_id: number
}

/** Repositories that served other bytes than promised. */
export interface SourceFaultsTable {
  digest: Buffer
  repo_id: number
  faults: number
  /** Not asked for this content before that time. */
  until_ms: number
}

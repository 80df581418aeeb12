import type Database from 'better-sqlite3'

/** A blob as the catalog stores it. */
export interface StoredBlob {
  readonly sha256: Buffer
  /** Empty where it was not computed. */
  readonly git_oid: Buffer
  readonly size: number
  readonly stored_at: string
  readonly verified_ms: number
  readonly attested_by: number
}

/** A file that waited for a job. */
interface Waited {
  readonly snapshot_id: number
  readonly is_small: 0 | 1
  readonly path_key: Buffer
}

/** Read at once: a licence text may be wanted by every repository. */
const MAX_WAITED = 500

/** A stored blob, and when it was proven. */
export interface HeldBlob {
  readonly id: number
  readonly verifiedMs: number
}

/** What a completed content costs in statements, prepared once. As `Bulk`: only inside a transaction of the same file. */
export interface BulkComplete {
  job(jobId: number): { digest: Buffer; size: number } | undefined
  /** Stores the blob or adds to what is known of it. */
  storeBlob(blob: StoredBlob): { id: number; isNew: boolean }
  /** The job itself, and others for the same bytes that nobody downloads now. */
  jobsOf(jobId: number, blob: StoredBlob): number[]
  /** Every file that waited for the job is held, and told; the job goes. */
  hold(jobId: number, blob: HeldBlob, onHeld: (snapshotId: number, isSmall: 0 | 1) => void): void
  /** What was wrong with this blob before, if it was; forgotten now. */
  endDamage(sha256: Buffer): { found: string; found_at: string } | undefined
}

/** Prepares the statements; the schema must be there. */
export function prepareBulkComplete(raw: Database.Database): BulkComplete {
  const job = raw.prepare<[number], { digest: Buffer; size: number }>('SELECT digest, size FROM jobs WHERE id = ?')
  const knownBlob = raw.prepare<[Buffer], { id: number; attested_by: number; git_oid: Buffer }>(
    'SELECT id, attested_by, git_oid FROM blobs WHERE sha256 = ?',
  )
  const updateBlob = raw.prepare('UPDATE blobs SET attested_by = ?, git_oid = ? WHERE id = ?')
  const insertBlob = raw
    .prepare<[Buffer, Buffer, number, string, number, number], number>(
      `INSERT INTO blobs (sha256, git_oid, size, stored_at, verified_ms, attested_by)
       VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
    )
    .pluck()
  const jobsOf = raw
    .prepare<[Buffer, Buffer, number, number], number>(
      'SELECT id FROM jobs WHERE digest IN (?, ?) AND size = ? AND (id = ? OR state <> 1)',
    )
    .pluck()
  // Row by row: joined statements for all files of a job cost twice as much for the one that nearly every job has.
  const waited = raw.prepare<[number], Waited>(
    `SELECT snapshot_id, is_small, path_key FROM job_files WHERE job_id = ? LIMIT ${MAX_WAITED}`,
  )
  const holdFile = raw.prepare('UPDATE files SET blob_id = ? WHERE snapshot_id = ? AND path_key = ?')
  const noteHolder = raw.prepare(
    'INSERT INTO snapshot_blobs (blob_id, snapshot_id, verified_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const dropFile = raw.prepare('DELETE FROM job_files WHERE snapshot_id = ? AND is_small = ? AND path_key = ?')
  const dropJob = raw.prepare('DELETE FROM jobs WHERE id = ?')
  const endDamage = raw.prepare<[Buffer], { found: string; found_at: string }>(
    'DELETE FROM damaged_blobs WHERE sha256 = ? RETURNING found, found_at',
  )
  return {
    job: (jobId) => job.get(jobId),
    storeBlob(blob) {
      const known = knownBlob.get(blob.sha256)
      if (known !== undefined) {
        const gitOid = known.git_oid.length > 0 ? known.git_oid : blob.git_oid
        updateBlob.run(known.attested_by | blob.attested_by, gitOid, known.id)
        return { id: known.id, isNew: false }
      }
      const { sha256, git_oid, size, stored_at, verified_ms, attested_by } = blob
      return {
        id: Number(insertBlob.get(sha256, git_oid, size, stored_at, verified_ms, attested_by)),
        isNew: true,
      }
    },
    jobsOf: (jobId, blob) => jobsOf.all(blob.sha256, blob.git_oid, blob.size, jobId),
    hold(jobId, blob, onHeld) {
      let rows: Waited[]
      do {
        rows = waited.all(jobId)
        for (const { snapshot_id, is_small, path_key } of rows) {
          holdFile.run(blob.id, snapshot_id, path_key)
          noteHolder.run(blob.id, snapshot_id, blob.verifiedMs)
          dropFile.run(snapshot_id, is_small, path_key)
          onHeld(snapshot_id, is_small)
        }
      } while (rows.length === MAX_WAITED)
      dropJob.run(jobId)
    },
    endDamage: (sha256) => endDamage.get(sha256),
  }
}

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

/** Files of one snapshot that waited for a job. */
export interface Waited {
  readonly snapshot_id: number
  readonly files: number
  readonly large_files: number
  readonly size: number
}

/** What a completed content costs in statements, prepared once. As `Bulk`: only inside a transaction of the same file. */
export interface BulkComplete {
  job(jobId: number): { digest: Buffer; size: number } | undefined
  /** Stores the blob or adds to what is known of it. */
  storeBlob(blob: StoredBlob): { id: number; isNew: boolean }
  /** The job itself, and others for the same bytes that nobody downloads now. */
  jobsOf(jobId: number, blob: StoredBlob): number[]
  /** Every file that waited for the job is held; the job goes. */
  hold(jobId: number, blobId: number, verifiedMs: number): Waited[]
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
  const waited = raw.prepare<[number], Waited>(
    `SELECT job_files.snapshot_id, COUNT(*) AS files,
       COUNT(CASE WHEN job_files.is_small = 0 THEN 1 END) AS large_files, MAX(jobs.size) AS size
     FROM job_files JOIN jobs ON jobs.id = job_files.job_id
     WHERE job_files.job_id = ? GROUP BY job_files.snapshot_id`,
  )
  const holdFiles = raw.prepare(
    `UPDATE files SET blob_id = ? FROM job_files
     WHERE job_files.job_id = ? AND files.snapshot_id = job_files.snapshot_id
       AND files.path_key = job_files.path_key`,
  )
  const noteHolders = raw.prepare(
    `INSERT INTO snapshot_blobs (blob_id, snapshot_id, verified_ms)
     SELECT DISTINCT ?, snapshot_id, ? FROM job_files WHERE job_id = ? ON CONFLICT DO NOTHING`,
  )
  const dropFiles = raw.prepare('DELETE FROM job_files WHERE job_id = ?')
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
    hold(jobId, blobId, verifiedMs) {
      const rows = waited.all(jobId)
      holdFiles.run(blobId, jobId)
      noteHolders.run(blobId, verifiedMs, jobId)
      dropFiles.run(jobId)
      dropJob.run(jobId)
      return rows
    },
    endDamage: (sha256) => endDamage.get(sha256),
  }
}

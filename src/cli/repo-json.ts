import type { FileRow, RepoRow, SnapshotRow } from '../archive-rows.ts'
import { effectiveLicense, printRepo } from '../domain/repo.ts'

/** One repository of `list --json`. Scripts depend on the names: fields are only ever added. */
export function repoJson(row: RepoRow): Record<string, unknown> {
  const newest = row.newest
  return {
    repo: printRepo(row.ref),
    upstream: row.upstream,
    license: effectiveLicense(row.license) ?? null,
    state: newest?.state ?? null,
    commit: newest?.commit ?? row.head ?? null,
    bytesHeld: newest?.bytesHeld ?? 0,
    bytesListed: newest?.bytesListed ?? 0,
    filesHeld: newest?.filesHeld ?? 0,
    filesListed: newest?.filesListed ?? 0,
    formats: row.formats,
    quants: row.quants,
    lastVerifiedAt: row.lastVerifiedAt ?? null,
    snapshots: row.snapshots.map(snapshotJson),
  }
}

/** One snapshot of `list --json` and `show --json`. */
export function snapshotJson(snapshot: SnapshotRow): Record<string, unknown> {
  return {
    commit: snapshot.commit,
    state: snapshot.state,
    coverage: snapshot.coverage,
    filesHeld: snapshot.filesHeld,
    filesListed: snapshot.filesListed,
    bytesHeld: snapshot.bytesHeld,
    bytesListed: snapshot.bytesListed,
    sealedAt: snapshot.sealedAt ?? null,
    blockedBy: snapshot.blockedBy ?? null,
  }
}

/** One file of `show --json`. `sha256` of a file that is not held is what the Hub promises, where it does. */
export function fileJson(file: FileRow): Record<string, unknown> {
  return {
    path: file.path,
    size: file.size,
    sha256: file.sha256 ?? file.lfsOid ?? null,
    gitOid: file.gitOid ?? null,
    held: isHeld(file),
    reason: file.reason,
    attestedBy: file.attestedBy,
  }
}

/** Whether the archive has this file's bytes: only then the catalog knows a SHA-256 of our own. */
export function isHeld(file: Pick<FileRow, 'sha256'>): boolean {
  return file.sha256 !== undefined
}

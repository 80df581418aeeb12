import { parseSha256, type Digests, type Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import type { ContentKey } from '../domain/listing.ts'
import type { Attestor } from '../domain/manifest.ts'
import { printRepo } from '../domain/repo.ts'
import { contradictionEvent, hearWitness } from '../domain/witness.ts'
import type { HubFile } from '../hub-port.ts'
import type { Job } from '../work-rows.ts'
import { nowIso, raise, type PipelineDeps } from './deps.ts'
import { readHeld, setDamagedAside, type DamagedBlob } from './held-blob.ts'
import type { Look } from './look-again.ts'

/**
 * A blob that is on disk although the catalog does not know it (a crash, a lost catalog): proven, not fetched. One that has
 * other bytes than its name says is set aside.
 */
export async function digestOfHeld(deps: PipelineDeps, job: Job, signal: AbortSignal): Promise<Digests | undefined> {
  if (!job.key.startsWith('sha256-')) return undefined
  const sha256 = job.key.slice('sha256-'.length) as Sha256
  if ((await deps.blobs.sizeOf(sha256)) !== job.size) return undefined
  const digests = await readHeld(deps.blobs, sha256, signal)
  if (digests === undefined) await setDamagedAside(deps, damagedBlob(job, sha256), signal)
  return digests
}

/**
 * Whether a blob that has the name of proven bytes, and is not these bytes, was set aside: then they can be given it.
 * @param error what giving them the name was refused with
 * @throws FIXITY_FAILED when it is no regular file: that is left to a person
 */
export async function hasMadeWay(deps: PipelineDeps, job: Job, error: unknown, signal: AbortSignal): Promise<boolean> {
  if (!(error instanceof ArchiveError) || error.code !== 'FIXITY_FAILED') return false
  const sha256 = parseSha256(error.details['sha256'])
  if (sha256 === undefined) return false
  if ((await readHeld(deps.blobs, sha256, signal)) === undefined) {
    await setDamagedAside(deps, damagedBlob(job, sha256), signal)
  }
  return true
}

function damagedBlob({ key, sources: [source] }: Job, sha256: Sha256): DamagedBlob {
  if (source === undefined) return { repo: '', path: key, sha256 }
  return { repo: printRepo(source.ref), path: source.path, sha256 }
}

/** Bytes in a partial file. */
interface Brought {
  readonly digests: Digests
  /** What a second look at wrong ones found, where there was one. */
  readonly look?: Look | undefined
}

/**
 * Checks the digests of downloaded bytes against what the Hub promised, then publishes them under their SHA-256. Bytes
 * that differ go to quarantine: nobody knows yet which side is wrong.
 * @throws ArchiveError DIGEST_MISMATCH; nothing is published
 */
export async function verifyBlob(
  deps: PipelineDeps,
  job: Job,
  brought: Brought,
  source: HubFile | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { digests } = brought
  if (promisedBy(job.key, digests) === undefined) throw await setAside(deps, job, brought, source, signal)
  try {
    await deps.blobs.publish(job.key, digests, signal)
  } catch (error) {
    if (!(await hasMadeWay(deps, job, error, signal))) throw error
    await deps.blobs.publish(job.key, digests, signal)
  }
}

/** Who vouches for bytes that are those of the job's key. A witness that contradicts a small file is an event. */
export async function attest(deps: PipelineDeps, job: Job, digests: Digests): Promise<readonly Attestor[]> {
  const byHub = promisedBy(job.key, digests) ?? 'hub-lfs-oid'
  const heard = job.sources.map((file) =>
    hearWitness(deps.witness.lookUp(file.ref, file.commit, file.path), digests.sha256),
  )
  // LFS files were compared with the witnesses when they were listed; small files can only be compared now.
  if (job.key.startsWith('git-')) {
    await raise(
      deps,
      job.sources.flatMap((file) => contradictionEvent(file, digests.sha256, deps.witness, nowIso(deps))),
    )
  }
  return heard.includes('agrees') ? [byHub, 'witness'] : [byHub]
}

function promisedBy(key: ContentKey, digests: Digests): Attestor | undefined {
  if (key === `sha256-${digests.sha256}`) return 'hub-lfs-oid'
  if (key === `git-${digests.gitOid}-${digests.size}`) return 'hub-git-oid'
  return undefined
}

const REASON = 'the bytes differ from the digest the Hub promised'

/** What a second look at wrong bytes says about who is wrong. */
const LOOK_WORDS: Readonly<Record<Look['found'], string>> = {
  'same-bytes': 'they came twice alike',
  'still-wrong': 'they came differently the second time, and wrongly again',
  undecided: 'some came in another way each time',
  'no-ranges': 'they could not be compared with a second copy',
  'known-bytes': 'they came so before',
}

/** Puts wrong bytes into quarantine with a note. Returns the error that says so. */
export async function setAside(
  deps: PipelineDeps,
  job: Job,
  { digests, look }: Brought,
  source: HubFile | undefined,
  signal: AbortSignal,
): Promise<ArchiveError> {
  const note = {
    reason: look === undefined ? REASON : `${REASON}; ${LOOK_WORDS[look.found]}`,
    at: nowIso(deps),
    repo: source === undefined ? undefined : printRepo(source.ref),
    commit: source?.commit,
    path: source?.path,
    expected: job.key,
    actual: digests.sha256,
    size: digests.size,
  }
  await deps.blobs.quarantinePartial(job.key, note, signal)
  const name = source === undefined ? job.key : `${displayName(source.path)} of ${printRepo(source.ref)}`
  return new ArchiveError('DIGEST_MISMATCH', `the bytes of ${name} are not the ones the Hub promised`, {
    hint: 'the bytes are in quarantine with a note; nothing was published; the download is tried again later',
    details: { promised: job.key, sha256: digests.sha256, gitOid: digests.gitOid, size: digests.size, ...look },
  })
}

import { displayName } from '../domain/file-name.ts'
import { formatSize } from '../lib/units.ts'
import type { VerifyResult } from '../opened-archive.ts'
import { counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { readRepo, type CommandInput } from './command-input.ts'
import { deliverAtEnd } from './deliver-at-end.ts'
import { findRepo, findSnapshot } from './find-repo.ts'

const CORRUPT_FOUND = 6
const LINES_FOR_PEOPLE = 200

/** `weightvault verify [REPO[@REV]]` */
export const verifyCommand: Command = {
  name: 'verify',
  summary: 're-hash what is held against our own manifests, offline',
  description:
    'Reads every archived byte of the archive, of one repository or of one commit, and compares its SHA-256 with the manifest. Uses no network. Damaged bytes are set aside in quarantine/, and the next pass fetches them again; beside a running service it only reads.',
  arguments: [{ name: '[repo]', description: 'owner/name, or owner/name@commit; everything when left out' }],
  examples: [
    'weightvault verify',
    'weightvault verify Qwen/Qwen3-0.6B',
    'weightvault verify Qwen/Qwen3-0.6B@c1899de --json',
  ],
  exits: [6, 9, 130],
  run: verify,
}

async function verify(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const [name] = input.arguments
  const argument = name === undefined ? undefined : readRepo(name)
  const archive = await context.openArchive('auto')
  const { verifyArchive } = await import('../maintenance/verify-archive.ts')
  let target = {}
  if (argument !== undefined) {
    const { ref, revision } = argument
    if (revision === undefined) await findRepo(archive, ref)
    target = revision === undefined ? { ref } : { ref, commit: (await findSnapshot(archive, argument)).snapshot.commit }
  }
  const verified = verifyArchive(archive, target, context.progress(), context.signal)
  const result = await deliverAtEnd(context, archive, verified)
  return outcome(result, (screen) => verifyText(result, screen), result.ok ? 0 : CORRUPT_FOUND)
}

function verifyText(result: VerifyResult, screen: Screen): string {
  const { palette } = screen
  const lines = [
    ...result.corrupt.map((file) => `${palette.bad('corrupt')}  ${fileText(file)}`),
    ...result.missing.map((file) => `${palette.bad('missing')}  ${fileText(file)}`),
    ...result.unreadable.map(
      (one) => `${palette.bad('unreadable')}  ${one.repo} @ ${one.commit.slice(0, 10)}: ${displayName(one.message)}`,
    ),
    ...result.contradicted.map(
      (file) =>
        `${palette.attention('contradicted')}  ${fileText(file)}: ${displayName(file.source)} says ${file.witness}`,
    ),
  ]
  const shown = lines.slice(0, LINES_FOR_PEOPLE)
  if (lines.length > shown.length) shown.push(`… and ${lines.length - shown.length} more (--json)`)
  const checked = `${counted(result.checkedFiles, 'file')}, ${formatSize(result.checkedBytes)} checked`
  if (result.notRecorded !== undefined) {
    shown.push(
      `${palette.attention('not noted')}  the catalog does not know of this result: ${displayName(result.notRecorded)}`,
    )
  }
  if (result.ok && result.checkedFiles === 0) return 'ok: nothing is archived yet, so there was nothing to check'
  if (result.ok) return [...shown, `${palette.good('ok')}: ${checked}; every byte is what its manifest says`].join('\n')
  const found = [
    result.corrupt.length === 0 ? '' : blobsText(result.corrupt, 'corrupt'),
    result.missing.length === 0 ? '' : blobsText(result.missing, 'missing'),
    result.unreadable.length === 0 ? '' : `${counted(result.unreadable.length, 'snapshot')} without manifest`,
  ].filter((part) => part !== '')
  return [...shown, `${palette.bad('damaged')}: ${found.join('; ')}; ${checked}`, adviceFor(result)].join('\n')
}

/** Equal bytes are stored once: one damaged blob can be many files. */
function blobsText(files: VerifyResult['corrupt'], found: string): string {
  const blobs = new Set(files.map((file) => file.sha256)).size
  return `${counted(blobs, 'blob')} ${found} (in ${counted(files.length, 'file')})`
}

function adviceFor(result: VerifyResult): string {
  const [damaged] = [...result.corrupt, ...result.missing]
  const nothingLost = 'Nothing was deleted.'
  if (damaged === undefined) return `${nothingLost} Take the manifest from a backup, then run verify again.`
  const { sha256 } = damaged
  const place = `blobs/sha256/${sha256.slice(0, 2)}/${sha256}`
  const blobs = new Set([...result.corrupt, ...result.missing].map((file) => file.sha256)).size
  if (blobs === 1) {
    return `${nothingLost} The next sync fetches it again from any repository that has it; or put a copy with this SHA-256 at ${place}.`
  }
  return `${nothingLost} The next sync fetches them again from any repository that has them; or put copies in place, the first at ${place}.`
}

function fileText(file: { readonly repo: string; readonly path: string; readonly sha256: string }): string {
  return `${file.repo} ${displayName(file.path)} (${file.sha256})`
}

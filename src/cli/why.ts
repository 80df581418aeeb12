import type { FileRow, SnapshotRow } from '../archive-rows.ts'
import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo } from '../domain/repo.ts'
import { formatSize } from '../lib/units.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { QueueRow } from '../work-rows.ts'
import { ago, counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { readRepo, type CommandInput } from './command-input.ts'
import { findSnapshot } from './find-repo.ts'
import { groupDetail } from './group-detail.ts'
import { holdOfFile, holdSentence } from './hold-sentence.ts'
import { eachFile } from './read-pages.ts'
import { isHeld } from './repo-json.ts'
import { renderTable, type Column } from './table.ts'

const EXAMPLES_PER_REASON = 3

/** `weightvault why REPO [PATH]` */
export const whyCommand: Command = {
  name: 'why',
  summary: 'why a file was taken or skipped',
  description:
    'Says for one file which rule took or skipped it, whether it is held, and what it waits for. Without a path: all files of the commit by reason.',
  arguments: [
    { name: '<repo>', description: 'owner/name, or owner/name@commit' },
    { name: '[path]', description: 'a file of the repository' },
  ],
  examples: [
    'weightvault why unsloth/Qwen3.5-9B-GGUF',
    'weightvault why Qwen/Qwen3.5-4B model-00001-of-00002.safetensors',
  ],
  exits: [9],
  run: why,
}

async function why(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const argument = readRepo(input.arguments[0]!)
  const path = input.arguments[1]
  const archive = await context.openArchive('read')
  const { snapshot } = await findSnapshot(archive, argument)
  if (path === undefined) return await whyRepo(archive, snapshot, context.signal)
  return await whyFile(archive, snapshot, path, context.clock.now())
}

async function whyFile(archive: OpenedArchive, snapshot: SnapshotRow, path: string, nowMs: number): Promise<Outcome> {
  const file = await archive.catalog.file(snapshot.snapshotId, path)
  const repo = printRepo(snapshot.ref)
  if (file === undefined) {
    throw new ArchiveError('FILE_UNKNOWN', `${repo} has no file ${displayName(path)} at ${snapshot.commit}`, {
      hint: `"weightvault show ${repo}" lists its files`,
    })
  }
  const job = isHeld(file) || !file.take ? undefined : await archive.catalog.jobOfFile(snapshot.snapshotId, file.path)
  const sentences = fileSentences(file, snapshot, job, nowMs)
  const data = {
    repo,
    commit: snapshot.commit,
    path: file.path,
    size: file.size,
    take: file.take,
    reason: file.reason,
    detail: file.detail,
    held: isHeld(file),
    sha256: file.sha256 ?? file.lfsOid ?? null,
    hold: isHeld(file) || !file.take ? 'none' : holdOf(file, snapshot, job),
    job: job === undefined ? null : jobJson(job),
    sentences,
  }
  return outcome(data, ({ palette }) => {
    const title = `${palette.name(repo)} ${palette.strong(displayName(file.path))} ${palette.faint(`(${formatSize(file.size)})`)}`
    return [title, ...sentences.map((sentence) => `  ${displayName(sentence)}`)].join('\n')
  })
}

function fileSentences(file: FileRow, snapshot: SnapshotRow, job: QueueRow | undefined, nowMs: number): string[] {
  const rule = `${file.take ? 'Taken' : 'Skipped'}: ${file.detail === '' ? file.reason : file.detail} (rule ${file.reason}).`
  if (isHeld(file)) {
    const by = file.attestedBy.length === 0 ? 'nobody besides our own SHA-256' : file.attestedBy.join(' and ')
    return [rule, `Held: SHA-256 ${file.sha256}, attested by ${by}.`]
  }
  if (!file.take) return [rule, 'Not held. Its size and digests are in the listing.']
  const hold = holdOf(file, snapshot, job)
  if (hold !== 'none') return [rule, `Waiting: ${holdSentence(hold)}.`, ...attemptSentences(job, nowMs)]
  if (job?.state === 'leased') return [rule, 'It is being downloaded now.', ...attemptSentences(job, nowMs)]
  return [rule, 'In the queue.', ...attemptSentences(job, nowMs)]
}

function attemptSentences(job: QueueRow | undefined, nowMs: number): string[] {
  if (job === undefined || job.attempts === 0) return []
  const tried = `Tried ${counted(job.attempts, 'time')}`
  const code = job.lastCode === undefined ? '' : `, last error ${job.lastCode}`
  const next = job.nextTryAt === undefined || job.state !== 'waiting' ? '' : `, next try ${ago(job.nextTryAt, nowMs)}`
  return [`${tried}${code}${next}.`]
}

function holdOf(file: FileRow, snapshot: SnapshotRow, job: QueueRow | undefined): SnapshotRow['hold'] {
  return job === undefined ? holdOfFile(snapshot.hold, file.reason) : job.hold
}

function jobJson(job: QueueRow): unknown {
  const { state, attempts, lastCode, nextTryAt } = job
  return { state, attempts, lastCode: lastCode ?? null, nextTryAt: nextTryAt ?? null }
}

interface ReasonGroup {
  readonly take: boolean
  readonly reason: string
  files: number
  bytes: number
  filesHeld: number
  /** Of the first file. */
  readonly detail: string
  isMixed: boolean
  readonly examples: string[]
}

async function whyRepo(archive: OpenedArchive, snapshot: SnapshotRow, signal: AbortSignal): Promise<Outcome> {
  const groups = new Map<string, ReasonGroup>()
  for await (const file of eachFile(archive.catalog, snapshot.snapshotId, signal)) {
    const key = `${file.take} ${file.reason}`
    const { take, reason, detail } = file
    const group = groups.get(key) ?? {
      take,
      reason,
      files: 0,
      bytes: 0,
      filesHeld: 0,
      detail,
      isMixed: false,
      examples: [],
    }
    groups.set(key, group)
    group.files += 1
    group.bytes += file.size
    if (detail !== group.detail) group.isMixed = true
    if (isHeld(file)) group.filesHeld += 1
    if (group.examples.length < EXAMPLES_PER_REASON) group.examples.push(file.path)
  }
  const rows = [...groups.values()]
    .sort((a, b) => Number(b.take) - Number(a.take) || b.bytes - a.bytes)
    .map(({ isMixed, ...row }) => ({ ...row, detail: groupDetail(row.reason, row.detail, isMixed) }))
  const repo = printRepo(snapshot.ref)
  const { commit, state, hold } = snapshot
  return outcome({ repo, commit, state, hold, reasons: rows }, (screen) => {
    const title = `${screen.palette.name(repo)} @ ${commit}, ${state}`
    const waits = hold === 'none' || state === 'sealed' ? '' : `\nWaiting: ${holdSentence(hold)}.`
    if (rows.length === 0) return `${title}\nThis commit has no files.`
    const table = renderTable(reasonColumns(screen), rows, screen.columns, screen.palette.faint)
    return `${title}${waits}\n\n${table}`
  })
}

function reasonColumns(screen: Screen): Column<Omit<ReasonGroup, 'isMixed'>>[] {
  const { palette } = screen
  return [
    {
      header: 'DECISION',
      text: (row) => (row.take ? 'taken' : 'skipped'),
      paint: (row) => (row.take ? palette.good : palette.faint),
    },
    { header: 'REASON', text: (row) => row.reason },
    { header: 'FILES', align: 'right', text: (row) => String(row.files) },
    { header: 'HELD', align: 'right', text: (row) => String(row.filesHeld) },
    { header: 'SIZE', align: 'right', text: (row) => formatSize(row.bytes) },
    { header: 'RULE', text: (row) => row.detail, minWidth: 16, dropRank: 2 },
    { header: 'EXAMPLES', text: (row) => row.examples.join(', '), minWidth: 20, shorten: 'end', dropRank: 1 },
  ]
}

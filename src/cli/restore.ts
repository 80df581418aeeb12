import { resolve } from 'node:path'
import { parseCommitId, type CommitId } from '../domain/digest.ts'
import { errorCodeOf } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo, type RepoArgument, type RepoRef } from '../domain/repo.ts'
import { formatSize } from '../lib/units.ts'
import { LAYOUTS, type Restored, type RestoreRequest } from '../maintenance/restore-snapshot.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import { counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import {
  choiceOption,
  flagOption,
  listOption,
  readRepo,
  textOption,
  usage,
  type CommandInput,
} from './command-input.ts'
import { findRepo, findSnapshot } from './find-repo.ts'

const LINES_FOR_PEOPLE = 20

/** `weightvault restore REPO[@REV] --to DIR` */
export const restoreCommand: Command = {
  name: 'restore',
  summary: 'give a model back: as a folder, or as a cache of the Hub’s clients',
  description:
    'Makes a folder with the held files of a sealed commit (the newest, or the one after @), from the archive alone: no hub is ever asked. Files share their bytes with the archive where the disk can (reflink, else read-only hard link), else they are copied. They are built aside and shown when all are there: a new folder in one step; in a folder that exists name by name, what programs look for first (config.json, lists of shards, branch files) last. Nothing that exists is replaced. An interrupted restore goes on when it is run again. Works beside a running service.',
  arguments: [{ name: '<repo>', description: 'owner/name, or owner/name@commit (7 or more hex digits)' }],
  options: [
    { flags: '--to <dir>', description: 'the folder; for hf-cache the cache itself, as HF_HUB_CACHE names it' },
    {
      flags: '--as <layout>',
      description: 'folder (default), or hf-cache: blobs, refs and snapshots as transformers and hf use them offline',
    },
    { flags: '--include <globs>', description: 'only these paths: "*.json,*Q4_K_M*"' },
    {
      flags: '--link <how>',
      description: 'auto (default): reflink, hard link or copy; never: no hard links; hard: only hard links',
    },
    { flags: '--verify', description: 're-hash every file as it is in the folder, before it is shown' },
  ],
  examples: [
    'weightvault restore Qwen/Qwen3-0.6B --to ./qwen3',
    'weightvault restore Qwen/Qwen3-0.6B@c1899de --to ./qwen3 --verify',
    'weightvault restore Qwen/Qwen3-0.6B --as hf-cache --to ~/.cache/huggingface/hub',
    'weightvault restore unsloth/Qwen3.5-4B-GGUF --include "*Q4_K_M*" --to ./gguf --link never',
  ],
  exits: [6, 9, 130],
  run: restore,
}

async function restore(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const argument = readRepo(input.arguments[0]!)
  const to = textOption(input, 'to')
  if (to === undefined) throw usage('restore needs a folder: --to DIR')
  const request: RestoreRequest = {
    to: resolve(context.cwd, to),
    as: choiceOption(input, 'as', LAYOUTS) ?? 'folder',
    include: listOption(input, 'include') ?? [],
    export: {
      link: choiceOption(input, 'link', ['auto', 'never', 'hard']) ?? 'auto',
      verify: flagOption(input, 'verify'),
      refs: 'keep',
      onFile: (path, size) => context.progress().verified(path, size, 'restored'),
    },
  }
  const archive = await context.openArchive('read', { withoutNetwork: true })
  const { restoreSnapshot } = await import('../maintenance/restore-snapshot.ts')
  const snapshot = await chooseSnapshot(context, archive, argument)
  const restored = await restoreSnapshot(archive, snapshot, request, context.signal)
  return outcome(restoredJson(restored, request), (screen) => restoredText(restored, request, screen))
}

async function chooseSnapshot(
  context: CommandContext,
  archive: OpenedArchive,
  argument: RepoArgument,
): Promise<{ ref: RepoRef; commit: CommitId }> {
  const { newestSealed } = await import('../maintenance/restore-snapshot.ts')
  const { ref, revision } = argument
  if (revision !== undefined && revision !== 'main') return namedSnapshot(archive, argument, revision)
  const row = await findRepo(archive, ref)
  const snapshot = newestSealed(row.snapshots, row.newest)
  if (row.newest !== undefined && row.newest.commit !== snapshot.commit) {
    const newer = `${row.newest.commit.slice(0, 10)} is newer and not sealed yet`
    context.note(`note: restoring ${snapshot.commit.slice(0, 10)}; ${newer}`)
  }
  return snapshot
}

/** A whole commit is found by its manifest alone, too: the catalog may be lost. */
async function namedSnapshot(
  archive: OpenedArchive,
  argument: RepoArgument,
  revision: string,
): Promise<{ ref: RepoRef; commit: CommitId }> {
  try {
    return (await findSnapshot(archive, argument)).snapshot
  } catch (error) {
    const commit = parseCommitId(revision)
    const isUnknown = ['REPO_UNKNOWN', 'SNAPSHOT_UNKNOWN', 'CATALOG_UNUSABLE'].includes(errorCodeOf(error))
    if (!isUnknown || commit === undefined) throw error
    if ((await archive.records.readManifest(argument.ref.name, commit)) === undefined) throw error
    return { ref: argument.ref, commit }
  }
}

function restoredJson(restored: Restored, { as }: RestoreRequest): Record<string, unknown> {
  const { ref, commit, to, folder, made, madeBytes, same, methods, verified } = restored
  return {
    repo: printRepo(ref),
    commit,
    as,
    to,
    folder,
    files: made + same,
    made,
    madeBytes,
    same,
    methods,
    verified,
    escaped: restored.escaped,
    refused: restored.refused,
    notHeld: restored.notHeld,
    keptRefs: restored.keptRefs,
  }
}

function restoredText(restored: Restored, request: RestoreRequest, { palette }: Screen): string {
  const { ref, commit, folder, made, madeBytes, same, methods, verified } = restored
  const ways = Object.entries(methods).flatMap(([method, files]) => (files === 0 ? [] : [`${files} by ${method}`]))
  const parts = [
    `${counted(made, 'file')}, ${formatSize(madeBytes)}${ways.length === 0 ? '' : ` (${ways.join(', ')})`}`,
    same === 0 ? '' : `${counted(same, 'file')} ${same === 1 ? 'was' : 'were'} there already`,
    request.export.verify ? `${counted(verified, 'file')} re-hashed` : '',
  ]
  const lines = [
    ...listText(restored.escaped, (file) => `${palette.attention('escaped')}  ${displayName(file.path)} as ${file.as}`),
    ...listText(
      restored.refused,
      (file) => `${palette.attention('not made')}  ${displayName(file.path)}: ${file.reason} (${file.sha256})`,
    ),
    ...restored.keptRefs.map(
      ({ path, commit: other }) =>
        `${palette.attention('kept')}  ${path} stays at ${displayName(other)}; name revision ${commit} to use this one`,
    ),
    `${palette.good('restored')} ${printRepo(ref)} @ ${commit.slice(0, 10)} to ${displayName(folder)}: ${parts.filter((part) => part !== '').join('; ')}`,
  ]
  if (restored.notHeld.length > 0) {
    const bytes = restored.notHeld.reduce((sum, file) => sum + file.size, 0)
    lines.push(
      `${counted(restored.notHeld.length, 'file')} of the commit, ${formatSize(bytes)}, not held by the archive`,
    )
  }
  if (methods.hardlink > 0) {
    lines.push(
      palette.attention(
        'Hard links are the archive’s own files: read-only. Making one writable and editing it would damage the archive; with "--link never" files are copied instead.',
      ),
    )
  }
  return lines.join('\n')
}

function listText<Item>(items: readonly Item[], line: (item: Item) => string): string[] {
  const shown = items.slice(0, LINES_FOR_PEOPLE).map((item) => line(item))
  if (items.length > shown.length) shown.push(`… and ${items.length - shown.length} more (--json)`)
  return shown
}

import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { WhereListed } from '../find-rows.ts'
import { parseGitOid, parseSha256, type GitOid, type Sha256 } from '../domain/digest.ts'
import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { effectiveLicense, printRepo } from '../domain/repo.ts'
import { formatSize } from '../lib/units.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import { counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { countOption, flagOption, quote, usage, type CommandInput } from './command-input.ts'
import { harmless } from './printer.ts'
import { renderTable, type Column } from './table.ts'

const ROWS = 1000
const NOT_FOUND = 1

/** `weightvault find sha256:… | FILE | PATTERN` */
export const findCommand: Command = {
  name: 'find',
  summary: 'who lists these bytes, or a file of this name, and who holds them',
  description:
    'Looks in every listing the archive ever stored, archived or not, for content (by SHA-256 or git id, or the bytes of a file you have) or for file names. Tells each repository and commit that lists it, whether the archive holds the bytes, and under which licence the commit was offered. A small file that is not held is known to the Hub by its git id only: name it by git:… or by a copy of it.',
  arguments: [
    { name: '<what>', description: 'sha256:<64 hex>, git:<40 hex>, the path of a file, or a name with * and ?' },
  ],
  options: [
    { flags: '--name', description: 'it is a file name, also where a file of this name is here' },
    { flags: '--limit <count>', description: `at most so many rows (${ROWS})` },
  ],
  examples: [
    'weightvault find sha256:f47f71177f32bcd101b7573ec9171e6a57f4f4d31148d38e382306f42996874b',
    'weightvault find ~/Downloads/model.safetensors',
    'weightvault find "*Q4_K_M.gguf" --json',
  ],
  exits: [9],
  run: find,
}

type Query =
  | { readonly kind: 'content'; readonly sha256: Sha256 | undefined; readonly gitOid: GitOid | undefined }
  | { readonly kind: 'name'; readonly pattern: string }

interface Found {
  readonly query: Query
  readonly rows: readonly WhereListed[]
  readonly hasMore: boolean
  readonly heldBytes: number | undefined
}

async function find(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const limit = countOption(input, 'limit', 1) ?? ROWS
  const archive = await context.openArchive('read', { withoutNetwork: true })
  const query = await readQuery(context, archive, input)
  const rows =
    query.kind === 'content'
      ? await archive.catalog.whereListed(query, limit + 1)
      : await archive.catalog.whereNamed({ pattern: query.pattern }, limit + 1)
  const sha256 = query.kind === 'name' ? undefined : (query.sha256 ?? rows.find((row) => row.held)?.sha256)
  const found: Found = {
    query,
    rows: rows.slice(0, limit),
    hasMore: rows.length > limit,
    heldBytes: sha256 === undefined ? undefined : await archive.blobs.sizeOf(sha256),
  }
  const isFound = rows.length > 0 || found.heldBytes !== undefined
  return outcome(foundJson(found), (screen) => foundText(found, screen), isFound ? 0 : NOT_FOUND)
}

async function readQuery(context: CommandContext, archive: OpenedArchive, input: CommandInput): Promise<Query> {
  const what = input.arguments[0]!
  if (flagOption(input, 'name')) return { kind: 'name', pattern: what }
  const named = /^(sha256|git):(.*)$/i.exec(what)
  const hex = (named?.[2] ?? what).toLowerCase()
  const [sha256, gitOid] = [parseSha256(hex), parseGitOid(hex)]
  const isWanted = (kind: string): boolean => named === null || named[1]!.toLowerCase() === kind
  if (sha256 !== undefined && isWanted('sha256')) return { kind: 'content', sha256, gitOid: undefined }
  if (gitOid !== undefined && isWanted('git')) return { kind: 'content', sha256: undefined, gitOid }
  if (named !== null) {
    throw usage(`${quote(what)} is no digest`, 'a SHA-256 has 64 hex digits, a git id 40')
  }
  const path = resolve(context.cwd, what)
  const facts = await lstat(path).catch(() => undefined)
  if (facts?.isFile() === true) return { kind: 'content', ...(await archive.blobs.digestFile(path, context.signal)) }
  if (what === '') throw usage('find needs a digest, a file or a name')
  if (facts?.isDirectory() === true || /^(?:\/|~\/|\.{1,2}\/)/.test(what)) throw noFile(path, facts)
  return { kind: 'name', pattern: what }
}

/** No listing has a name that begins as a path: whoever writes one means a place on this machine. */
function noFile(path: string, facts: Stats | undefined): ArchiveError {
  const found = facts === undefined ? 'is not there' : facts.isDirectory() ? 'is a folder' : 'is no regular file'
  return new ArchiveError('FILE_UNKNOWN', `${displayName(path)} ${found}`, {
    hint: 'name a file, a digest, or with --name a file name as listings have it',
  })
}

function foundJson({ query, rows, hasMore, heldBytes }: Found): Record<string, unknown> {
  return {
    query:
      query.kind === 'name' ? { name: query.pattern } : { sha256: query.sha256 ?? null, gitOid: query.gitOid ?? null },
    held: heldBytes !== undefined,
    listed: rows.map((row) => ({
      repo: printRepo(row.ref),
      listedAs: printRepo(row.listedAs),
      commit: row.commit,
      path: row.path,
      size: row.size,
      sha256: row.sha256 ?? null,
      gitOid: row.gitOid ?? null,
      held: row.held,
      state: row.snapshotState,
      upstream: row.upstream,
      license: effectiveLicense(row.license) ?? null,
      licenseNow: effectiveLicense(row.licenseNow) ?? null,
    })),
    hasMore,
  }
}

function foundText(found: Found, { columns, palette }: Screen): string {
  const { query, rows, hasMore, heldBytes } = found
  const holding =
    heldBytes === undefined ? 'the archive does not hold them' : `the archive holds them, ${formatSize(heldBytes)}`
  const shown =
    query.kind === 'name'
      ? quote(query.pattern)
      : query.sha256 === undefined
        ? `git:${query.gitOid}`
        : `sha256:${query.sha256}`
  if (rows.length === 0) {
    const hint =
      query.kind === 'content' && query.gitOid === undefined && heldBytes === undefined
        ? '\nA small file that is not held is listed by its git id only: name a copy of it, or git:<40 hex>.'
        : ''
    const also = query.kind === 'content' && heldBytes !== undefined ? `, but ${holding}` : ''
    return `${shown}: no listing has it${also}${hint}`
  }
  const table = renderTable(COLUMNS(palette), rows, columns, palette.faint)
  const repos = new Set(rows.map((row) => printRepo(row.ref))).size
  const summary = `${shown}: ${counted(rows.length, 'file')} of ${counted(repos, 'repository', 'repositories')}${hasMore ? ', and more (--limit)' : ''}`
  return [table, query.kind === 'content' ? `${summary}; ${holding}` : summary].join('\n')
}

const COLUMNS = (palette: Screen['palette']): Column<WhereListed>[] => [
  { header: 'REPO', text: (row) => printRepo(row.ref), minWidth: 20, shorten: 'middle' },
  { header: 'COMMIT', text: (row) => row.commit.slice(0, 10) },
  { header: 'PATH', text: (row) => displayName(row.path), minWidth: 16, shorten: 'middle' },
  { header: 'SIZE', align: 'right', text: (row) => formatSize(row.size), dropRank: 2 },
  {
    header: 'HELD',
    text: (row) => (row.held ? 'yes' : 'no'),
    paint: (row) => (row.held ? palette.good : palette.faint),
  },
  { header: 'LICENCE', text: (row) => harmless(effectiveLicense(row.license) ?? '-'), dropRank: 1 },
  { header: 'UPSTREAM', text: (row) => row.upstream, dropRank: 3 },
  { header: 'SHA256', text: (row) => row.sha256?.slice(0, 12) ?? '-', dropRank: 4 },
]

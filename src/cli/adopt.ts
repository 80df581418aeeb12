import { realpath, stat } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import type { GiveMethod } from '../blob-port.ts'
import { displayName } from '../domain/file-name.ts'
import { formatSize } from '../lib/units.ts'
import type { Adopted } from '../maintenance/adopt-files.ts'
import { counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { flagOption, quote, usage, type CommandInput } from './command-input.ts'
import { renderTable, type Column } from './table.ts'
import { nothingPassedOver, walkFolder, type PassedOver } from './walk-folder.ts'

const ROWS_FOR_PEOPLE = 30

/** `weightvault adopt DIR` */
export const adoptCommand: Command = {
  name: 'adopt',
  summary: 'take over what you have already: a Hugging Face cache, a folder of models',
  description:
    'Looks through a folder (a Hugging Face cache, a --local-dir download, a plain folder, an LM Studio tree) for files that any stored listing promises, by size and then by SHA-256 or git id, wanted or not, and takes their bytes into the archive. Nothing of it is downloaded again, and what is complete is sealed. The folder is left as it is; links are not followed. List first what there is: weightvault sync --check. An interrupted adopt goes on when it is run again. Stop a running service before.',
  arguments: [{ name: '<dir>', description: 'the folder' }],
  options: [
    {
      flags: '--reflink',
      description: 'share the bytes with the folder where the disk can (copy on write), else copy',
    },
    {
      flags: '--link',
      description:
        'hard links, else copies: the files in the folder become the archive’s own, read-only for everybody; nothing may write them any more',
    },
  ],
  examples: [
    'weightvault adopt ~/.cache/huggingface/hub',
    'weightvault adopt ~/.lmstudio/models --reflink',
    'weightvault adopt /data/models --json',
  ],
  exits: [6, 9, 10, 130],
  isWork: true,
  run: adopt,
}

async function adopt(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const given = resolve(context.cwd, input.arguments[0]!)
  const root = await realpath(given).catch(() => undefined)
  if (root === undefined || !(await stat(root)).isDirectory()) throw usage(`${quote(given)} is no folder`)
  const method = methodOf(input)
  const archive = await context.openArchive('write', { withoutNetwork: true })
  const vault = await realpath(archive.root)
  if (root === vault || root.startsWith(vault + sep)) throw usage(`${quote(given)} is in the archive itself`)
  const { adoptFiles } = await import('../maintenance/adopt-files.ts')
  const passed = nothingPassedOver()
  const deps = { ...archive, progress: context.progress() }
  const files = walkFolder(root, vault, passed, context.signal)
  const adopted = await adoptFiles(deps, files, method, context.signal)
  const exitCode = adopted.stoppedBy === 'budget' ? 10 : adopted.stoppedBy === 'reserve' ? 9 : 0
  return outcome(adoptedJson(root, adopted, passed), (screen) => adoptedText(root, adopted, passed, screen), exitCode)
}

function methodOf(input: CommandInput): GiveMethod {
  const [reflink, hardlink] = [flagOption(input, 'reflink'), flagOption(input, 'link')]
  if (reflink && hardlink) throw usage('--reflink and --link exclude each other')
  return reflink ? 'reflink' : hardlink ? 'hardlink' : 'copy'
}

function adoptedJson(root: string, adopted: Adopted, passed: PassedOver): Record<string, unknown> {
  return {
    dir: root,
    ...adopted,
    stoppedBy: adopted.stoppedBy ?? null,
    unreadable: [...adopted.unreadable, ...passed.unreadable.map((path) => ({ path, message: 'cannot be read' }))],
    linksOutside: passed.linksOutside,
    special: passed.special,
    bookkeeping: passed.bookkeeping,
  }
}

function adoptedText(root: string, adopted: Adopted, passed: PassedOver, screen: Screen): string {
  const { palette, columns } = screen
  const { looked, taken, methods, alreadyHeld, unmatched, unmatchedFiles, noRoom, stoppedBy } = adopted
  const lines: string[] = []
  if (unmatchedFiles.length > 0) {
    const shown = unmatchedFiles.slice(0, ROWS_FOR_PEOPLE)
    lines.push(renderTable(UNMATCHED, shown, columns, palette.faint))
    if (unmatched.files > shown.length) lines.push(`… and ${unmatched.files - shown.length} more (--json)`)
    lines.push('')
  }
  for (const { path, message } of adopted.unreadable.slice(0, ROWS_FOR_PEOPLE)) {
    lines.push(`${palette.attention('not read')}  ${displayName(path)}: ${displayName(message)}`)
  }
  for (const path of passed.unreadable.slice(0, ROWS_FOR_PEOPLE)) {
    lines.push(`${palette.attention('not read')}  ${displayName(path)}`)
  }
  const ways = Object.entries(methods).flatMap(([method, files]) => (files === 0 ? [] : [`${files} by ${method}`]))
  lines.push(
    `${palette.strong(`${counted(looked.files, 'file')}, ${formatSize(looked.bytes)}`)} in ${displayName(root)}:`,
    `  ${palette.good('taken')}      ${countText(taken)}${ways.length === 0 ? '' : ` (${ways.join(', ')})`}`,
    `  held       ${countText(alreadyHeld)} before`,
    `  unmatched  ${countText(unmatched)}`,
  )
  if (noRoom.files > 0) {
    const limit = stoppedBy === 'budget' ? 'budget.total is reached' : 'the disk is at budget.reserve'
    lines.push(`  ${palette.attention('no room')}    ${countText(noRoom)}: ${limit}`)
  }
  if (passed.linksOutside.length > 0) {
    lines.push(
      `  ${counted(passed.linksOutside.length, 'link')} to outside not followed: adopt the folder they point to`,
    )
  }
  lines.push(
    `${counted(adopted.filesHeld, 'listed file')} held that ${adopted.filesHeld === 1 ? 'was' : 'were'} not; ${counted(adopted.sealed.length, 'snapshot')} sealed`,
  )
  if (methods.hardlink > 0) {
    lines.push(
      palette.attention(
        'The linked files are the archive’s own now, and read-only. A program that had one open for writing could still change it: weightvault verify would tell.',
      ),
    )
  }
  if (taken.files + alreadyHeld.files === 0 && unmatched.files > 0) {
    lines.push(
      'Only files of listed commits are taken: "weightvault sync --check" lists what is watched, without a download.',
    )
  }
  return lines.join('\n')
}

function countText(count: { files: number; bytes: number }): string {
  return `${counted(count.files, 'file')}, ${formatSize(count.bytes)}`
}

const UNMATCHED: readonly Column<Adopted['unmatchedFiles'][number]>[] = [
  { header: 'UNMATCHED', text: (file) => file.path, minWidth: 24, shorten: 'middle' },
  { header: 'SIZE', align: 'right', text: (file) => formatSize(file.size) },
  { header: 'WHY', text: (file) => file.reason, minWidth: 12, dropRank: 1 },
]

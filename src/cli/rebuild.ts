import { displayName } from '../domain/file-name.ts'
import type { Rebuilt } from '../maintenance/rebuild-catalog.ts'
import { counted } from './ago.ts'
import { outcome, type Command, type CommandContext, type Outcome, type Screen } from './command.ts'
import { flagOption, type CommandInput } from './command-input.ts'

const LINES_FOR_PEOPLE = 50
const DAMAGE_FOUND = 6

/** `weightvault rebuild` */
export const rebuildCommand: Command = {
  name: 'rebuild',
  summary: 'make a lost catalog again from the archive’s files',
  description:
    'Fills an empty catalog from listings, manifests, blobs and the event journal: what is archived, also of repositories that upstream lost, and every event with its number. Asks no hub and reads no blob (verify does). Queue order, pauses and read-outs of licence texts come back with the next sync. Stop a running service and move the damaged catalog.db away before.',
  options: [{ flags: '--continue', description: 'go on with a rebuild that was interrupted' }],
  examples: ['weightvault rebuild', 'weightvault rebuild --json'],
  exits: [6, 9, 130],
  run: rebuild,
}

async function rebuild(context: CommandContext, input: CommandInput): Promise<Outcome> {
  const archive = await context.openArchive('write', { withoutNetwork: true })
  const { assertEmptyCatalog, rebuildCatalog } = await import('../maintenance/rebuild-catalog.ts')
  if (!flagOption(input, 'continue')) await assertEmptyCatalog(archive)
  const rebuilt = await rebuildCatalog({ ...archive, progress: context.progress() }, context.signal)
  const isDamaged = rebuilt.unreadable.length > 0 || rebuilt.missingBlobs > 0
  return outcome(rebuilt, (screen) => rebuiltText(rebuilt, screen), isDamaged ? DAMAGE_FOUND : 0)
}

function rebuiltText(rebuilt: Rebuilt, { palette }: Screen): string {
  const { snapshots, sealed, blobs, events, missingBlobs, unreadable } = rebuilt
  const lines = unreadable
    .slice(0, LINES_FOR_PEOPLE)
    .map((one) => `${palette.bad('unreadable')}  ${one.repo} @ ${one.commit.slice(0, 10)}: ${displayName(one.message)}`)
  if (missingBlobs > 0) {
    lines.push(`${palette.bad('missing')}  ${counted(missingBlobs, 'blob')} of manifests: the next sync fetches them`)
  }
  const parts = [counted(snapshots, 'snapshot'), `${sealed} sealed`, counted(blobs, 'blob'), counted(events, 'event')]
  lines.push(`${palette.good('rebuilt')}: ${parts.join(', ')}`)
  return lines.join('\n')
}

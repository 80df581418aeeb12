import type { CommandContext, ListeningServers } from './command.ts'

/** Tells which archive is at work, how to end it, and where dashboard and mirror listen. */
export function noteAddresses(
  context: Pick<CommandContext, 'note'>,
  archive: string,
  { dashboard, mirror }: ListeningServers,
): void {
  context.note(`archive    ${archive}; stop with Ctrl-C`)
  if (dashboard !== undefined) context.note(`dashboard  ${dashboard.origin}/`)
  if (mirror !== undefined) context.note(`mirror     HF_ENDPOINT=${mirror.origin}`)
}

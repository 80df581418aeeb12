import { outcome, type Command, type CommandContext, type Outcome } from './command.ts'
import { counted } from './ago.ts'
import { noteAddresses } from './note-addresses.ts'

/** `weightvault run` */
export const runCommand: Command = {
  name: 'run',
  summary: 'the service: watch, download, verify, seal',
  description:
    'Watches, lists, downloads and verifies until it is stopped. The first SIGTERM or Ctrl-C finishes cleanly (exit 0); a second one stops at once, which loses nothing either.',
  examples: ['weightvault run', 'weightvault run --archive /srv/weights --log-level info'],
  exits: [9],
  isWork: true,
  run,
}

async function run(context: CommandContext): Promise<Outcome> {
  const { archive, watch } = (await context.loadConfig()).config
  const watched = `${archive}; ${counted(watch.length, 'watch', 'watches')}`
  await context.runService((servers) => noteAddresses(context, watched, servers))
  return outcome({ stopped: true }, () => 'Stopped; everything fetched is safe.')
}

import { ArchiveError } from '../domain/errors.ts'
import { noteAddresses } from './note-addresses.ts'
import { outcome, type Command, type CommandContext, type Outcome } from './command.ts'

/** `weightvault serve` */
export const serveCommand: Command = {
  name: 'serve',
  summary: 'only dashboard and mirror, read-only',
  description:
    'Serves what the archive holds, until it is stopped: the mirror to programs that speak to a Hub (HF_ENDPOINT), the dashboard to people. It opens the archive for reading only and never asks the Hub, so it works beside a running service and without one. `weightvault run` serves both by itself.',
  examples: ['weightvault serve', 'weightvault serve --archive /srv/weights'],
  exits: [3, 9],
  isWork: true,
  run,
}

async function run(context: CommandContext): Promise<Outcome> {
  const { config } = await context.loadConfig()
  if (config.serve.mirror === undefined && config.serve.dashboard === undefined) {
    throw new ArchiveError(
      'CONFIG_INVALID',
      'serve.dashboard and serve.mirror are both off: there is nothing to serve',
      {
        hint: 'give one of them an address, such as 127.0.0.1:8421',
      },
    )
  }
  await context.runServers((servers) => noteAddresses(context, `${config.archive}, read-only`, servers))
  return outcome({ stopped: true }, () => 'Stopped.')
}

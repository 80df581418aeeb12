import { ArchiveError } from '../domain/errors.ts'
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
  await context.runServers((servers) => {
    context.note(`archive ${config.archive}, read-only; stop with Ctrl-C`)
    if (servers.dashboard !== undefined) context.note(`dashboard  ${servers.dashboard.origin}/`)
    if (servers.mirror !== undefined) context.note(`mirror     HF_ENDPOINT=${servers.mirror.origin}`)
  })
  return outcome({ stopped: true }, () => 'Stopped.')
}

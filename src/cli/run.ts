import { outcome, type Command, type CommandContext, type Outcome } from './command.ts'
import { counted } from './ago.ts'

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
  const loaded = await context.loadConfig()
  const { archive, watch, serve } = loaded.config
  context.note(`archive ${archive}; ${counted(watch.length, 'watch', 'watches')}; stop with Ctrl-C`)
  for (const name of ['dashboard', 'mirror'] as const) {
    const address = serve[name]
    if (address !== undefined) context.note(`${name.padEnd(9)} http://${addressText(address)}`)
  }
  await context.runService()
  return outcome({ stopped: true }, () => 'Stopped; everything fetched is safe.')
}

function addressText({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

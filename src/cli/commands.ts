import { adoptCommand } from './adopt.ts'
import type { Command } from './command.ts'
import { doctorCommand } from './doctor.ts'
import { eventsCommand } from './events.ts'
import { findCommand } from './find.ts'
import { initCommand } from './init.ts'
import { licensesCommand } from './licenses.ts'
import { listCommand } from './list.ts'
import { notifyGroup } from './notify.ts'
import { planCommand } from './plan.ts'
import type { CommandGroup } from './program.ts'
import { queueGroup } from './queue.ts'
import { rescueCommand } from './rescue.ts'
import { rebuildCommand } from './rebuild.ts'
import { restoreCommand } from './restore.ts'
import { runCommand } from './run.ts'
import { serveCommand } from './serve.ts'
import { showCommand } from './show.ts'
import { statusCommand } from './status.ts'
import { syncCommand } from './sync.ts'
import { verifyCommand } from './verify.ts'
import { watchGroup } from './watch.ts'
import { whyCommand } from './why.ts'

/** Every command, in the order of the help: from the first hour to every day. */
export const COMMANDS: readonly (Command | CommandGroup)[] = [
  initCommand,
  doctorCommand,
  runCommand,
  syncCommand,
  watchGroup,
  planCommand,
  whyCommand,
  listCommand,
  showCommand,
  licensesCommand,
  statusCommand,
  queueGroup,
  rescueCommand,
  verifyCommand,
  findCommand,
  restoreCommand,
  adoptCommand,
  rebuildCommand,
  eventsCommand,
  serveCommand,
  notifyGroup,
]

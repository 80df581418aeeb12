import type { Command } from './command.ts'
import type { CommandGroup } from './program.ts'

type Entry = Command | CommandGroup

/** Every command by its first word, in the order of the help: from the first hour to every day. */
const LOADERS: ReadonlyMap<string, () => Promise<Entry>> = new Map<string, () => Promise<Entry>>([
  ['init', async () => (await import('./init.ts')).initCommand],
  ['doctor', async () => (await import('./doctor.ts')).doctorCommand],
  ['run', async () => (await import('./run.ts')).runCommand],
  ['sync', async () => (await import('./sync.ts')).syncCommand],
  ['watch', async () => (await import('./watch.ts')).watchGroup],
  ['plan', async () => (await import('./plan.ts')).planCommand],
  ['why', async () => (await import('./why.ts')).whyCommand],
  ['list', async () => (await import('./list.ts')).listCommand],
  ['show', async () => (await import('./show.ts')).showCommand],
  ['licenses', async () => (await import('./licenses.ts')).licensesCommand],
  ['status', async () => (await import('./status.ts')).statusCommand],
  ['queue', async () => (await import('./queue.ts')).queueGroup],
  ['rescue', async () => (await import('./rescue.ts')).rescueCommand],
  ['verify', async () => (await import('./verify.ts')).verifyCommand],
  ['find', async () => (await import('./find.ts')).findCommand],
  ['restore', async () => (await import('./restore.ts')).restoreCommand],
  ['adopt', async () => (await import('./adopt.ts')).adoptCommand],
  ['rebuild', async () => (await import('./rebuild.ts')).rebuildCommand],
  ['events', async () => (await import('./events.ts')).eventsCommand],
  ['serve', async () => (await import('./serve.ts')).serveCommand],
  ['notify', async () => (await import('./notify.ts')).notifyGroup],
])

/**
 * The commands that a call can be about: one where the first word is its name, as in nearly every call, or else all, for
 * the help and for what is misspelt. Loading all takes longer than many a command.
 */
export async function loadCommands(words: readonly string[]): Promise<readonly Entry[]> {
  const named = LOADERS.get(words[0] ?? '')
  return Promise.all(named === undefined ? [...LOADERS.values()].map((load) => load()) : [named()])
}

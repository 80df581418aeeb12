import { parseRepoArgument } from '../domain/repo.ts'
import type { Activity } from './activity.ts'
import type { PipelineDeps } from './deps.ts'
import { askRescue } from './rescue-repos.ts'

/** What the commands of another process need of the running service. */
export interface CommandedService {
  readonly deps: PipelineDeps
  readonly activity: Activity
  readonly pid: number
  /** Orders the queue anew, at once. */
  reschedule(): Promise<void>
  /** Old commits are to be looked for. */
  noteRescue(): void
}

/** Answers a command that came over the local socket. What it says may be of another version. @throws Error what is wrong with it */
export async function answerCommand(
  service: CommandedService,
  operation: string,
  parameters: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const { catalog } = service.deps
  switch (operation) {
    case 'status':
      return { pid: service.pid, ...service.activity.report() }
    case 'queue.pause':
      return catalog.setPaused(true)
    case 'queue.resume':
      return catalog.setPaused(false)
    case 'queue.bump': {
      const repo = parseRepoArgument(String(parameters['repo']))
      const row = repo === undefined ? undefined : await catalog.repoRow(repo.ref)
      if (row === undefined) throw new Error(`${String(parameters['repo'])} is not in the archive`)
      const moved = await catalog.bump(row.repoId)
      await service.reschedule()
      return { moved }
    }
    case 'rescue':
      await askRescue(service.deps, parameters['repos'])
      service.noteRescue()
      await service.reschedule()
      return {}
    default:
      throw new Error(`unknown operation ${operation}`)
  }
}

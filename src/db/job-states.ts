import type { QueueRow } from '../work-rows.ts'

/** States of a job as stored. */
export const JOB_STATES = { ready: 0, leased: 1, waiting: 2 } as const

export type StoredState = QueueRow['state']

/** The state's name; an unknown number is a job that waits. */
export function jobStateOf(code: number): StoredState {
  return code === JOB_STATES.ready ? 'ready' : code === JOB_STATES.leased ? 'leased' : 'waiting'
}

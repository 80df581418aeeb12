/** States of a job as stored. */
export const JOB_STATES = { ready: 0, leased: 1, waiting: 2 } as const

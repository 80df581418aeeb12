/** The only source of time. Waiting always ends early, with the signal's reason, when the signal aborts. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

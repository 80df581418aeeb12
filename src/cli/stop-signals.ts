import { ArchiveError } from '../domain/errors.ts'

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type StopSignal = keyof typeof EXIT_CODES

/** What of a process is needed to hear signals and to end it. */
interface SignalSource {
  on(name: StopSignal, listener: () => void): unknown
  exit(code: number): void
}

/** Aborts at the first signal, so that work can finish; the second one ends the process at once. */
export function stopSignals(source: SignalSource): AbortSignal {
  const stop = new AbortController()
  for (const name of Object.keys(EXIT_CODES) as StopSignal[]) {
    source.on(name, () => {
      if (stop.signal.aborted) source.exit(EXIT_CODES[name])
      else stop.abort(interruption(name))
    })
  }
  return stop.signal
}

/** What the first signal means to whatever runs. */
export function interruption(signalName: string): ArchiveError {
  return new ArchiveError('INTERRUPTED', `stopped by ${signalName}`, {
    hint: 'nothing is lost: run it again; what was fetched or made so far is kept',
  })
}

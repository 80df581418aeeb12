import { destination, pino, stdSerializers, stdTimeFunctions, type DestinationStream } from 'pino'
import { ArchiveError } from '../domain/errors.ts'
import type { Log } from '../log-port.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Log lines in a readable form on stderr, for people. What makes it is loaded only here: most calls need none of it. */
export async function prettyStream(): Promise<DestinationStream> {
  const { build } = await import('pino-pretty')
  return build({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss' })
}

/**
 * The program's log: JSON lines on stderr, unless another stream takes them. Written synchronously, so that the last
 * lines before a crash are there. Fields that may hold a secret are cut out whatever calls it.
 */
export function createLogger(options: { level: LogLevel; stream?: DestinationStream | undefined }): Log {
  const stream = options.stream ?? destination({ dest: 2, sync: true })
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: (error: unknown) => describeError(error, options.level === 'debug') },
      redact: { paths: ['token', 'authorization', '*.token', '*.authorization', 'url', '*.url'], censor: '[secret]' },
    },
    stream,
  )
}

/** What is thrown on purpose needs no stack to be understood; a bug does. */
function describeError(error: unknown, isDebug: boolean): unknown {
  if (!(error instanceof ArchiveError) || isDebug) return error instanceof Error ? stdSerializers.err(error) : error
  const { code, message, hint, details, cause } = error
  return { code, message, hint, details, cause: cause instanceof Error ? cause.message : undefined }
}

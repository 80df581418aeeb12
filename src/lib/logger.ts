import { destination, pino, stdSerializers, stdTimeFunctions } from 'pino'
import { build } from 'pino-pretty'
import { ArchiveError } from '../domain/errors.ts'
import type { Log } from '../log-port.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * The program's log: JSON lines on stderr, or a readable form for a terminal. Written synchronously, so that the last
 * lines before a crash are there. Fields that may hold a secret are cut out whatever calls it.
 */
export function createLogger(options: { level: LogLevel; pretty: boolean }): Log {
  const stream = options.pretty
    ? build({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss' })
    : destination({ dest: 2, sync: true })
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

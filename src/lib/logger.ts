import { createRequire } from 'node:module'
import type * as Pino from 'pino'
import { ArchiveError } from '../domain/errors.ts'
import type { Log } from '../log-port.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

interface LogOptions {
  readonly level: LogLevel
  readonly stream?: Pino.DestinationStream | undefined
}

/** Log lines in a readable form on stderr, for people. What makes it is loaded only here: most calls need none of it. */
export async function prettyStream(): Promise<Pino.DestinationStream> {
  const { build } = await import('pino-pretty')
  return build({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss' })
}

/**
 * The program's log: JSON lines on stderr, unless another stream takes them. Written synchronously, so that the last
 * lines before a crash are there. Fields that may hold a secret are cut out whatever calls it. What writes it is loaded
 * with the first line: most calls log none.
 */
export function createLogger(options: LogOptions): Log {
  let opened: Pino.Logger | undefined
  const logger = (): Pino.Logger => (opened ??= openLogger(options))
  return {
    debug: (fields, message) => logger().debug(fields, message),
    info: (fields, message) => logger().info(fields, message),
    warn: (fields, message) => logger().warn(fields, message),
    error: (fields, message) => logger().error(fields, message),
  }
}

function openLogger({ level, stream }: LogOptions): Pino.Logger {
  const { destination, pino, stdSerializers, stdTimeFunctions } = loadPino()
  // What is thrown on purpose needs no stack to be understood; a bug does.
  const describeError = (error: unknown): unknown => {
    if (!(error instanceof ArchiveError) || level === 'debug')
      return error instanceof Error ? stdSerializers.err(error) : error
    const { code, message, hint, details, cause } = error
    return { code, message, hint, details, cause: cause instanceof Error ? cause.message : undefined }
  }
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: describeError },
      redact: { paths: ['token', 'authorization', '*.token', '*.authorization', 'url', '*.url'], censor: '[secret]' },
    },
    stream ?? destination({ dest: 2, sync: true }),
  )
}

function loadPino(): typeof Pino {
  return createRequire(import.meta.url)('pino') as typeof Pino
}

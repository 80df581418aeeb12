import { destination, pino, stdTimeFunctions } from 'pino'
import { build } from 'pino-pretty'
import type { Log } from '../ports.ts'

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
      redact: { paths: ['token', 'authorization', '*.token', '*.authorization', 'url', '*.url'], censor: '[secret]' },
    },
    stream,
  )
}

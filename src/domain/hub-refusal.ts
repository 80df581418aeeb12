import { ERROR_CODES, type ErrorCode } from './errors.ts'

/** Whether the Hub itself, or what is between us, caused this failure; everything else is ours. */
export function isOfTheHub(code: ErrorCode): boolean {
  return ERROR_CODES[code].exitCode === 8 || code === 'SNAPSHOT_UNKNOWN'
}

/** Whether the failure passes by itself and says nothing about what was asked for. */
export function isHubAway(code: ErrorCode): boolean {
  return code === 'HUB_UNREACHABLE' || code === 'HUB_RATE_LIMITED'
}

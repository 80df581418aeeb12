import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

/** A configuration file larger than this is a mistake; parsing a hostile one of this size stays under a second. */
export const MAX_CONFIG_BYTES = 256 * 1024

/** What a small file holds, and the permission bits it has. */
export interface SmallFile {
  readonly text: string
  /** Permission bits, such as 0o600. */
  readonly mode: number
}

/** Why a small file cannot be used, as the end of a sentence about it. */
export class SmallFileError extends Error {
  override readonly name = 'SmallFileError'
}

/**
 * Reads a whole text file of at most `maxBytes`. Undefined when there is none.
 * @throws SmallFileError when it is too large, not a regular file, not UTF-8 text or not readable
 */
export async function readSmallFile(
  path: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<SmallFile | undefined> {
  signal.throwIfAborted()
  try {
    // Non-blocking: opening a named pipe that nobody writes to would wait for ever.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = await file.stat()
    if (!stat.isFile()) throw new SmallFileError('is not a regular file')
    const buffer = Buffer.alloc(maxBytes + 1)
    let length = 0
    while (length <= maxBytes) {
      signal.throwIfAborted()
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    if (length > maxBytes) throw new SmallFileError(`is larger than ${maxBytes} bytes`)
    return { text: decodeText(buffer.subarray(0, length)), mode: stat.mode & 0o777 }
  } catch (error) {
    if (error instanceof SmallFileError || signal.aborted) throw error
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new SmallFileError(`cannot be read (${code ?? 'unknown reason'})`, { cause: error })
  }
}

function decodeText(bytes: Buffer): string {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new SmallFileError('is not a text file in UTF-8', { cause: error })
  }
  if (text.includes('\0')) throw new SmallFileError('is not a text file')
  return text
}

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, truncate } from 'node:fs/promises'
import { isErrno, unlinkIfThere, writeAll } from '../lib/fs-durable.ts'

const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants

/** Room for the catalog's log and the alerts of a disk that is full otherwise. */
export const BALLAST_BYTES = 32 * 1024 * 1024
/** It is made only where it is a small share of what is free. */
const BALLAST_SHARE = 4
const CHUNK_BYTES = 1024 * 1024

/**
 * Makes the ballast unless it is there, where `freeBytes` leaves so much over the reserve that nobody misses it. Returns
 * whether it is there. @throws errno errors
 */
export async function keepBallastFile(
  path: string,
  reserveBytes: number,
  freeBytes: () => Promise<number>,
): Promise<boolean> {
  if (await hasBallast(path)) return true
  if ((await freeBytes()) < reserveBytes + BALLAST_SHARE * BALLAST_BYTES) return false
  await makeBallast(path)
  return true
}

/** Gives the room back. Returns whether there was any. @throws errno errors */
export async function dropBallastFile(path: string): Promise<boolean> {
  try {
    // Some file systems need room to remove a name, and have none: cutting the file first makes some.
    await truncate(path, 0)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
  }
  await unlinkIfThere(path)
  return true
}

/** Whether the whole ballast is there. @throws errno errors */
async function hasBallast(path: string): Promise<boolean> {
  try {
    const facts = await lstat(path)
    return facts.isFile() && facts.size === BALLAST_BYTES
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

/**
 * Fills the ballast file with bytes that no file system can store in less.
 * @throws errno errors; what was written is removed then
 */
async function makeBallast(path: string): Promise<void> {
  try {
    await using handle = await open(path, O_CREAT | O_TRUNC | O_NOFOLLOW | O_WRONLY, 0o640)
    for (let at = 0; at < BALLAST_BYTES; at += CHUNK_BYTES) await writeAll(handle, randomBytes(CHUNK_BYTES), at)
    await handle.sync()
  } catch (error) {
    await dropBallastFile(path).catch(() => false)
    throw error
  }
}

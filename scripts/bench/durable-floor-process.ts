/**
 * The least that a Node program does to make many small files durable under names in 256 folders: each is created, written,
 * fsynced, linked and its first name removed, and the folders are fsynced. No network, no hash, no catalog. Prints
 * `{ "seconds": n }`. `node durable-floor-process.ts FOLDER FILES BYTES`
 */
import { closeSync, fsync, linkSync, mkdirSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { inLanes } from '../../src/lib/in-lanes.ts'

/** As the program under test: open at once, and named in one turn. */
const [OPEN_AT_ONCE, NAMED_TOGETHER, FOLDERS] = [64, 512, 256]
const sync = promisify(fsync)
const { signal } = new AbortController()

const [folder = '', files, bytesEach] = process.argv.slice(2)
const bytes = Buffer.alloc(Number(bytesEach), 'x')
const names = Array.from({ length: Number(files) }, (_, at) => ({ first: join(folder, `${at}.part`), at }))

mkdirSync(folder)
for (let at = 0; at < FOLDERS; at += 1) mkdirSync(join(folder, `${at}`))
const startMs = performance.now()
for (let from = 0; from < names.length; from += NAMED_TOGETHER)
  await makeDurable(names.slice(from, from + NAMED_TOGETHER))
process.stdout.write(JSON.stringify({ seconds: (performance.now() - startMs) / 1000 }))

async function makeDurable(together: readonly { first: string; at: number }[]): Promise<void> {
  await inLanes(together, OPEN_AT_ONCE, signal, async ({ first }) => {
    const fd = openSync(first, 'wx', 0o440)
    writeSync(fd, bytes)
    await sync(fd)
    closeSync(fd)
  })
  for (const { first, at } of together) linkSync(first, join(folder, `${at % FOLDERS}`, `${at}`))
  const folders = new Set(together.map(({ at }) => join(folder, `${at % FOLDERS}`)))
  await inLanes(folders, OPEN_AT_ONCE, signal, async (path) => {
    const fd = openSync(path, 'r')
    await sync(fd)
    closeSync(fd)
  })
  for (const { first } of together) unlinkSync(first)
}

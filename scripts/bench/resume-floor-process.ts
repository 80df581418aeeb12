/**
 * The least that the disk has to do for a resume: a file is read past the page cache while as many new bytes are written
 * past it behind them. No network, no hash, no journal. The old half is written first and not counted. Prints
 * `{ "seconds": n }`. `node resume-floor-process.ts FILE BYTES_EACH`
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { BLOCK_BYTES, BlockMemory } from '../../src/lib/block-memory.ts'
import { inLanes } from '../../src/lib/in-lanes.ts'
import { DirectFile } from '../../src/store/direct-file.ts'

/** As the program under test. */
const [READS_AT_ONCE, WRITES_AT_ONCE] = [3, 2]
const { O_DIRECT = 0 } = constants as { O_DIRECT?: number }
const { signal } = new AbortController()

const [path = '', bytesEach] = process.argv.slice(2)
const half = Number(bytesEach)
const memory = new BlockMemory()
await using file = await open(path, 'wx')
const direct = await DirectFile.open(path, file, 2 * half)
await write(0)
await file.datasync()
const startMs = performance.now()
await Promise.all([read(), write(half)])
await file.datasync()
process.stdout.write(JSON.stringify({ seconds: (performance.now() - startMs) / 1000 }))
await direct.close()

function blocksFrom(start: number): number[] {
  return Array.from({ length: half / BLOCK_BYTES }, (_, index) => start + index * BLOCK_BYTES)
}

async function write(start: number): Promise<void> {
  await inLanes(blocksFrom(start), WRITES_AT_ONCE, signal, async (position) => {
    const block = memory.take()!
    await direct.write([block.bytes], position)
    memory.giveBack(block)
  })
}

async function read(): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY | O_DIRECT)
  await inLanes(blocksFrom(0), READS_AT_ONCE, signal, async (position) => {
    const block = memory.take()!
    const { bytesRead } = await handle.read(block.bytes, 0, BLOCK_BYTES, position)
    if (bytesRead !== BLOCK_BYTES) throw new Error(`${bytesRead} bytes came at ${position}`)
    memory.giveBack(block)
  })
}

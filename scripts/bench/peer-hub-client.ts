/**
 * What one would write with `@huggingface/hub` in an afternoon: the peer of our polling and listing. Measured as a
 * process of its own: `peer-hub-client.ts <mode> <hub url> [folder]`. Prints `{"done":N}`: what it did without an error.
 */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { downloadFile, listFiles, listModels, modelInfo } from '@huggingface/hub'

const OWNER = 'Qwen'
const PARALLEL = 8

const [mode = '', hubUrl = '', folder = ''] = process.argv.slice(2)
let done = 0

switch (mode) {
  case 'poll':
    await poll()
    break
  case 'listings':
    await listings()
    break
  case 'download':
    await download()
    break
  default:
    throw new Error(`unknown mode ${mode}`)
}
console.log(JSON.stringify({ done }))

/** A mirror script in a loop: every model, then the head commit of each. */
async function poll(): Promise<void> {
  for await (const model of models()) {
    await attempt(() => modelInfo({ name: model.name, hubUrl, additionalFields: ['sha', 'cardData', 'tags'] }))
  }
}

/** The file list of every model, without any thought of the quota. */
async function listings(): Promise<void> {
  for await (const model of models()) {
    await attempt(async () => {
      for await (const _file of listFiles({ repo: model.name, recursive: true, hubUrl })) {
        // Reading is all.
      }
    })
  }
}

/** Every file of every model into a plain folder, eight at a time, with its SHA-256. */
async function download(): Promise<void> {
  for await (const model of models()) {
    const running = new Set<Promise<void>>()
    for await (const file of listFiles({ repo: model.name, recursive: true, hubUrl })) {
      if (file.type !== 'file') continue
      const task = attempt(() => fetchFile(model.name, file.path)).finally(() => running.delete(task))
      running.add(task)
      if (running.size >= PARALLEL) await Promise.race(running)
    }
    await Promise.all(running)
  }
}

async function fetchFile(repo: string, path: string): Promise<void> {
  const blob = await downloadFile({ repo, path, hubUrl })
  if (blob === null) throw new Error(`${repo} ${path} is not there`)
  const bytes = new Uint8Array(await blob.arrayBuffer())
  createHash('sha256').update(bytes).digest('hex')
  const target = join(folder, repo, path)
  await mkdir(dirname(target), { recursive: true })
  await writeFile(target, bytes)
}

/** Counts what worked; what did not is passed over, as a script that means well does. */
async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
    done += 1
  } catch {
    // The caller sees it in the count.
  }
}

/** Every model of the owner, as far as the listing goes: its second page may be refused, too. */
async function* models(): AsyncGenerator<{ readonly name: string }> {
  try {
    yield* listModels({ search: { owner: OWNER }, hubUrl })
  } catch {
    // The caller sees it in the count.
  }
}

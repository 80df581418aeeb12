// oxlint-disable unicorn/require-post-message-target-origin -- worker threads have no origins
import { parentPort, threadName, workerData, type MessagePort } from 'node:worker_threads'
import { ArchiveError, type ErrorCode } from '../domain/errors.ts'
import type { ContentKey } from '../domain/listing.ts'
import type { StoredSmall } from '../intake-port.ts'
import { IoChoice } from './batch-io.ts'
import { BatchCommitter, type BatchItem } from './commit-batch.ts'
import { Layout } from './layout.ts'
import type { ArenaRange } from './memory-arena.ts'

export const BATCH_THREAD = 'weightvault-batch'

/** What the thread is started with. */
export interface BatchThreadData {
  /** Folder of the archive. */
  readonly root: string
  /** Where the contents lie that batches name. */
  readonly memory: SharedArrayBuffer
}

/** A batch to be committed. The memory it names may not change before a reply says that it is proven, or what became of it. */
export interface BatchRequest {
  readonly id: number
  readonly items: readonly { readonly key: ContentKey; readonly range: ArenaRange }[]
}

/** An error on its way between threads, which would lose all but its message. */
export interface SentError {
  /** Of an ArchiveError. */
  readonly archiveCode: ErrorCode | undefined
  readonly message: string
  readonly stack: string | undefined
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>
  /** What the operating system said. */
  readonly cause:
    | { message: string; code?: string | undefined; errno?: number | undefined; syscall?: string | undefined }
    | undefined
}

/** What there is to say of a request; the last one has its results. */
export interface BatchReply {
  readonly id: number
  /** One for each item, in their order. Undefined: the files have the bytes, and the memory is free. */
  readonly results: readonly (StoredSmall | { readonly failed: SentError })[] | undefined
}

function serve(port: MessagePort, { root, memory }: BatchThreadData): void {
  const committer = new BatchCommitter(new Layout(root))
  const choice = new IoChoice()
  async function answer({ id, items }: BatchRequest): Promise<BatchReply> {
    const batch = items.map(({ key, range }): BatchItem => ({
      key,
      bytes: new Uint8Array(memory, range.offset, range.length),
    }))
    const results = await committer.commit(batch, choice.next(), () => reply({ id, results: undefined }))
    return { id, results: results.map((result) => (result instanceof Error ? { failed: sent(result) } : result)) }
  }
  function reply(news: BatchReply): void {
    port.postMessage(news)
  }
  port.on('message', (request: BatchRequest) => void answer(request).then(reply))
}

function sent(error: Error): SentError {
  const isOurs = error instanceof ArchiveError
  const cause = error.cause instanceof Error ? (error.cause as NodeJS.ErrnoException) : undefined
  return {
    archiveCode: isOurs ? error.code : undefined,
    message: error.message,
    stack: error.stack,
    hint: isOurs ? error.hint : undefined,
    details: isOurs ? error.details : {},
    cause: cause && { message: cause.message, code: cause.code, errno: cause.errno, syscall: cause.syscall },
  }
}

// The thread that asks imports this file, too.
if (parentPort !== null && threadName === BATCH_THREAD) serve(parentPort, workerData as BatchThreadData)

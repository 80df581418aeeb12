import { systemIo } from './batch-io.ts'
import type { BatchRequest } from './batch-thread.ts'
import { BatchCommitter, type BatchResult } from './commit-batch.ts'
import type { Layout } from './layout.ts'

/** Commits batches from the thread that asks; what may wait for the disk runs in the system's threads. */
export class BatchHere {
  readonly #committer: BatchCommitter
  readonly #memory: SharedArrayBuffer
  readonly #running = new Set<Promise<unknown>>()

  /** @param memory where the contents lie that batches name */
  constructor(layout: Layout, memory: SharedArrayBuffer) {
    this.#committer = new BatchCommitter(layout)
    this.#memory = memory
  }

  /** As `BatchWriter.commit`. */
  async commit(items: BatchRequest['items'], onProven: () => void): Promise<readonly BatchResult[]> {
    const batch = items.map(({ key, range: { offset, length } }) => ({
      key,
      bytes: new Uint8Array(this.#memory, offset, length),
    }))
    const committing = this.#committer.commit(batch, systemIo, onProven)
    this.#running.add(committing)
    try {
      return await committing
    } finally {
      this.#running.delete(committing)
    }
  }

  /** Resolves when nothing that was begun is under way. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running)
  }
}

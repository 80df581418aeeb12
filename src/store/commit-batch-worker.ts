// oxlint-disable unicorn/require-post-message-target-origin -- worker threads have no origins
import { parentPort, workerData } from 'node:worker_threads'
import { systemIo } from './batch-io.ts'
import { commitBatch, type BatchItem } from './commit-batch.ts'
import { Layout } from './layout.ts'

/** What the worker is started with. */
export interface BatchWorkerData {
  readonly root: string
  readonly memory: SharedArrayBuffer
}

const { root, memory } = workerData as BatchWorkerData
const context = {
  layout: new Layout(root),
  memory: new Uint8Array(memory),
  known: new Set<string>(),
  io: systemIo,
}

// One batch at a time: the other side waits for the answer before it sends the next.
parentPort?.on('message', (items: readonly BatchItem[]) => {
  void commitBatch(context, items).then((results) => parentPort?.postMessage(results))
})

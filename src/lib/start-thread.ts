import { flushCompileCache } from 'node:module'
import { Worker, type ResourceLimits } from 'node:worker_threads'

// Node strips types only outside node_modules, so the built package has each thread's file as .js.
const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/** What a thread is started with. */
export interface ThreadOptions {
  /** Its file without the extension. */
  readonly file: URL
  /** As it is shown by tools that list threads. */
  readonly name: string
  readonly workerData: unknown
  readonly resourceLimits?: ResourceLimits
}

/**
 * A thread that does not keep the process alive. Whoever starts it should import its file as well: what this thread has
 * compiled the new one takes from the cache. Without that a checkout's thread loads a compiler of its own, some 30 MB.
 */
export function startThread({ file, ...options }: ThreadOptions): Worker {
  flushCompileCache()
  // The flags of the main program (--test, --input-type, …) mean nothing to a worker, and some stop it.
  const worker = new Worker(new URL(`${file.href}${EXTENSION}`), { execArgv: [], ...options })
  worker.unref()
  return worker
}

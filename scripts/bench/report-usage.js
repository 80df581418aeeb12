// @ts-check
/**
 * Loaded with `--import` into a Node process that a benchmark measures: at its end it writes what it used (an OwnUsage) as
 * one JSON document to file descriptor 3. In the process itself, so that CPU and memory are its own and of all its
 * threads. JavaScript, for a TypeScript file would load Node's compiler into the process, some 25 MB.
 */
import { readFileSync, writeSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
    const usage = {
      cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
      peakRssBytes: highWaterMark() ?? maxRSS * 1024,
    }
    writeSync(3, JSON.stringify(usage))
  })
}

/** maxRSS also counts what the parent had before exec; the kernel's own mark of this address space does not. */
function highWaterMark() {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}

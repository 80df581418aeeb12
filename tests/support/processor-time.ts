/** Milliseconds of processor time that work takes in this thread. Other programs make it no longer, however busy the machine. */
export function processorMs(work: () => void): number {
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

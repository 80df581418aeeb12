/** A step and how long it took. */
export async function timed<T>(step: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const start = performance.now()
  const value = await step()
  return { ms: performance.now() - start, value }
}

/** Median and 99th percentile of times in milliseconds. */
export function quantiles(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(2)
  return `p50 ${at(0.5)}  p99 ${at(0.99)} ms`
}

/** Bytes for people, in decimal units and three digits: `999 B`, `1.23 GB`, `500 GB`. */
export function formatSize(bytes: number): string {
  if (!Number.isFinite(bytes)) return 'unknown'
  if (bytes < 0) return `-${formatSize(-bytes)}`
  const units = ['kB', 'MB', 'GB', 'TB', 'PB', 'EB']
  if (bytes < 999.5) return `${Math.round(bytes)} B`
  let value = bytes / 1000
  let step = 0
  // 999.5 and more would be rounded to four digits.
  while (value >= 999.5 && step < units.length - 1) {
    value /= 1000
    step += 1
  }
  return `${threeDigits(value)} ${units[step]}`
}

function threeDigits(value: number): string {
  if (value < 9.995) return value.toFixed(2)
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0)
}

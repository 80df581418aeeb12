import { acquireArchiveLock } from '../../src/db/archive-lock.ts'

/** Takes the lock of the archive named on the command line, says so, and holds it until it is killed. */
try {
  await acquireArchiveLock(process.argv[2]!)
  process.stdout.write('locked\n')
  process.stdin.resume()
} catch (error) {
  process.stdout.write(`refused ${(error as { code?: string }).code} ${(error as Error).message}\n`)
}

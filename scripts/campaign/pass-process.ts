/** `pass-process.ts <configuration> <folder>`: one pass in a process of its own, to be traced. Prints how it ended. */
import { writeSync } from 'node:fs'
import { onePass } from './one-pass.ts'

writeSync(1, `${(await onePass(process.argv[2]!, process.argv[3]!)) ?? 'complete'}\n`)

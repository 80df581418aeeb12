// One pass that is killed right before or after a call of the catalog: `killed-pass.ts FOLDER NOW_MS METHOD before|after`.
import { flushCompileCache } from 'node:module'
import type { Catalog } from '../../src/catalog-port.ts'
import { runPass } from '../../src/pipeline/run-pass.ts'
import { HurriedClock } from '../support/hurried-clock.ts'
import { openAt, RecordedProgress } from '../support/test-vault.ts'

const [folder = '', nowMs = '', method = '', when = ''] = process.argv.slice(2)

function killHere(): Promise<never> {
  process.kill(process.pid, 'SIGKILL')
  return new Promise(() => undefined)
}

/** The catalog, until the call. Its methods have private fields: they are called on the object itself. */
function killing(catalog: Catalog): Catalog {
  return new Proxy(catalog, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>
      if (key !== method) return call
      return async (...args: unknown[]) => {
        if (when === 'after') await call(...args)
        return killHere()
      }
    },
  })
}

await using archive = await openAt(folder, new HurriedClock(Number(nowMs)))
// Node does so at the end of a process, which this one does not reach.
flushCompileCache()
const options = { repos: [], checkOnly: false }
const wrapped = { ...archive, catalog: killing(archive.catalog) }
await runPass(wrapped, options, new RecordedProgress(), new AbortController().signal)

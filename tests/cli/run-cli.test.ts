import assert from 'node:assert/strict'
import { test } from 'node:test'
import { interruption, stopSignals } from '../../src/cli/stop-signals.ts'
import { openArchive } from '../../src/compose.ts'
import type { Catalog } from '../../src/catalog-port.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { CliFolder, type CallOptions } from './cli-harness.ts'

/** A real archive whose catalog has single methods replaced. */
function withCatalog(replaced: Partial<Catalog>): NonNullable<CallOptions['effects']> {
  return {
    openArchive: async (config, options) => {
      const archive = await openArchive(config, options)
      const catalog = new Proxy(archive.catalog, {
        get: (target, key) => {
          const method: unknown = Reflect.get(replaced, key) ?? Reflect.get(target, key)
          return typeof method === 'function' ? (method.bind(target) as unknown) : method
        },
      })
      return { ...archive, catalog }
    },
  }
}

async function archivedFolder(): Promise<CliFolder> {
  await using hub = await startSimHub()
  for (const name of ['A-1B', 'B-1B']) {
    hub.world.addRepo(`Qwen/${name}`, { card: { license: 'mit' }, files: [{ path: 'config.json', content: '{}\n' }] })
  }
  const folder = await CliFolder.watching(hub)
  await folder.call(['sync'])
  return folder
}

test('a bug is one line with the code INTERNAL, and its stack only with --log-level debug', async () => {
  await using folder = await archivedFolder()
  const effects = withCatalog({ totals: () => Promise.reject(new TypeError('secret of a bug')) })

  const plain = await folder.call(['status'], { effects })
  const debug = await folder.call(['status', '--log-level', 'debug'], { effects })

  assert.equal(plain.code, 1)
  assert.match(plain.err, /^error: secret of a bug\nhint: this is a bug.*\ncode: INTERNAL .*\n$/)
  assert.match(debug.err, /TypeError: secret of a bug\n +at /)
})

test('an error after half of a JSON document goes to stderr: stdout has one document at most', async () => {
  await using folder = await archivedFolder()
  const effects = withCatalog({ files: () => Promise.reject(new Error('disk gone')) })

  const whole = await folder.call(['show', 'Qwen/A-1B', '--json'], { effects })

  assert.equal(whole.code, 1)
  assert.equal((JSON.parse(whole.out + whole.err) as { error: { code: string } }).error.code, 'INTERNAL')

  let pages = 0
  const later = withCatalog({
    listRepos: async () => {
      pages += 1
      if (pages > 1) throw new Error('disk gone')
      return Array.from({ length: 200 }, () => row)
    },
  })
  const row = (await archivedRow(folder))!
  const half = await folder.call(['list', '--json'], { effects: later })

  assert.equal(half.code, 1)
  assert.match(half.out, /^\{\n"repos":\[/)
  assert.doesNotMatch(half.out, /"error"/)
  assert.match(half.err, /"error":\{"code":"INTERNAL"/)
})

async function archivedRow(folder: CliFolder): Promise<Awaited<ReturnType<Catalog['listRepos']>>[number] | undefined> {
  let rows: Awaited<ReturnType<Catalog['listRepos']>> = []
  await folder.call(['status'], {
    effects: {
      openArchive: async (config, options) => {
        const archive = await openArchive(config, options)
        rows = await archive.catalog.listRepos({}, { after: undefined, limit: 1, withSnapshots: true })
        return archive
      },
    },
  })
  return rows[0]
}

test('an interrupted command ends with 130 and says so', async () => {
  await using folder = await archivedFolder()
  const controller = new AbortController()
  controller.abort(interruption('SIGINT'))

  const people = await folder.call(['show', 'Qwen/A-1B', '--json'], { signal: controller.signal })

  assert.equal(people.code, 130)
  assert.equal((JSON.parse(people.out) as { error: { code: string } }).error.code, 'INTERRUPTED')
})

test('the archive is closed whatever happens', async () => {
  await using folder = await archivedFolder()
  let closed = 0
  const effects: NonNullable<CallOptions['effects']> = {
    openArchive: async (config, options) => {
      const archive = await openArchive(config, options)
      const close = async (): Promise<void> => {
        closed += 1
        await archive[Symbol.asyncDispose]()
      }
      return { ...archive, [Symbol.asyncDispose]: close }
    },
  }

  await folder.call(['list'], { effects })
  await folder.call(['show', 'Qwen/Nothing'], { effects })

  assert.equal(closed, 2)
})

test('stopSignals aborts at the first signal and ends the process at the second', () => {
  const listeners = new Map<string, () => void>()
  const exits: number[] = []
  const signal = stopSignals({
    on: (name, listener) => listeners.set(name, listener),
    exit: (code) => void exits.push(code),
  })

  listeners.get('SIGTERM')!()

  assert.equal(signal.aborted, true)
  assert.equal((signal.reason as { code: string }).code, 'INTERRUPTED')
  assert.deepEqual(exits, [])

  listeners.get('SIGTERM')!()
  listeners.get('SIGINT')!()

  assert.deepEqual(exits, [143, 130])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openArchive } from '../../src/compose.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import type { ChangeEvent } from '../../src/domain/events.ts'
import type { OpenedArchive } from '../../src/opened-archive.ts'
import { eventOf, quietLog, refOf } from '../db/catalog-fixtures.ts'
import { until } from '../support/until.ts'
import { CliFolder, closingStream } from './cli-harness.ts'

const never = new AbortController().signal

/** An archive that something writes to while commands read it. */
class WrittenArchive implements AsyncDisposable {
  readonly folder: CliFolder
  readonly #archive: OpenedArchive

  private constructor(folder: CliFolder, archive: OpenedArchive) {
    this.folder = folder
    this.#archive = archive
  }

  static async open(): Promise<WrittenArchive> {
    const folder = await CliFolder.make('archive: ./archive\nwatch: []\n')
    const { config } = await loadConfig({ flags: {}, env: {}, cwd: folder.path, homeDir: folder.path }, never)
    return new WrittenArchive(folder, await openArchive(config, { mode: 'write', log: quietLog, signal: never }))
  }

  async append(count: number, change: Partial<ChangeEvent> = {}): Promise<void> {
    await this.#archive.catalog.appendEvents(
      Array.from({ length: count }, () => eventOf(change.type ?? 'repo-updated', change)),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#archive[Symbol.asyncDispose]()
    await this.folder[Symbol.asyncDispose]()
  }
}

/** `events --follow --json …`, running. */
function follow(archive: WrittenArchive, ...words: string[]) {
  const stop = new AbortController()
  const pieces: string[] = []
  const stdout = closingStream(pieces, Infinity)
  const ended = archive.folder.call(['events', '--follow', '--json', ...words], {
    signal: stop.signal,
    effects: { stdout },
  })
  const seqs = (): number[] => pieces.map((line) => (JSON.parse(line) as { seq: number }).seq)
  const when = (count: number): Promise<boolean> => until(`${count} events shown`, () => pieces.length >= count)
  return { stop: () => stop.abort(), ended, pieces, seqs, when }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1)

test('events --follow shows every event once, in order, while others are being logged', async () => {
  await using archive = await WrittenArchive.open()
  await archive.append(1200)

  const following = follow(archive, '--since', '0')
  for (let round = 0; round < 20; round += 1) await archive.append(7)
  await following.when(1340)
  following.stop()

  assert.equal((await following.ended).code, 0)
  assert.deepEqual(following.seqs(), upTo(1340))
})

test('events --follow without --since starts with the last events, and --limit says how many', async () => {
  await using archive = await WrittenArchive.open()
  await archive.append(60)

  const usual = follow(archive)
  const few = follow(archive, '--limit', '3')
  await Promise.all([usual.when(50), few.when(3)])
  await archive.append(2)
  await Promise.all([usual.when(52), few.when(5)])
  usual.stop()
  few.stop()
  await Promise.all([usual.ended, few.ended])

  assert.deepEqual(usual.seqs(), upTo(62).slice(10))
  assert.deepEqual(few.seqs(), [58, 59, 60, 61, 62])
})

test('events --follow leaves out what the filters leave out, now and later, and each line is whole', async () => {
  await using archive = await WrittenArchive.open()
  const wanted = { type: 'license-changed', severity: 'critical', repo: refOf('Qwen/B') } as const
  await archive.append(2)
  await archive.append(1, wanted)

  const following = follow(archive, '--type', 'license-changed,repo-renamed', '--repo', 'qwen/b', '--min', 'warning')
  await following.when(1)
  await archive.append(600)
  await archive.append(1, { ...wanted, severity: 'notice' })
  await archive.append(1, { ...wanted, repo: refOf('Qwen/C') })
  await archive.append(1, { ...wanted, type: 'repo-renamed' })
  await following.when(2)
  following.stop()
  await following.ended

  assert.deepEqual(following.seqs(), [3, 606])
  assert.ok(following.pieces.every((piece) => piece.endsWith('}\n') && piece.indexOf('\n') === piece.length - 1))
})

test('events --follow that is interrupted before it has begun ends like one that has', async () => {
  await using archive = await WrittenArchive.open()
  const stop = new AbortController()
  stop.abort(new Error('stopped'))

  const called = await archive.folder.call(['events', '--follow', '--json'], { signal: stop.signal })

  assert.deepEqual([called.code, called.out, called.err], [0, '', ''])
})

test('events --follow ends quietly when its reader goes away', async () => {
  await using archive = await WrittenArchive.open()
  await archive.append(10)
  const pieces: string[] = []

  const called = await archive.folder.call(['events', '--follow'], { effects: { stdout: closingStream(pieces, 4) } })

  assert.deepEqual([called.code, called.err, pieces.length], [0, '', 4])
})

test('events reads a span: --since, --until, --limit and several types', async () => {
  await using archive = await WrittenArchive.open()
  await archive.append(10)
  await archive.append(2, { type: 'license-changed' })
  await archive.append(2, { type: 'repo-renamed' })
  const seqs = async (...words: string[]): Promise<number[]> =>
    (await archive.folder.json<{ events: { seq: number }[] }>('events', ...words)).events.map(({ seq }) => seq)

  assert.deepEqual(await seqs('--since', '3', '--until', '6'), [4, 5, 6])
  assert.deepEqual(await seqs('--until', '6', '--limit', '2'), [5, 6])
  assert.deepEqual(await seqs('--since', '3', '--limit', '2'), [4, 5])
  assert.deepEqual(await seqs('--type', 'license-changed,repo-renamed'), [11, 12, 13, 14])
  assert.deepEqual(await seqs('--type', 'repo-renamed', '--since', '13'), [14])
  assert.deepEqual(await seqs('--since', '14'), [])
})

test('events refuses filters that contradict each other', async () => {
  await using archive = await WrittenArchive.open()
  for (const words of [
    ['--follow', '--until', '3'],
    ['--follow', '--since', '1', '--limit', '2'],
    ['--type', 'license-changed,licence-changed'],
  ]) {
    assert.equal((await archive.folder.call(['events', ...words])).code, 2, words.join(' '))
  }
})

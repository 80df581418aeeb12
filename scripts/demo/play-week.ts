/**
 * Plays a week in a minute, offline: a simulated Hub on loopback with a scaled-down Qwen line-up, the real service
 * watching it, and one change after another. Ends with 0 only when the service noticed every one of them.
 */
import { rm, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { qwenLineUp } from '../../tests/support/content/line-up.ts'
import { quantiserLineUp } from '../../tests/support/content/quantiser-repos.ts'
import { startSimHub } from '../../tests/support/sim-hub/start-sim-hub.ts'
import { Vault } from './vault.ts'
import { WEEK, type Day } from './week.ts'

const REPOS = 14
/** Far more than any step needs on a slow machine: a step that takes longer has failed. */
const STEP_DEADLINE_MS = 90_000

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function heading(text: string): void {
  say(`\n${styleText(['bold', 'cyan'], text)}`)
}

async function main(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'weightvault-demo-'))
  const keep = process.argv.includes('--keep')
  await using hub = await startSimHub({ linkLifeSeconds: 60 })
  for (const repo of [...qwenLineUp({ repos: REPOS }), ...quantiserLineUp()]) hub.world.addRepo(repo.id, repo)
  await writeFile(join(folder, 'weightvault.yaml'), demoConfig(hub.url))
  heading('weightvault demo: a week in a minute')
  say(`A simulated Hub with ${REPOS} real Qwen repositories (weights scaled down) listens at ${hub.url}.`)
  say('The real service watches it. Nothing leaves this machine.')
  say('The stand-in weights differ from the published ones on purpose; remarks about that are not shown.')
  await using vault = await Vault.start(folder, sayOfService)
  try {
    return await play(hub, vault)
  } finally {
    await vault.stop()
    if (keep) say(`The archive is kept in ${folder}`)
    else {
      await rm(folder, { recursive: true, force: true })
      say('`npm run demo -- --keep` keeps the archive to look at.')
    }
  }
}

function sayOfService(line: string): void {
  if (!line.includes('differs from an independent record')) say(`  ${styleText('dim', '|')} ${line}`)
}

async function play(hub: Awaited<ReturnType<typeof startSimHub>>, vault: Vault): Promise<number> {
  heading('Monday: the first pass archives everything')
  await vault.waitUntilIdle(STEP_DEADLINE_MS)
  const results: { day: Day; noticed: string | undefined }[] = []
  for (const day of WEEK) {
    heading(`${day.name}: ${day.what}`)
    const since = await vault.lastSeq()
    const servedBefore = hub.bytesServed()
    day.change(hub.world)
    const noticed = await vault.waitForEvents(since, day.expect, STEP_DEADLINE_MS)
    if (noticed !== undefined) await vault.waitUntilIdle(STEP_DEADLINE_MS)
    results.push({ day, noticed })
    say(`  ${hub.bytesServed() - servedBefore} bytes of files were fetched for it.`)
  }
  heading('What the archive holds now')
  say(await vault.run(['list', '--limit', '20']))
  heading('Every byte re-hashed, offline')
  await vault.stop()
  say(await vault.run(['verify']))
  heading('The week in one table')
  for (const { day, noticed } of results) {
    const mark = noticed === undefined ? styleText('red', 'NOT NOTICED') : styleText('green', 'noticed')
    say(`  ${day.name.padEnd(10)} ${day.what.padEnd(58)} ${mark}  ${noticed ?? day.expect.join(', ')}`)
  }
  return results.every((result) => result.noticed !== undefined) ? 0 : 1
}

function demoConfig(hubUrl: string): string {
  return [
    'archive: ./archive',
    'hub:',
    `  endpoint: ${hubUrl}`,
    '  confirm_loss: { misses: 3, over: 0s }',
    'budget: { total: 2GB, reserve: 100MB }',
    'watch:',
    '  - { org: Qwen, every: 1s }',
    '  - { user: unsloth, match: "Qwen3*-GGUF", every: 1s, keep: { quants: [UD-Q4_K_XL] } }',
    'license: { allow: [apache-2.0, mit, qwen, qwen-research, tongyi-qianwen] }',
    'serve: { dashboard: off, mirror: off }',
    '',
  ].join('\n')
}

process.exitCode = await main()

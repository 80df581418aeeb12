/** `npm run campaign [PART…] [--seed N] [--count N] [--only TEXT]`: the fault campaign, or some of its parts. */
import { readCampaignOptions, type CampaignPart } from './campaign-options.ts'
import { playDiskFull } from './disk-full.ts'
import { playKills } from './kills.ts'
import { playNetwork } from './network.ts'
import { playStorms } from './storms.ts'
import { playSyscalls } from './syscalls.ts'

const PARTS: ReadonlyMap<string, CampaignPart> = new Map([
  ['network', playNetwork],
  ['storms', playStorms],
  ['kills', playKills],
  ['disk-full', playDiskFull],
  ['syscalls', playSyscalls],
])

const { parts, options } = readCampaignOptions(process.argv.slice(2))
const unknown = parts.filter((part) => !PARTS.has(part))
if (unknown.length > 0) {
  console.error(`unknown part ${unknown.join(', ')}; there are ${[...PARTS.keys()].join(', ')}`)
  process.exit(2)
}
for (const [name, part] of PARTS) {
  if (parts.length > 0 && !parts.includes(name)) continue
  const started = performance.now()
  const { summary, failures, notDone } = await part(options)
  const seconds = Math.round((performance.now() - started) / 1000)
  console.log(
    `${name}: ${notDone === undefined ? summary : `NOT DONE: ${notDone}`} (seed ${options.seed}, ${seconds} s)`,
  )
  for (const failure of failures) console.log(failure)
  if (failures.length > 0) process.exitCode = 1
}

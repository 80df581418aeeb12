import { seededRandom, shuffled } from '../../tests/support/sim-hub/random.ts'
import { failureLine, type CampaignOptions, type CampaignResult } from './campaign-options.ts'
import { networkScenarios, type NetworkScenario } from './network-faults.ts'
import { playScenario, sceneFacts } from './play-scenario.ts'
import { BAD_SOURCES, playTwoSources } from './two-sources.ts'

/** Scenes at once: the fast ones want the processor, the slow ones wait for a deadline. */
const FAST_AT_ONCE = 3

/**
 * Plays the catalogue of network faults, or a sample of it.
 * `count`: how many of the fast scenarios; the slow ones are played by all or nothing, at the same time.
 */
export async function playNetwork(options: CampaignOptions): Promise<CampaignResult> {
  const all = networkScenarios(sceneFacts()).filter(({ name }) => name.includes(options.only ?? ''))
  const fast = shuffled(
    all.filter(({ isSlow }) => !isSlow),
    seededRandom(options.seed),
  ).slice(0, options.count)
  const slow = all.filter(({ isSlow }) => isSlow)
  const failures: string[] = []
  const play = async (queue: NetworkScenario[]): Promise<void> => {
    for (let scenario = queue.pop(); scenario !== undefined; scenario = queue.pop()) {
      const { name } = scenario
      await playScenario((facts) => networkScenarios(facts).find((one) => one.name === name)!).catch(
        (error: unknown) => {
          failures.push(failureLine(name, error, `network --only ${JSON.stringify(name)}`))
        },
      )
    }
  }
  const queue = [...fast]
  await Promise.all([...slow.map((one) => play([one])), ...Array.from({ length: FAST_AT_ONCE }, () => play(queue))])
  const sources = BAD_SOURCES.filter(({ name }) => name.includes(options.only ?? ''))
  for (const source of sources) {
    await playTwoSources(source).catch((error: unknown) => {
      const { name } = source
      failures.push(failureLine(`a source that ${name}`, error, `network --only ${JSON.stringify(name)}`))
    })
  }
  const summary = `${fast.length + slow.length} of ${all.length} network scenarios and ${sources.length} bad sources played, ${failures.length} failed`
  return { summary, failures }
}

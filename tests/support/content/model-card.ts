import { parse, stringify } from 'yaml'
import { apacheLicense } from './apache-license.ts'
import { fixtureText } from './fixture-file.ts'
import type { RepoFacts } from './repo-facts.ts'

/** What a recorded model card says of its repo. */
interface RecordedCard {
  readonly repo: string
  readonly license_file?: boolean
  readonly front_matter: Record<string, unknown>
}

/** Licence text by the `license_name` of the card; the texts that nobody here holds are marked as missing. */
const LICENSE_TEXTS = new Map([
  ['tongyi-qianwen', 'licenses/tongyi-qianwen-2023-08-03.txt'],
  ['tongyi-qianwen-license-agreement', 'licenses/tongyi-qianwen-2023-08-03.txt'],
  ['qwen', 'licenses/qwen-2024-09-19.txt'],
  ['qwen-research', 'licenses/qwen-research-2024-09-19.txt'],
])

/** Families whose text is another than the one held under the same `license_name`. */
const OTHER_TEXT = new Map([['Qwen-Image-2.1', 'Qwen RESEARCH LICENSE AGREEMENT of 2026-09-20']])

const recordedCards = new Map(
  (parse(fixtureText('qwen/model-cards.yaml')) as RecordedCard[]).map((card) => [card.repo, card]),
)

/** `cardData` of the repo: the recorded front matter where there is one, else what its facts say. */
export function cardOf(facts: RepoFacts): Record<string, unknown> {
  const card = new Map<string, unknown>()
  const licenseName = /^other \((.+)\)$/.exec(facts.license)?.[1]
  if (facts.license) card.set('license', licenseName ? 'other' : facts.license)
  if (licenseName) {
    card.set('license_name', licenseName)
    card.set('license_link', `https://huggingface.co/${facts.id}/blob/main/LICENSE`)
  }
  const pipelineTag = pipelineTagOf(facts)
  card.set('pipeline_tag', pipelineTag)
  card.set('library_name', pipelineTag === 'text-to-image' ? 'diffusers' : 'transformers')
  if (facts.base) card.set('base_model', [facts.base])
  return { ...Object.fromEntries(card), ...recordedCards.get(facts.id)?.front_matter }
}

/** README.md: the card as front matter and a text that says what the repo is. */
export function readmeOf(name: string, card: Record<string, unknown>): string {
  const text = 'Stand-in of the weightvault tests: the names are those of the real repository, the weights are not.'
  return `---\n${stringify(card)}---\n\n# ${name}\n\n${text}\n`
}

/** Text of LICENSE; `undefined` for a repo that has no such file, or no known licence. */
export function licenseTextOf(facts: RepoFacts, card: Record<string, unknown>): string | undefined {
  if (recordedCards.get(facts.id)?.license_file === false) return undefined
  if (card['license'] === 'apache-2.0') return apacheLicense()
  const name = card['license_name']
  if (typeof name !== 'string') return undefined
  const path = LICENSE_TEXTS.get(name)
  const other = OTHER_TEXT.get(facts.family)
  if (path && !other) return fixtureText(path)
  return `${other ?? name}\n\nStand-in of the weightvault tests: the text of this licence is not held here.\n`
}

/** Ends of families and names, and the task that models so called are for; the first that fits counts. */
const PIPELINES: readonly (readonly [RegExp, string])[] = [
  [/Qwen-Image-2\.1-PE/, 'image-text-to-text'],
  [/Qwen-Image/, 'text-to-image'],
  [/VL-Embedding/, 'feature-extraction'],
  [/Embedding/, 'feature-extraction'],
  [/Reranker/, 'text-ranking'],
  [/ASR/, 'automatic-speech-recognition'],
  [/TTS/, 'text-to-speech'],
  [/Omni/, 'any-to-any'],
  [/Audio/, 'audio-text-to-text'],
  [/-(?:RM|PRM)-/, 'text-classification'],
  [/VL|QVQ|Qwen3\.[568]|Drive/, 'image-text-to-text'],
]

function pipelineTagOf(facts: RepoFacts): string {
  return PIPELINES.find(([pattern]) => pattern.test(facts.name))?.[1] ?? 'text-generation'
}

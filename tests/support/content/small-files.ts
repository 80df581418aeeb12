import { fixtureBytes } from './fixture-file.ts'
import { generated } from './generated.ts'
import type { Content } from './content.ts'
import { chosenBy } from './repo-facts.ts'
import type { RepoFacts } from './repo-facts.ts'
import { CHAT_TEMPLATE, STAND_IN } from './weight-files.ts'

/** `model_type` and architecture by the repo's name; the first pattern that fits counts. */
const MODEL_TYPES: readonly (readonly [RegExp, string, string])[] = [
  [/^Qwen3\.[568].*-A\d+B/, 'qwen3_5_moe', 'Qwen3_5MoeForConditionalGeneration'],
  [/^Qwen3\.[568]/, 'qwen3_5', 'Qwen3_5ForConditionalGeneration'],
  [/^Qwen3-VL.*-A\d+B/, 'qwen3_vl_moe', 'Qwen3VLMoeForConditionalGeneration'],
  [/^Qwen3-VL/, 'qwen3_vl', 'Qwen3VLForConditionalGeneration'],
  [/^Qwen3-(?:Coder-)?Next/, 'qwen3_next', 'Qwen3NextForCausalLM'],
  [/^Qwen3-Omni/, 'qwen3_omni_moe', 'Qwen3OmniMoeForConditionalGeneration'],
  [/^Qwen3-.*-A\d+B/, 'qwen3_moe', 'Qwen3MoeForCausalLM'],
  [/^Qwen3/, 'qwen3', 'Qwen3ForCausalLM'],
  [/^Qwen2\.5-VL/, 'qwen2_5_vl', 'Qwen2_5_VLForConditionalGeneration'],
  [/^(?:Qwen2-VL|QVQ)/, 'qwen2_vl', 'Qwen2VLForConditionalGeneration'],
  [/^Qwen-/, 'qwen', 'QWenLMHeadModel'],
]

/** `model_type` of config.json; also a tag of the repo. */
export function modelTypeOf(facts: RepoFacts): string {
  return modelOf(facts.name)[1]
}

/** The small files, but for README.md and LICENSE, that a repo of this kind has. */
export function smallPaths(facts: RepoFacts, pipelineTag: unknown): string[] {
  if (facts.isGguf) return ['.gitattributes']
  if (pipelineTag === 'text-to-image') {
    return ['.gitattributes', 'model_index.json', 'scheduler/scheduler_config.json', 'tokenizer/tokenizer_config.json']
  }
  const paths = ['.gitattributes', 'config.json', 'generation_config.json', 'tokenizer_config.json']
  if (facts.family === 'Qwen') return [...paths, 'modeling_qwen.py', 'tokenization_qwen.py', 'qwen.tiktoken']
  paths.push('merges.txt', 'tokenizer.json', 'vocab.json')
  if (pipelineTag === 'image-text-to-text') paths.push('preprocessor_config.json', 'video_preprocessor_config.json')
  if (/Qwen3\.[568]/.test(facts.family)) paths.push('chat_template.jinja')
  return paths
}

/**
 * The bytes of a small file. Tokenizer files are the same in all repos of a family, as on the Hub; everything but
 * `.gitattributes` is a stand-in and says so where its format has room for it.
 */
export function smallFile(path: string, facts: RepoFacts): Content | Buffer | string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (name === '.gitattributes') return fixtureBytes('qwen/qwen3-0.6b/gitattributes.txt')
  if (name === 'config.json') return configOf(facts)
  if (name === 'chat_template.jinja') return CHAT_TEMPLATE
  if (name === 'merges.txt') return `#version: 0.2\n${pairs(facts.family).join('\n')}\n`
  if (name === 'vocab.json') return JSON.stringify(vocabulary(facts.family))
  if (name === 'tokenizer.json') return tokenizerOf(facts.family)
  if (name === 'qwen.tiktoken') return generated(`${facts.family} tiktoken`, 4096)
  if (name.endsWith('.py')) return `# ${STAND_IN}\nraise ImportError('not the real file')\n`
  return jsonText({ weightvault: STAND_IN, file: name, model_type: modelTypeOf(facts) })
}

function configOf(facts: RepoFacts): string {
  const [, modelType, architecture] = modelOf(facts.name)
  return jsonText({
    architectures: [architecture],
    model_type: modelType,
    num_parameters: facts.parameters,
    torch_dtype: 'bfloat16',
    transformers_version: '4.51.0',
    weightvault: STAND_IN,
  })
}

function tokenizerOf(family: string): string {
  const model = { type: 'BPE', vocab: vocabulary(family), merges: pairs(family).map((pair) => pair.split(' ')) }
  return jsonText({ version: '1.0', weightvault: STAND_IN, model })
}

function vocabulary(family: string): Record<string, number> {
  const tokens = new Set(pairs(family).flatMap((pair) => [...pair.split(' '), pair.replace(' ', '')]))
  return Object.fromEntries([...tokens].map((token, id) => [token, id]))
}

/** Merges of two letters each that differ from family to family: `q w`, `e n` … */
function pairs(family: string): string[] {
  const letter = (key: string): string => String.fromCharCode(97 + chosenBy(`${family} ${key}`, 26))
  const all = Array.from({ length: 60 }, (_, index) => `${letter(`left ${index}`)} ${letter(`right ${index}`)}`)
  return [...new Set(all)]
}

function modelOf(name: string): readonly [RegExp, string, string] {
  return MODEL_TYPES.find(([pattern]) => pattern.test(name)) ?? [/^/, 'qwen2', 'Qwen2ForCausalLM']
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

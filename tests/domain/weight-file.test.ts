import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  foldersWithShardIndex,
  isSmallFile,
  quantOf,
  shardSetOf,
  SMALL_FILE_MAX_BYTES,
  weightFormatOf,
} from '../../src/domain/weight-file.ts'
import { fixtureRows } from '../support/content/fixture-file.ts'
import { processorMs } from '../support/processor-time.ts'

const QUANTS: readonly (readonly [string, string | undefined])[] = [
  ['config.json', undefined],
  ['model-q4_k_m.safetensors', undefined],
  ['Q4_K_M', undefined],
  ['model.gguf', undefined],
  ['Qwen3-4B.gguf', undefined],
  ['Qwen3-Q9_X-experiment.gguf', undefined],
  ['mmproj-F16.gguf', undefined],
  ['BF16/mmproj-BF16.gguf', undefined],
  ['mmproj-Qwen3VL-2B-Instruct-Q8_0.gguf', undefined],
  ['Qwen2.5-VL-7B-Instruct-mmproj-f16.gguf', undefined],
  ['Qwen3-VL-8B.mmproj-Q8_0.gguf', undefined],
  ['Qwen3-8B.imatrix.gguf', undefined],
  ['imatrix-Q8_0.gguf', undefined],
  ['qwen2.5-0.5b-instruct-q4_k_m.gguf', 'Q4_K_M'],
  ['qwen2-0_5b-instruct-fp16.gguf', 'FP16'],
  ['codeqwen-1_5-7b-chat-q4_0.gguf', 'Q4_0'],
  ['Qwen3-0.6B-Q8_0.gguf', 'Q8_0'],
  ['Qwen3-Q4-experiment.gguf', 'Q4'],
  ['Qwen3.8-27B-UD-Q4_K_XL.gguf', 'UD-Q4_K_XL'],
  ['Qwen3.5-9B-IQ2_XXS.gguf', 'IQ2_XXS'],
  ['Qwen3.5-9B-UD-IQ1_S.gguf', 'UD-IQ1_S'],
  ['Qwen3-8B.i1-Q4_K_M.gguf', 'Q4_K_M'],
  ['Qwen3-8B.Q6_K.gguf', 'Q6_K'],
  ['Qwen3-8B-Q4_0_4_4.gguf', 'Q4_0_4_4'],
  ['Qwen3VL-2B-Instruct-F16.gguf', 'F16'],
  ['Qwen3.5-9B-MXFP4_MOE.gguf', 'MXFP4_MOE'],
  ['Qwen3-TQ1_0.GGUF', 'TQ1_0'],
  ['Qwen3-235B-A22B-Instruct-2507-Q3_K_L-00001-of-00003.gguf', 'Q3_K_L'],
  ['UD-Q5_K_M/Qwen3-Coder-Next-UD-Q5_K_M-00001-of-00003.gguf', 'UD-Q5_K_M'],
  ['BF16/Qwen3.5-9B-BF16-00001-of-00002.gguf', 'BF16'],
  ['Q8_0/part-00001-of-00003.gguf', 'Q8_0'],
  // The name decides before its folder.
  ['Q8_0/model-Q4_K_M.gguf', 'Q4_K_M'],
]

test('quantOf reads the quantisation from the names that publishers use', () => {
  for (const [path, quant] of QUANTS) assert.equal(quantOf(path), quant, path)
})

test('quantOf finds one for every recorded GGUF file that is no projector', () => {
  const rows = [...fixtureRows('qwen/converted-files.csv'), ...fixtureRows('qwen/qwen-files.csv')]
  const paths = rows.map((row) => row.get('path') ?? '').filter((path) => path.endsWith('.gguf'))

  for (const path of paths) assert.equal(quantOf(path) === undefined, path.includes('mmproj'), path)
  assert.ok(paths.length > 140)
})

test('quantOf takes time in proportion to a name', () => {
  for (const piece of ['Q4_', 'Q4_K', '-', '.', '_A', 'UD-', 'I', '/', 'mmproj']) {
    const name = `${piece.repeat(1_000_000 / piece.length)}.gguf`

    const ms = processorMs(() => [quantOf(name), quantOf(`Q4${name}`)])

    // Quadratic work on a megabyte would take minutes.
    assert.ok(ms < 10_000, `${piece}: ${ms} ms`)
  }
})

test('weightFormatOf tells weights by their ending and everything else by its size', () => {
  const of = (path: string, size: number) => weightFormatOf({ path, size })

  assert.equal(of('README.md', SMALL_FILE_MAX_BYTES), undefined)
  assert.equal(of('README.md', SMALL_FILE_MAX_BYTES + 1), 'other')
  assert.equal(of('tokenizer.json', 12_807_982), undefined)
  assert.equal(of('model.safetensors.index.json', 90_000), undefined)
  assert.equal(of('model.safetensors', 0), 'safetensors')
  assert.equal(of('a/b/X.GGUF', 10), 'gguf')
  assert.equal(of('pytorch_model.bin', 10), 'bin')
  assert.equal(of('safetensors', 10), undefined)
  assert.equal(of('model.safetensors/readme', 10), undefined)
  assert.equal(of('Qwen3-235B.Q8_0.gguf.part1of5', 5e10), 'other')
  assert.ok(isSmallFile({ path: 'LICENSE', size: 0 }))
  assert.ok(!isSmallFile({ path: 'x.onnx', size: 0 }))
})

test('shardSetOf puts each of the shard patterns of the Qwen organisation into one set', () => {
  const none = new Set<string>()
  const sets = (paths: readonly string[], indexed: ReadonlySet<string> = none) =>
    new Set(paths.map((path) => shardSetOf(path, indexed)))
  const numbered = (count: number, name: (number: string) => string) =>
    Array.from({ length: count }, (_, index) => name(String(index + 1).padStart(5, '0')))

  assert.equal(sets(numbered(94, (n) => `model.safetensors-${n}-of-00094.safetensors`)).size, 1)
  assert.equal(sets(numbered(26, (n) => `model-${n}-of-00026.safetensors`)).size, 1)
  assert.equal(sets(numbered(8, (n) => `pytorch_model-${n}-of-00008.bin`)).size, 1)
  assert.equal(sets(numbered(6, (n) => `Q4_K_M/Qwen3.5-397B-A17B-Q4_K_M-${n}-of-00006.gguf`)).size, 1)
  const layers = [...Array.from({ length: 64 }, (_, n) => `layers-${n}.safetensors`), 'mtp.safetensors']
  const root = foldersWithShardIndex([...layers, 'model.safetensors.index.json'])
  assert.deepEqual([...sets([...layers, 'outside.safetensors'], root)], ['*.safetensors'])
  const image = foldersWithShardIndex(['transformer/diffusion_pytorch_model.safetensors.index.json'])
  assert.equal(shardSetOf('transformer/x.safetensors', image), 'transformer/*.safetensors')
})

test('shardSetOf keeps sets apart and leaves single files alone', () => {
  const none = new Set<string>()

  assert.equal(shardSetOf('model.safetensors', none), undefined)
  assert.equal(shardSetOf('layers-0.safetensors', none), undefined)
  assert.equal(shardSetOf('a/model.safetensors', new Set([''])), undefined)
  assert.equal(shardSetOf('best-of-00002.gguf', none), undefined)
  assert.equal(shardSetOf('m-0001-of-00002.gguf', none), undefined)
  assert.equal(shardSetOf('m-00001-of-2.gguf', none), undefined)
  assert.equal(shardSetOf('-of-00002.gguf', none), undefined)
  const keys = [
    'A-Q4_K_M-00001-of-00002.gguf',
    'A-Q8_0-00001-of-00002.gguf',
    'A-Q8_0-00001-of-00003.gguf',
    'b/A-Q8_0-00001-of-00003.gguf',
    'model-00001-of-00002.bin',
    'model-00001-of-00002.safetensors',
  ].map((path) => shardSetOf(path, none))
  assert.equal(new Set(keys).size, keys.length)
  assert.ok(!keys.includes(undefined))
})

test('foldersWithShardIndex names the folders that hold an index', () => {
  assert.deepEqual(
    [
      ...foldersWithShardIndex([
        'model.safetensors.index.json',
        'a/b/x.safetensors.index.json',
        'pytorch.bin.index.json',
      ]),
    ],
    ['', 'a/b/'],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventSentence } from '../../src/domain/event-sentence.ts'
import { generated } from '../support/content/generated.ts'
import { gguf, type GgufTensor } from '../support/content/gguf.ts'
import { safetensors } from '../support/content/safetensors.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import { DEFAULT_YAML, TestVault } from '../support/test-vault.ts'

const TENSORS: GgufTensor[] = [{ name: 'token_embd.weight', type: 'Q4_K', shape: [256, 700] }]
/** Longer than the first range. */
const WORDS = Array.from({ length: 40_000 }, (_, at) => `word number ${at}`)

function quantised(chatTemplate: string, seed = 1) {
  const metadata = new Map([['tokenizer.ggml.tokens', WORDS] as const])
  const content = gguf({ architecture: 'qwen3', quant: 'Q4_K_M', tensors: TENSORS, chatTemplate, metadata, seed })
  return { path: 'M-Q4_K_M.gguf', content, lfs: true }
}

for (const [kind, yaml] of [
  ['held', DEFAULT_YAML],
  ['only listed', `${DEFAULT_YAML.trimEnd().replace('every: 1s', 'every: 1s, keep: { files: metadata }')}\n`],
] as const) {
  test(`a replaced GGUF whose old bytes are ${kind} says that its chat template changed`, async () => {
    await using hub = await startSimHub()
    hub.world.addRepo('Qwen/A-GGUF', { files: [quantised('{{ old }}')] })
    await using vault = await TestVault.open(hub, yaml)
    await vault.sync()
    hub.world.commit('Qwen/A-GGUF', { set: [quantised('{{ new }}')] })
    await vault.sync()

    const [event] = await vault.eventsOf('files-replaced')
    assert.deepEqual(event?.detail['what'], ['chat template changed'])
    assert.match(event === undefined ? '' : eventSentence(event), /M-Q4_K_M\.gguf — chat template changed \(/)
    const [file] = (event?.detail['headers'] ?? []) as { path: string; metadata: unknown }[]
    assert.equal(file?.path, 'M-Q4_K_M.gguf')
    assert.deepEqual(file?.metadata, [{ key: 'tokenizer.chat_template', before: '{{ old }}', after: '{{ new }}' }])
  })
}

test('a server that ignores ranges is read to the end of the header and no further', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-GGUF', { files: [quantised('{{ old }}')] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.commit('Qwen/A-GGUF', { set: [quantised('{{ new }}')] })
  hub.faults.add({ origin: 'cdn', ignoreRange: true })
  await vault.sync({ checkOnly: true })

  const [event] = await vault.eventsOf('files-replaced')
  assert.deepEqual(event?.detail['what'], ['chat template changed'])
})

test('a replaced shard says which tensors are new, and equal headers that only values changed', async () => {
  await using hub = await startSimHub()
  const tensor = { name: 'a', dtype: 'BF16', shape: [64, 64] } as const
  const one = (tensors: Parameters<typeof safetensors>[0]['tensors'], seed: number) => ({
    path: 'model.safetensors',
    content: safetensors({ tensors, seed }),
    lfs: true,
  })
  hub.world.addRepo('Qwen/A-1B', { files: [one([tensor], 1)] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.commit('Qwen/A-1B', { set: [one([tensor], 2)] })
  await vault.sync()
  hub.world.commit('Qwen/A-1B', { set: [one([tensor, { ...tensor, name: 'b' }], 2)] })
  await vault.sync()

  assert.deepEqual(
    (await vault.eventsOf('files-replaced')).map((event) => event.detail['what']),
    [['the header is the same: only values of tensors changed'], ['1 tensor added']],
  )
})

test('weights that are no such file are replaced without a word about their headers', async () => {
  await using hub = await startSimHub()
  const noise = (seed: string) => ({ path: 'M-Q8_0.gguf', content: generated(seed, 50_000), lfs: true })
  hub.world.addRepo('Qwen/A-GGUF', { files: [noise('a')] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  hub.world.commit('Qwen/A-GGUF', { set: [noise('b')] })
  await vault.sync()

  const [event] = await vault.eventsOf('files-replaced')
  assert.equal(event?.detail['what'], undefined)
})

test('a listing is stored although the headers cannot be read', async () => {
  await using hub = await startSimHub()
  hub.world.addRepo('Qwen/A-GGUF', { files: [quantised('{{ old }}')] })
  await using vault = await TestVault.open(hub)
  await vault.sync()
  const commit = hub.world.commit('Qwen/A-GGUF', { set: [quantised('{{ new }}')] })
  const fails = () => Promise.reject(new Error('planted'))
  vault.archive = { ...vault.archive, hub: { ...vault.archive.hub, resolveFile: fails } }
  await vault.sync({ checkOnly: true })

  assert.equal((await vault.eventsOf('files-replaced')).length, 1)
  assert.ok((await vault.archive.records.readListing('Qwen/A-GGUF' as never, commit as never)) !== undefined)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entryRank } from '../../src/domain/entry-file.ts'

test('what programs open first ranks last, in whatever folder it is', () => {
  const ranks = {
    'config.json': 2,
    'text_encoder/config.json': 2,
    'model_index.json': 2,
    'adapter_config.json': 2,
    'model.safetensors.index.json': 1,
    'model.safetensors.index.fp16.json': 1,
    'pytorch_model.bin.index.json': 1,
    'UD-Q4/model-00001-of-00010.gguf': 1,
    'UD-Q4/model-00010-of-00010.gguf': 0,
    'model-00021-of-00030.safetensors': 0,
    'my-config.json': 0,
    'config.json/other.txt': 0,
    'index.json': 0,
    'README.md': 0,
  }
  for (const [path, rank] of Object.entries(ranks)) assert.equal(entryRank(path), rank, path)
})

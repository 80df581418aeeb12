import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apacheLicense } from '../support/content/apache-license.ts'
import { gitOidOf, lfsPointer, sha256Of } from '../support/content/digests.ts'
import { literal } from '../support/content/generated.ts'
import { installedSources, publishedQwen3Files, qwen3Files, rebuildQwen3 } from '../support/content/qwen3-revision.ts'

test('rebuildQwen3 names every file that is not byte for byte the published one', () => {
  const sources = installedSources()
  const tokenizer = Buffer.from(sources.tokenizer)
  // One token gets the text of another: other bytes in tokenizer.json and in vocab.json.
  const at = tokenizer.indexOf('"!": 0')
  assert.ok(at > 0)
  tokenizer[at + 1] = 0x24

  assert.throws(
    () => rebuildQwen3({ tokenizer, license: apacheLicense('Copyright 2023 Alibaba Cloud') }),
    (error: Error) => {
      assert.match(error.message, /LICENSE has SHA-256 \w+, published is 832dd9e0/)
      assert.match(error.message, /LICENSE has git id \w+, published is 6634c8cc/)
      assert.match(error.message, /tokenizer\.json has SHA-256 \w+, published is aeb13307/)
      assert.match(error.message, /vocab\.json has /)
      assert.doesNotMatch(error.message, /config\.json/)
      return true
    },
  )
})

test('qwen3Files rebuilds eight of the ten published files of Qwen/Qwen3-0.6B', () => {
  const files = qwen3Files()

  const missing = publishedQwen3Files().filter((file) => !files.has(file.path))
  assert.deepEqual(
    missing.map((file) => file.path),
    ['README.md', 'model.safetensors'],
  )
  for (const file of publishedQwen3Files()) {
    const content = files.get(file.path)
    if (!content) continue
    assert.equal(content.size, file.size, file.path)
    assert.equal(sha256Of(content), file.sha256, file.path)
    if (file.lfs) assert.equal(file.path, 'tokenizer.json')
    else assert.equal(gitOidOf(content), file.gitOid, file.path)
  }
})

test('tokenizer.json of Qwen3 has the pointer id that the Hub lists for it', () => {
  const file = publishedQwen3Files().find(({ path }) => path === 'tokenizer.json')
  assert.ok(file?.sha256)

  // As listed for processor/tokenizer.json of Qwen/Qwen-Image-2.1, the same bytes.
  assert.equal(gitOidOf(literal(lfsPointer(file.sha256, file.size))), 'cd71f61a15a522601badb3dc960d800d9cb3766c')
})

test('apacheLicense keeps the bytes apart that the Hub keeps apart', () => {
  assert.equal(Buffer.byteLength(apacheLicense()), 11_343)
  assert.notEqual(apacheLicense(), apacheLicense('Copyright 2025 Alibaba Cloud'))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManifestDraft, printManifest, type Manifest, type ManifestFile } from '../../src/domain/manifest.ts'

function manifestOf(count: number): Manifest {
  const files = Array.from({ length: count }, (_, at) => ({
    path: `part-${at}.json`,
    size: at,
    sha256: null,
    gitOid: null,
    held: false,
    reason: 'not-wanted',
    attestedBy: [],
  }))
  return {
    format: 'weightvault-manifest/1',
    repo: { type: 'model', name: 'Qwen/A', hubId: '0'.repeat(24) },
    commit: '1'.repeat(40),
    revision: 1,
    endpoint: 'https://hub.example',
    sealedAt: '2026-11-01T00:00:00.000Z',
    coverage: 'selection',
    license: { license: undefined, license_name: undefined, license_link: undefined },
    listingSha256: '2'.repeat(64),
    files,
  } as unknown as Manifest
}

test('printManifest has every file on a line of its own, at the seams of its pieces, too', () => {
  for (const count of [0, 1, 499, 500, 501, 1201]) {
    const manifest = manifestOf(count)

    const text = printManifest(manifest)

    assert.deepEqual(JSON.parse(text).files, manifest.files)
    assert.equal(text.split('\n').filter((line) => line.startsWith('{"path":')).length, count)
  }
})

test('a draft gives what it was given page by page, and never the text of thousands of files at once', () => {
  const { files, ...head } = manifestOf(20_000)
  const draft = new ManifestDraft()
  for (let at = 0; at < files.length; at += 300) draft.add(files.slice(at, at + 300))

  const pieces = [...draft.print(head)]

  assert.equal(Buffer.concat(pieces).toString(), printManifest({ ...head, files }))
  assert.ok(Math.max(...pieces.map((piece) => piece.length)) < 100_000)
})

test('a draft counts what is held', () => {
  const [held, other] = manifestOf(2).files as [ManifestFile, ManifestFile]
  const draft = ManifestDraft.of([{ ...held, held: true, size: 7 }, other])

  assert.deepEqual({ listed: draft.filesListed, held: draft.held }, { listed: 2, held: { files: 1, bytes: 7 } })
})

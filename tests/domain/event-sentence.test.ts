import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventLine } from '../../src/cli/event-line.ts'
import { eventSentence } from '../../src/domain/event-sentence.ts'
import { evidenceText } from '../../src/domain/event-words.ts'
import { createPalette } from '../../src/cli/palette.ts'
import { EVENT_TYPES, type ChangeEvent, type EventType } from '../../src/domain/events.ts'
import { parseRepoArgument } from '../../src/domain/repo.ts'

const repo = parseRepoArgument('Qwen/Qwen3.5-4B')!.ref

function event(type: EventType, parts: Partial<ChangeEvent> = {}): ChangeEvent {
  return {
    type,
    severity: 'notice',
    repo,
    at: '2026-03-12T10:20:30.000Z',
    before: null,
    after: null,
    detail: {},
    ...parts,
  }
}

const HOSTILE_VALUES: unknown[] = [
  undefined,
  null,
  true,
  Number.NaN,
  [],
  {},
  'x'.repeat(100_000),
  '\u001b[2J\u001b]0;owned\u0007\n\u202e',
  { license: '\u001b[31mmit', license_name: { nested: 1 } },
  { license: 3 },
  { commit: ['a'] },
  [[[{ path: '\u0000\n' }]]],
  { toString: 'not a function' },
]

test('eventSentence makes one harmless line of anything an event may hold', () => {
  for (const type of EVENT_TYPES) {
    for (const value of HOSTILE_VALUES) {
      const detail = {
        path: value,
        replaced: value,
        names: value,
        reason: value,
        evidence: value,
        ref: value,
        count: value,
      }

      const sentence = eventSentence(event(type, { before: value, after: value, detail }))

      assert.ok(sentence.length > 5 && sentence.length < 2000, `${type}: ${sentence.length}`)
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(sentence, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/, type)
    }
  }
})

test('eventSentence says what changed', () => {
  const commit = { before: 'a'.repeat(40), after: 'b'.repeat(40) }
  const license = { license: 'other', license_name: 'qwen-research', license_link: undefined }

  const sentences = [
    event('license-changed', { before: { license: 'apache-2.0' }, after: license }),
    event('repo-renamed', { before: 'Qwen/A', after: 'Qwen/B' }),
    event('repo-unavailable', {
      detail: { evidence: { status: 404, errorCode: 'RepoNotFound', at: '2026-03-12T10:00:00Z' } },
    }),
    event('files-replaced', { ...commit, detail: { replaced: [{ path: 'model.safetensors' }], changes: 4 } }),
    event('repo-updated', { ...commit, detail: { cardOnly: true } }),
    event('snapshot-sealed', { after: commit.after, detail: { filesHeld: 12, bytesHeld: 8_930_000_000 } }),
    event('gate-changed', { before: false, after: 'manual' }),
  ].map(eventSentence)

  assert.deepEqual(sentences, [
    'changed its licence: apache-2.0 → other: qwen-research',
    'was renamed: Qwen/A → Qwen/B',
    'is not available on the Hub any more (HTTP 404 RepoNotFound at 2026-03-12T10:00:00Z); what is archived stays',
    'replaced weights under the same name: model.safetensors and 3 more (aaaaaaaaaa → bbbbbbbbbb)',
    'changed its card only (aaaaaaaaaa → bbbbbbbbbb)',
    'is sealed: every wanted file is verified, 12 files, 8.93 GB (bbbbbbbbbb)',
    'gate changed: open → manual',
  ])
})

test('eventLine shows number, time, severity and repository', () => {
  const logged = { ...event('hub-reachable'), seq: 7, id: 'x-7' }

  const line = eventLine(logged, createPalette(false), { withDate: true })

  assert.equal(line, '     7  2026-03-12 10:20:30  notice    Qwen/Qwen3.5-4B the Hub can be reached again')
})

test('evidence that is not there is not named, and a failed poll names its watch', () => {
  const evidence = { status: 401, errorCode: null, at: '2026-03-12T10:00:00Z' }

  assert.equal(evidenceText(evidence), 'HTTP 401 at 2026-03-12T10:00:00Z')
  assert.match(
    eventSentence(event('watch-failed', { detail: { watch: 'org:Qwen', message: 'no' } })),
    /^a poll of org:Qwen failed: no$/,
  )
  assert.match(
    eventSentence(event('upstream-damaged', { detail: { isRemark: true, meaning: 'twice' } })),
    /^differs from an independent record of some other revision; usually the files were replaced since$/,
  )
})

test('eventSentence names what small files decide, what headers told, and what a licence text reads', () => {
  const sentence = (type: EventType, parts: Partial<ChangeEvent>): string => eventSentence(event(type, parts))
  const replaced = [{ path: 'chat_template.jinja' }, { path: 'README.md' }, { path: 'text_encoder/config.json' }]

  assert.match(
    sentence('repo-updated', { detail: { replaced } }),
    / — changes the chat template, model configuration \(/,
  )
  assert.doesNotMatch(sentence('repo-updated', { detail: { added: ['config.json'] } }), /changes the/)
  const what = ['chat template changed', '\u001b[2Jhostile']
  const headers = sentence('files-replaced', { detail: { replaced: [{ path: 'M.gguf' }], what } })
  assert.match(headers, /: M\.gguf — chat template changed, .*hostile/)
  assert.doesNotMatch(headers, /\p{Cc}/u)
  const [before, after] = [{ reads: 'Apache-2.0', sha256: 'a'.repeat(64) }, { reads: 'altered Apache-2.0' }]
  assert.equal(
    sentence('license-text-changed', { before, after, detail: { path: 'LICENSE' } }),
    'changed the text of its licence LICENSE: Apache-2.0 (aaaaaaaaaa) → altered Apache-2.0',
  )
  assert.match(sentence('license-text-changed', { before, after: null, detail: { path: 'LICENSE' } }), /^removed/)
  assert.match(sentence('license-text-changed', { before: null, after, detail: { path: 'COPYING' } }), /^has a new/)
  assert.equal(
    sentence('license-changed', { detail: { contradiction: true, stated: 'MIT', path: 'LICENSE', reads: 'GPL-3.0' } }),
    'states MIT on its card, but LICENSE reads GPL-3.0',
  )
})

test('eventSentence counts one file as one', () => {
  const sealed = (files: number): string =>
    eventSentence(event('snapshot-sealed', { after: 'a'.repeat(40), detail: { files, bytes: 40 } }))

  assert.match(sealed(1), /, 1 file, 40 B/)
  assert.match(sealed(2), /, 2 files, 40 B/)
})

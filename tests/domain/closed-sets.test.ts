import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DECISION_REASONS, HOLD_REASONS } from '../../src/domain/decision.ts'
import { EVENT_TYPES, SEVERITIES } from '../../src/domain/events.ts'
import { ATTESTORS } from '../../src/domain/manifest.ts'

// Scripts, alert rules, manifests and catalogs hold these words: removing, renaming or reordering one breaks them.

test('EVENT_TYPES and SEVERITIES are the published words', () => {
  assert.deepEqual(
    EVENT_TYPES.join(' '),
    'repo-published repo-updated repo-unavailable repo-restored repo-renamed repo-recreated gate-changed ' +
      'repo-disabled history-rewritten ref-moved ref-deleted files-replaced license-changed license-text-changed ' +
      'bytes-purged upstream-damaged listing-conflict org-silent hub-unreachable hub-reachable snapshot-sealed ' +
      'download-failed fixity-failed fixity-repaired budget-reached disk-low unsafe-name watch-failed',
  )
  assert.deepEqual(SEVERITIES, ['info', 'notice', 'warning', 'critical'])
})

test('DECISION_REASONS keeps its order: the catalog stores positions', () => {
  assert.deepEqual(DECISION_REASONS.slice(0, 12), [
    'small-file',
    'wanted',
    'shard-set',
    'not-decided',
    'metadata-only',
    'format-not-wanted',
    'quant-not-wanted',
    'not-included',
    'excluded',
    'repo-too-large',
    'unsafe-name',
    'digest-unknown',
  ])
  assert.deepEqual(HOLD_REASONS.slice(0, 8), [
    'none',
    'budget',
    'reserve',
    'window',
    'paused',
    'gated',
    'unavailable',
    'unwatched',
  ])
  assert.deepEqual(ATTESTORS.slice(0, 3), ['hub-lfs-oid', 'hub-git-oid', 'witness'])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isAsked, type AlertRule } from '../../src/domain/alert-rules.ts'
import { burstAfter, cutAlerts, cutDigest, stormPauseMs } from '../../src/domain/cut-alerts.ts'
import { EVENT_TYPES, SEVERITIES, type LoggedEvent } from '../../src/domain/events.ts'
import { parseRepoName } from '../../src/domain/repo.ts'

const rule = fc.record<AlertRule>({
  min: fc.constantFrom(...SEVERITIES),
  types: fc.option(fc.uniqueArray(fc.constantFrom(...EVENT_TYPES), { minLength: 1 }), { nil: undefined }),
  repos: fc.option(fc.array(fc.constantFrom('Qwen/*', '*/A', 'qwen/b?', 'other/X'), { minLength: 1 }), {
    nil: undefined,
  }),
})
const names = ['Qwen/A', 'Qwen/B1', 'other/A', 'other/X', ...Array.from({ length: 40 }, (_, at) => `owner${at}/A`)]
const events = fc
  .array(
    fc.record({
      type: fc.constantFrom(...EVENT_TYPES),
      severity: fc.constantFrom(...SEVERITIES),
      name: fc.option(fc.constantFrom(...names), { nil: undefined }),
    }),
    { maxLength: 200 },
  )
  .map((rows) =>
    rows.map(({ type, severity, name }, at): LoggedEvent => {
      const repoName = parseRepoName(name)
      const repo = repoName === undefined ? undefined : ({ type: 'model', name: repoName } as const)
      return { seq: at + 5, id: `x-${at + 5}`, type, severity, repo, at: '', before: null, after: null, detail: {} }
    }),
  )

test('cutAlerts puts every event that is asked for into exactly one message, and makes few of many', () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 3 }), events, fc.boolean(), (rules, log, withInfo) => {
      const messages = cutAlerts(rules, log, withInfo)

      const asked = log.filter((event) => isAsked(rules, event) && (withInfo || event.severity !== 'info'))
      const seqs = messages.flatMap((message) => message.seqs)
      assert.deepEqual(
        seqs.toSorted((a, b) => a - b),
        asked.map(({ seq }) => seq),
      )
      for (const message of messages) {
        assert.deepEqual(
          message.seqs,
          message.seqs.toSorted((a, b) => a - b),
        )
        if (message.seqs.length === 1)
          assert.equal(message.id, `x-${message.seqs[0]}`, "a single event's id is its own")
      }
      const firsts = messages.map((message) => message.seqs[0] ?? 0)
      assert.deepEqual(
        firsts,
        firsts.toSorted((a, b) => a - b),
        'in order of their first events',
      )
      assert.equal(new Set(messages.map(({ id }) => id)).size, messages.length, 'each has an id of its own')
      assert.ok(messages.length <= 2 * EVENT_TYPES.length * SEVERITIES.length)
    }),
  )
})

test('cutDigest has what cutAlerts left to it, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 3 }), events, (rules, log) => {
      const direct = cutAlerts(rules, log, false).flatMap(({ seqs }) => seqs)
      const digest = cutDigest(rules, log)?.seqs ?? []

      assert.deepEqual(
        [...direct, ...digest].toSorted((a, b) => a - b),
        log.filter((event) => isAsked(rules, event)).map(({ seq }) => seq),
      )
    }),
  )
})

test('stormPauseMs never holds a cut for longer than a minute, whatever the clock does', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: -1e13, max: 1e13 }), fc.nat(30))), (cuts) => {
      let burst = { fromMs: 0, count: 0, lastCutMs: 0 }
      for (const [nowMs, count] of cuts) {
        const pause = stormPauseMs(burst, nowMs)
        assert.ok(pause >= 0 && pause <= 60_000)
        burst = burstAfter(burst, count, nowMs)
      }
    }),
  )
})

test('an alert rule compares names without case, and a rule about repositories asks for no event without one', () => {
  const about = (name: string | undefined, type: 'model' | 'dataset' = 'model'): LoggedEvent => {
    const repoName = parseRepoName(name)
    const repo = repoName === undefined ? undefined : { type, name: repoName }
    return {
      seq: 1,
      id: 'x',
      type: 'disk-low',
      severity: 'warning',
      repo,
      at: '',
      before: null,
      after: null,
      detail: {},
    }
  }
  const rules: AlertRule[] = [{ min: 'warning', types: undefined, repos: ['qwen/*', 'datasets/Qwen/d'] }]

  assert.deepEqual(
    [
      about('Qwen/A'),
      about('QWEN/a'),
      about('other/a'),
      about(undefined),
      about('Qwen/D', 'dataset'),
      about('Qwen/x', 'dataset'),
    ].map((event) => isAsked(rules, event)),
    [true, true, false, false, true, false],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dispatcher } from 'undici'
import { exchange } from '../../src/hub/http-exchange.ts'
import { readTarget } from '../../src/hub/url-target.ts'

const LIMITS = { headersMs: 1000, idleMs: 1000, totalMs: 1_000_000 }

test('a request that a client sends again has the deadline of the second time only', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const reading = readTarget('http://hub.test/x', undefined)
  assert.ok(reading.kind !== 'refused')
  const aborts: unknown[] = []
  const controller: Dispatcher.DispatchController = {
    aborted: false,
    paused: false,
    reason: null,
    rawHeaders: null,
    rawTrailers: null,
    pause: () => undefined,
    resume: () => undefined,
    abort: (reason) => void aborts.push(reason),
  }
  const twice: Pick<Dispatcher, 'dispatch'> = {
    dispatch(_, handler) {
      handler.onRequestStart?.(controller, undefined)
      handler.onRequestStart?.(controller, undefined)
      handler.onResponseStart?.(controller, 200, {})
      return true
    },
  }

  await exchange(twice, { method: 'GET', target: reading.target, headers: {} }, LIMITS, t.signal)
  t.mock.timers.tick(10_000)

  assert.deepEqual(aborts, [])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  claimingWatch,
  isWanted,
  keyByHand,
  watchCovers,
  watchKey,
  watchOf,
  type WatchEntry,
  type WatchTarget,
} from '../../src/domain/watch.ts'
import { keep, model } from './builders.ts'

const org = (owner: string, match?: string): WatchTarget => ({ kind: 'org', owner, match })
const repo = (name: string): WatchTarget => ({ kind: 'repo', ref: model(name) })

function entries(...targets: WatchTarget[]): WatchEntry[] {
  return targets.map((target) => ({ key: watchKey(target), target, everyMs: 1000, keep: keep() }))
}

test('watchCovers takes no repo of another owner and no name its pattern does not match', () => {
  assert.ok(!watchCovers(org('Qwen'), model('QwenLM/A').name))
  assert.ok(!watchCovers(org('Qwen', 'Qwen3*'), model('Qwen/Qwen2-7B').name))
  assert.ok(!watchCovers(repo('Qwen/A'), model('Qwen/B').name))
  assert.ok(watchCovers(org('qwen'), model('Qwen/A').name))
  assert.ok(watchCovers(org('unsloth', 'Qwen3*-GGUF'), model('unsloth/Qwen3.5-9B-GGUF').name))
  assert.ok(watchCovers(repo('Qwen/A'), model('Qwen/A').name))
})

test('claimingWatch gives a repo to the most specific entry, and to the first among equals', () => {
  const watches = entries(org('Qwen'), org('Qwen', 'Qwen3*'), org('Qwen', '*-GGUF'), repo('Qwen/Qwen3-0.6B'))
  const claims = (name: string) => claimingWatch(watches, model(name))?.key

  assert.equal(claims('unsloth/A'), undefined)
  assert.equal(claims('Qwen/QwQ-32B'), 'org:Qwen')
  assert.equal(claims('Qwen/Qwen3-8B'), 'org:Qwen/Qwen3*')
  assert.equal(claims('Qwen/Qwen3-8B-GGUF'), 'org:Qwen/Qwen3*')
  assert.equal(claims('Qwen/Qwen2-7B-GGUF'), 'org:Qwen/*-GGUF')
  assert.equal(claims('Qwen/Qwen3-0.6B'), 'repo:Qwen/Qwen3-0.6B')
  assert.equal(claimingWatch([...watches].reverse(), model('Qwen/Qwen3-0.6B'))?.key, 'repo:Qwen/Qwen3-0.6B')
})

test('claimingWatch takes an owner for models only', () => {
  const dataset = { ...model('Qwen/P-MMEval'), type: 'dataset' } as const

  assert.equal(claimingWatch(entries(org('Qwen')), dataset), undefined)
  assert.equal(claimingWatch(entries({ kind: 'repo', ref: dataset }), dataset)?.key, 'repo:datasets/Qwen/P-MMEval')
  assert.equal(claimingWatch(entries(repo('Qwen/P-MMEval')), dataset), undefined)
})

test('watchKey tells entries of one owner apart', () => {
  const keys = [org('Qwen'), org('Qwen', 'A*'), { ...org('Qwen'), kind: 'user' } as WatchTarget, repo('Qwen/A')].map(
    watchKey,
  )

  assert.deepEqual(keys, ['org:Qwen', 'org:Qwen/A*', 'user:Qwen', 'repo:Qwen/A'])
})

test('a single repo is claimed whatever the case of its letters', () => {
  const watches = entries(org('Qwen'), repo('qwen/a'))
  assert.equal(claimingWatch(watches, model('Qwen/A'))?.key, 'repo:qwen/a')
  assert.ok(watchCovers(repo('qwen/a'), model('Qwen/A').name))
})

test('watchOf falls back to the entry that saw a repo, whose name may have changed', () => {
  const watches = entries(repo('Qwen/A'), org('unsloth'))
  assert.equal(watchOf(watches, model('Elsewhere/A2'), 'repo:Qwen/A')?.key, 'repo:Qwen/A')
  assert.equal(watchOf(watches, model('unsloth/A2'), 'repo:Qwen/A')?.key, 'org:unsloth')
  assert.equal(watchOf(watches, model('Elsewhere/A2'), 'repo:gone/A'), undefined)
})

test('isWanted is false only for what no entry covers and nobody named', () => {
  const watches = entries(org('Qwen'))
  assert.equal(isWanted(watches, model('Other/B'), 'org:Other'), false)
  assert.equal(isWanted(watches, model('Qwen/B'), 'org:Other'), true)
  assert.equal(isWanted(watches, model('Other/B'), keyByHand(model('Other/B'))), true)
})

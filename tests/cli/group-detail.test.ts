import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupDetail } from '../../src/cli/group-detail.ts'

test('groupDetail names no single quantisation or format for files of several', () => {
  const quant = 'Q2_K is not in keep.quants (Q8_0)'

  assert.equal(groupDetail('quant-not-wanted', quant, false), quant)
  assert.equal(groupDetail('quant-not-wanted', quant, true), 'their quantisation is not in keep.quants (Q8_0)')
  assert.equal(
    groupDetail('format-not-wanted', 'bin is not in keep.formats (gguf)', true),
    'their format is not in keep.formats (gguf)',
  )
  assert.equal(groupDetail('excluded', 'matches a*', true), 'matches a*; and others')
})

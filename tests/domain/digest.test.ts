import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCommitId, parseGitOid, parseHubId, parseSha256 } from '../../src/domain/digest.ts'

const PARSERS = [
  ['parseSha256', parseSha256, 64],
  ['parseGitOid', parseGitOid, 40],
  ['parseCommitId', parseCommitId, 40],
  ['parseHubId', parseHubId, 24],
] as const

for (const [name, parse, digits] of PARSERS) {
  test(`${name} takes exactly ${digits} lower-case hex digits and repairs nothing`, () => {
    const good = '0123456789abcdef'.repeat(4).slice(0, digits)
    const wrong: unknown[] = [
      '',
      '*'.repeat(digits),
      good.slice(1),
      `${good}0`,
      good.toUpperCase(),
      `${good}\n`,
      `\n${good}`,
      ` ${good}`,
      `${good.slice(1)} `,
      `${good.slice(1)}g`,
      '../../../../etc/passwd'.padEnd(digits, '0').slice(0, digits),
      `W/"${good}"`,
      'main',
      '０'.repeat(digits),
      undefined,
      null,
      0,
      [good],
      { toString: () => good },
    ]

    for (const value of wrong) assert.equal(parse(value), undefined, JSON.stringify(value))
    assert.equal(parse(good), good)
    assert.equal(parse('0'.repeat(digits)), '0'.repeat(digits))
  })
}

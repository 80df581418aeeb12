import assert from 'node:assert/strict'
import { test } from 'node:test'
import { terminalSvg } from '../../scripts/make-terminal-svg.ts'

/** The texts of a picture, with their colours. */
function textsOf(svg: string): string[] {
  return [...svg.matchAll(/<text x="[^"]+" y="\d+" xml:space="preserve"([^>]*)>([^<]*)</g)].map(
    ([, attributes, text]) => {
      const color = /fill="([^"]+)"/.exec(attributes ?? '')?.[1]
      return color === undefined ? `${text}` : `${text} ${color}`
    },
  )
}

test('terminalSvg lets nothing of the text become markup', () => {
  const svg = terminalSvg('<script>&\u0007\u001b]0;x', '<b>')

  assert.ok(!svg.includes('<script') && !svg.includes('<b>'))
  assert.ok(svg.includes('&lt;script&gt;&amp;'))
  assert.ok(Array.from(svg).every((character) => character >= ' ' || character === '\n'))
})

test('terminalSvg keeps colours and columns', () => {
  const svg = terminalSvg('\u001b[1mREPO\u001b[22m  \u001b[32msealed\u001b[39m\r\nnext', 'list')

  assert.deepEqual(textsOf(svg), ['REPO', 'sealed #7ee787', 'next'])
  assert.match(svg, /x="68\.4" y="48"/)
  assert.match(svg, /x="18\.0" y="67"/)
})

test('terminalSvg shows what stands on the screen in the end', () => {
  const live = 'first 10%\rfirst 50%\n\u001b[1A\u001b[2Kfirst done\nsecond\n\u001b[1A\u001b[J\u001b[?25hend\n\n'

  assert.deepEqual(textsOf(terminalSvg(live, '')), ['first done', 'end'])
})

test('terminalSvg goes on in the next line where the terminal ends', () => {
  assert.deepEqual(textsOf(terminalSvg('abcdef\nxyz\n', '', 4)), ['abcd', 'ef', 'xyz'])
})

test('terminalSvg is bounded', () => {
  const svg = terminalSvg(`${'x'.repeat(10_000)}\n`.repeat(1000), '')

  assert.ok(svg.length < 300_000)
})

/** Bounds of a JSON text before it becomes objects: a few bytes of text can be a hundred bytes of memory. */
const MAX_DEPTH = 200
const MAX_CONTAINERS = 1_000_000
const MAX_VALUES = 8_000_000

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

export type JsonReading =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly reason: string }

/** Parses JSON from bytes within bounds of depth and count. Invalid UTF-8 becomes U+FFFD, as in every JSON parser. */
export function readJson(bytes: Uint8Array): JsonReading {
  const refusal = judgeShape(bytes)
  if (refusal !== undefined) return { kind: 'refused', reason: refusal }
  const text = new TextDecoder().decode(bytes)
  try {
    return { kind: 'value', value: JSON.parse(text) as unknown }
  } catch {
    const isPage = /^\s*<(?:!doctype|html|\?xml|head|body)/i.test(text.slice(0, 200))
    return {
      kind: 'refused',
      reason: isPage ? 'it is a web page, as from a proxy or a login portal' : 'it is not JSON',
    }
  }
}

function judgeShape(bytes: Uint8Array): string | undefined {
  let depth = 0
  let containers = 0
  let values = 0
  let isInText = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (isInText) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) isInText = false
    } else if (byte === QUOTE) isInText = true
    else if (byte === COMMA) values++
    else if (byte === 0x7b || byte === 0x5b) {
      containers++
      depth++
      if (depth > MAX_DEPTH) return `it is nested deeper than ${MAX_DEPTH}`
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  if (containers > MAX_CONTAINERS || values > MAX_VALUES) return 'it holds too many values'
  return undefined
}

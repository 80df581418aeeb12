/** A large array of a JSON object. */
interface JsonArray {
  readonly key: string
  readonly elements: AsyncIterable<unknown>
}

/**
 * The text of one JSON object whose large arrays are never held whole: first `head`'s fields, then each array with one
 * element a line, then what `tail` returns once the arrays are through.
 */
export async function* jsonObject(
  head: Readonly<Record<string, unknown>>,
  arrays: readonly JsonArray[],
  tail: () => Readonly<Record<string, unknown>> = () => ({}),
): AsyncIterable<string> {
  let text = '{'
  let isFirst = true
  const key = (name: string): string => {
    const separator = isFirst ? '' : ','
    isFirst = false
    return `${separator}\n${JSON.stringify(name)}:`
  }
  for (const [name, value] of definedEntries(head)) text += `${key(name)}${JSON.stringify(value)}`
  for (const { key: name, elements } of arrays) {
    text += `${key(name)}[`
    let separator = '\n'
    for await (const element of elements) {
      text += `${separator}${JSON.stringify(element)}`
      separator = ',\n'
      if (text.length < PIECE_CHARACTERS) continue
      yield text
      text = ''
    }
    text += ']'
  }
  for (const [name, value] of definedEntries(tail())) text += `${key(name)}${JSON.stringify(value)}`
  yield `${text}\n}`
}

/** Large enough that writing is cheap, small enough that memory stays flat. */
const PIECE_CHARACTERS = 16_384

function definedEntries(object: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(object).filter(([, value]) => value !== undefined)
}

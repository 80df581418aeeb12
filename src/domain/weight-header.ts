/** One tensor as the header of a weight file names it. */
export interface TensorFacts {
  /** As the format spells it: `BF16`, `F8_E4M3`, `Q4_K`. */
  readonly dtype: string
  readonly shape: readonly number[]
}

/** A value of a header's metadata: enough to show it and to see that it changed. */
export interface MetaValue {
  /** At most 200 characters; `[…]` stands for what is longer, and for arrays. */
  readonly shown: string
  /** Equal for equal values; not made to withstand an attacker. */
  readonly hash: string
}

/** What the beginning of a weight file says of the rest. */
export interface WeightHeader {
  readonly format: 'safetensors' | 'gguf'
  readonly metadata: ReadonlyMap<string, MetaValue>
  readonly tensors: ReadonlyMap<string, TensorFacts>
  /** What a strict reader would refuse, in a few words. */
  readonly flaws: readonly string[]
}

/** `more`: the bytes end before the header does; `bytes` are needed at least. `malformed`: it is no such file. */
export type HeaderRead =
  | { readonly kind: 'header'; readonly header: WeightHeader }
  | { readonly kind: 'more'; readonly bytes: number }
  | { readonly kind: 'malformed'; readonly reason: string }

/** Headers longer than this are not read. The longest known, with a tokenizer of 250,000 words, has 12 MB. */
export const MAX_HEADER_BYTES = 24 * 1024 * 1024

const MAX_SHOWN = 200
const MAX_FLAWS = 10

/** A text as it is kept in metadata. */
export function shownText(text: string): string {
  const cut = text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}[…]`
  return cut.toWellFormed()
}

/** Adds a flaw unless there are many already. */
export function addFlaw(flaws: string[], flaw: string): void {
  if (flaws.length < MAX_FLAWS) flaws.push(flaw)
}

/** Two FNV-1a hashes over bytes, as 16 hex digits. */
export function hashOfBytes(bytes: Uint8Array): string {
  let [first, second] = [0x811c9dc5, 0x6c62272e]
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0
    first = Math.imul(first ^ byte, 0x01000193)
    second = Math.imul(second ^ byte ^ 0xa5, 0x01000193)
  }
  return [first, second].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
}

import { ArchiveError } from '../domain/errors.ts'
import type { RangeBody } from '../hub-port.ts'
import type { ByteSink } from '../intake-port.ts'
import type { HttpAnswer } from './http-exchange.ts'

/** What the headers of an answer promised, checked. */
export interface PromisedBytes {
  readonly start: number
  readonly length: number
  readonly totalSize: number
}

const HINT = 'What arrived is kept only after it is verified. It will be tried again.'

/** How a body speaks to the rest of its source. */
export interface BodyLinks {
  /** Makes of what broke the exchange what the caller understands. */
  readonly explain: (thrown: unknown) => unknown
  /** Asks for another range on the same connection. */
  readonly ahead: (
    range: { readonly start: number; readonly end: number },
    signal: AbortSignal,
  ) => Promise<RangeBody> | undefined
}

/**
 * The body of a checked answer. Its chunks end normally only when exactly the promised number of bytes came.
 */
export function createRangeBody(answer: HttpAnswer, promised: PromisedBytes, links: BodyLinks): RangeBody {
  const { explain } = links
  return {
    start: promised.start,
    end: promised.start + promised.length,
    totalSize: promised.totalSize,
    into: (sink, signal) => moveInto(answer, promised.length, sink, explain, signal),
    ahead: (start, end, signal) => links.ahead({ start, end }, signal),
    chunks: () => readExactly(answer, promised.length, explain),
    async [Symbol.asyncDispose]() {
      answer.discard()
    },
  }
}

async function moveInto(
  answer: HttpAnswer,
  length: number,
  sink: ByteSink,
  explain: (thrown: unknown) => unknown,
  signal: AbortSignal,
): Promise<void> {
  if (answer.into !== undefined) {
    try {
      return await answer.into(sink, signal)
    } catch (thrown) {
      throw explain(thrown)
    }
  }
  for await (const chunk of readExactly(answer, length, explain)) {
    for (let rest = chunk; rest.length > 0;) {
      const view = sink.view()
      if (view === undefined) {
        await sink.room(signal)
        continue
      }
      const part = rest.subarray(0, view.length)
      view.set(part)
      sink.filled(part.length)
      rest = rest.subarray(part.length)
    }
  }
}

async function* readExactly(
  answer: HttpAnswer,
  length: number,
  explain: (thrown: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  let left = length
  try {
    for (let chunk = await nextChunk(answer, explain); chunk !== undefined; chunk = await nextChunk(answer, explain)) {
      const kept = chunk.subarray(0, left)
      left -= kept.length
      if (kept.length > 0) yield kept
      if (kept.length < chunk.length) {
        throw new ArchiveError('TRANSFER_INVALID', `more than the promised ${length} bytes came`, { hint: HINT })
      }
    }
    if (left > 0) {
      throw new ArchiveError('TRANSFER_INTERRUPTED', `${left} of ${length} bytes did not come`, { hint: HINT })
    }
  } finally {
    answer.discard()
  }
}

async function nextChunk(answer: HttpAnswer, explain: (thrown: unknown) => unknown): Promise<Uint8Array | undefined> {
  try {
    return await answer.next()
  } catch (thrown) {
    throw explain(thrown)
  }
}

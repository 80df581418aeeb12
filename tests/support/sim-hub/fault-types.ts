/** What can go wrong on the wire, as data. Faults that match the same request are combined, later ones winning. */
import type { SeenRequest } from './types.ts'

/** Which requests a fault meets. Everything given must hold; nothing given means every request. */
export interface FaultMatch {
  origin?: 'hub' | 'cdn' | undefined
  method?: string | undefined
  /** Tested against the request target as sent, with its query. */
  path?: RegExp | undefined
  /** A request header that must look so. */
  header?: { name: string; value: RegExp } | undefined
  /** Starts at the n-th matching request, counted from 1. */
  nth?: number | undefined
  /** How many matching requests it meets from there; default: all. */
  times?: number | undefined
}

/** Instead of an answer. */
export interface ReplacedAnswer {
  /** Answers with this status, `headers` and `body` (empty by default) and touches nothing. */
  status?: number | undefined
  headers?: Record<string, string> | undefined
  body?: string | Uint8Array | undefined
  /** 302 to this Location, written as given. */
  redirectTo?: string | undefined
  /** 302 to the same URL. */
  redirectLoop?: boolean | undefined
  /** These bytes go straight to the socket, which is then ended: for parser-hostile answers. */
  rawReply?: string | Uint8Array | undefined
  /** 429 as the Hub sends it; `ratelimit` has r=0 and t, `retry-after` only that header, `bare` neither. */
  tooManyRequests?: 'ratelimit' | 'retry-after' | 'bare' | undefined
  /** Value of Retry-After for `retry-after`; default "1". */
  retryAfter?: string | undefined
  /** 200 with an HTML page. */
  nonJson?: boolean | undefined
}

/** Changes to the file answer. Byte counts and offsets are of the body sent, `flipBit` and `stallAtOffset` are offsets in the file. */
export interface ChangedTransfer {
  /** The socket is reset after so many body bytes. */
  cutAfter?: number | undefined
  /** `before-headers`: accepts and says nothing; a number: stops after so many body bytes and says nothing more. */
  stall?: 'before-headers' | number | undefined
  /** Nothing of the file from this offset on is ever sent: every answer stops there and says nothing more. */
  stallAtOffset?: number | undefined
  /** Right Content-Length, then an orderly end after so many body bytes. */
  shortBody?: number | undefined
  /** So many bytes more than asked; Content-Length covers them. */
  extraBody?: number | undefined
  /** Flips the lowest bit of the byte at this file offset, when it is part of the answer. */
  flipBit?: number | undefined
  /** So many bytes a piece, with this pause between. */
  slowDrip?: { bytes: number; everyMs: number } | undefined
  /** 200 with the whole file, whatever Range asked. */
  ignoreRange?: boolean | undefined
  /** Another part of the file, so many bytes later, with the Content-Range of what is really sent. */
  shiftRange?: number | undefined
  /** Content-Range is replaced; an empty string removes it. */
  wrongContentRange?: string | undefined
  /** ETag is replaced, as written. */
  changeEtag?: string | undefined
  /** gzip, chunked, no Content-Length, also when the client did not accept it. */
  gzipped?: boolean | undefined
  /** `chunked`: no Content-Length; `close`: neither length nor chunks, the end of the connection ends the body. */
  framing?: 'chunked' | 'close' | undefined
  /** The CDN treats the link of this request as expired. */
  expireLink?: boolean | undefined
  /** Merged over the headers of the answer; an empty string removes one. */
  setHeaders?: Record<string, string> | undefined
}

/** Changes to JSON answers. */
export interface ChangedJson {
  /** 200 `[]`, no Link. */
  emptyList?: boolean | undefined
  /** Page n (from 1) of a listing answers 500. */
  listErrorOnPage?: number | undefined
  /** So many rows are lost between a page and the next. */
  shiftRows?: number | undefined
  /** The last rows of a page come again on the next. */
  doubleRows?: number | undefined
  /** The value is a private copy; return what to send. */
  mutateJson?: ((json: unknown, request: SeenRequest) => unknown) | undefined
  /** The bytes of the body, after everything else: invalid UTF-8, broken JSON. */
  mutateBody?: ((body: Uint8Array) => Uint8Array) | undefined
  timesWithoutMilliseconds?: boolean | undefined
  /** Added to the Date header. */
  dateSkewSeconds?: number | undefined
}

export interface Fault extends FaultMatch, ReplacedAnswer, ChangedTransfer, ChangedJson {}

export interface FaultHandle {
  remove(): void
  /** Requests it met so far. */
  readonly hits: number
}

export interface Faults {
  add(fault: Fault): FaultHandle
  clear(): void
}

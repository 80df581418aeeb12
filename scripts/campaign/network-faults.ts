import type { Spot, WireFault } from '../../tests/support/fault-proxy/wire-fault.ts'

/** What a scenario knows of the scene it is played in. */
export interface SceneFacts {
  /** Bytes of the weight file the faults are about. */
  readonly size: number
  /** Bytes of a piece of the transfer: faults at its borders are the ones an off-by-one meets. */
  readonly pieceBytes: number
  /** Source of a regular expression that meets the CDN's answers about this file only. */
  readonly file: string
}

/** One way in which the network or the Hub behaves badly. */
export interface NetworkScenario {
  readonly name: string
  readonly faults: readonly WireFault[]
  /**
   * `heals`: one sync archives everything all the same. `waits`: a sync may fail; once the faults end, syncs archive
   * everything. Of a scenario about one file, everything else is archived at once in both cases.
   */
  readonly outcome: 'heals' | 'waits'
  readonly isAboutOneFile: boolean
  /** Costs real seconds: one of the program's deadlines has to pass. It is played with short ones. */
  readonly isSlow: boolean
}

type Details = Partial<Pick<NetworkScenario, 'isAboutOneFile' | 'isSlow'>>

function heals(name: string, faults: readonly WireFault[], details: Details = {}): NetworkScenario {
  return { name, faults, outcome: 'heals', isAboutOneFile: false, isSlow: false, ...details }
}

function waits(name: string, faults: readonly WireFault[], details: Details = {}): NetworkScenario {
  return { name, faults, outcome: 'waits', isAboutOneFile: true, isSlow: false, ...details }
}

const LIST = '^/api/models\\?'
const TREE = '/tree/'
const RESOLVE = '/resolve/'
const API_ROUTES = { listing: LIST, tree: TREE, resolve: RESOLVE } as const

function spotName(spot: Spot): string {
  if (typeof spot === 'string') return spot
  return 'body' in spot ? `body byte ${spot.body}` : `file byte ${spot.file}`
}

/** The catalogue. The same facts give the same list. */
export function networkScenarios(facts: SceneFacts): NetworkScenario[] {
  return [
    ...cuts(facts),
    ...stalls(facts),
    ...flips(facts),
    ...storms(facts),
    ...statusLies(facts),
    ...lengthLies(facts),
    endlessBody(facts),
    ...rangeLies(facts),
    ...codingLies(facts),
    ...metadataLies(),
    ...redirects(facts),
    ...noise(facts),
  ]
}

function cuts({ file, size, pieceBytes }: SceneFacts): NetworkScenario[] {
  const inFile: Spot[] = [0, 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, size - 1, size].map((at) => ({ file: at }))
  const spots: Spot[] = ['before-headers', 'in-headers', ...inFile, { body: -1 }]
  const once = (['reset', 'close'] as const).flatMap((how) => [
    heals(`${how} at the CDN's connection`, [{ origin: 'cdn', [how]: 'connection', times: 2 }]),
    heals(`${how} at the Hub's connection`, [{ origin: 'hub', [how]: 'connection', times: 2 }]),
    ...spots.map((spot) =>
      heals(`${how} at ${spotName(spot)}`, [{ origin: 'cdn', path: file, [how]: spot, times: 1 }]),
    ),
    ...Object.entries(API_ROUTES).flatMap(([route, path]) =>
      (['before-headers', 'in-headers', { body: 0 }, { body: -1 }] as const)
        .filter((spot) => route !== 'resolve' || typeof spot === 'string')
        .map((spot) => heals(`${how} of the ${route} at ${spotName(spot)}`, [{ path, [how]: spot, times: 2 }])),
    ),
  ])
  const ever: NetworkScenario[] = [
    heals('a cut every so many bytes, for ever', [{ origin: 'cdn', path: file, reset: { body: Math.ceil(size / 7) } }]),
    waits('a cut before the first byte, for ever', [{ origin: 'cdn', path: file, reset: { body: 0 } }]),
    waits('no connection to the CDN, for ever', [{ origin: 'cdn', reset: 'connection' }], { isAboutOneFile: false }),
  ]
  return [...once, ...ever]
}

function stalls({ file, size, pieceBytes }: SceneFacts): NetworkScenario[] {
  const spots: Spot[] = [
    'connection',
    'before-headers',
    'in-headers',
    { file: 0 },
    { file: pieceBytes },
    { file: size - 1 },
  ]
  return [
    ...spots.map((spot) => {
      const match = spot === 'connection' ? { origin: 'cdn' as const } : { origin: 'cdn' as const, path: file }
      return heals(`silence at ${spotName(spot)}`, [{ ...match, stall: spot, times: 1 }], { isSlow: true })
    }),
    heals('silence of the listing before its headers', [{ path: LIST, stall: 'before-headers', times: 1 }], {
      isSlow: true,
    }),
    heals('silence in the middle of the tree', [{ path: TREE, stall: { body: 20 }, times: 1 }], { isSlow: true }),
  ]
}

function flips({ file, size, pieceBytes }: SceneFacts): NetworkScenario[] {
  const places = [0, 1, pieceBytes - 1, pieceBytes, size - 1]
  return [
    ...places.map((at) =>
      heals(`a bit flipped once at file byte ${at}`, [{ origin: 'cdn', path: file, flip: { file: at }, times: 1 }]),
    ),
    heals('another bit flipped in each pass', [
      { origin: 'cdn', path: file, flip: { file: size - 1 }, times: 1 },
      { origin: 'cdn', path: file, flip: { file: 0 }, nth: 2, times: 1 },
    ]),
    ...places.map((at) =>
      waits(`a bit flipped at file byte ${at}, for ever`, [{ origin: 'cdn', path: file, flip: { file: at } }]),
    ),
  ]
}

function storms({ file }: SceneFacts): NetworkScenario[] {
  const again = [500, 502, 503, 504, 520].map((status) =>
    heals(`four answers ${status} of everything`, [{ answer: { status }, times: 4 }]),
  )
  const limits = [
    { 'Retry-After': '120' },
    { 'Retry-After': '99999999999' },
    { 'Retry-After': '-1' },
    { 'Retry-After': 'Thu, 01 Jan 1970 00:00:00 GMT' },
    { RateLimit: '"api";r=0;t=200', 'RateLimit-Policy': '"fixed window";"api";q=500;w=300' },
    { RateLimit: '"api";r=-5;t=1e99' },
    {},
  ].map((headers) =>
    heals(`three answers 429 ${JSON.stringify(headers)}`, [
      { origin: 'hub', answer: { status: 429, headers }, times: 3 },
    ]),
  )
  const expired = {
    status: 403,
    body: '<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>',
  }
  return [
    ...again,
    ...limits,
    heals('three links that are expired at once', [{ origin: 'cdn', path: file, answer: expired, times: 3 }]),
    heals('a link that expires in the middle', [
      { origin: 'cdn', path: file, reset: { body: 1_000_000 }, times: 1 },
      { origin: 'cdn', path: file, answer: expired, times: 1 },
    ]),
    waits('links that are always expired', [{ origin: 'cdn', path: file, answer: expired }]),
    waits('503 of the CDN, for ever', [{ origin: 'cdn', path: file, answer: { status: 503 } }]),
    waits('429 of the CDN, for ever', [{ origin: 'cdn', path: file, answer: { status: 429 } }]),
    waits('404 of the CDN', [{ origin: 'cdn', path: file, answer: { status: 404 } }]),
    waits('503 of the whole Hub, for ever', [{ origin: 'hub', answer: { status: 503 } }], { isAboutOneFile: false }),
  ]
}

function statusLies({ file }: SceneFacts): NetworkScenario[] {
  return [100, 199, 200, 201, 203, 204, 205, 207, 226, 304, 401, 402, 408, 410, 416, 451, 599, 999].map((status) =>
    waits(`status ${status} before the right bytes`, [{ origin: 'cdn', path: file, status }]),
  )
}

/** Headers of the CDN's answer about the file, each told wrongly for ever. */
function lies(file: string, all: Readonly<Record<string, NonNullable<WireFault['headers']>>>): NetworkScenario[] {
  return Object.entries(all).map(([name, headers]) => waits(name, [{ origin: 'cdn', path: file, headers }]))
}

function lengthLies({ file, size }: SceneFacts): NetworkScenario[] {
  const length = (value: string | readonly string[] | null) => ({ 'Content-Length': value })
  return lies(file, {
    'Content-Length too small': length('1000'),
    'Content-Length 0': length('0'),
    'Content-Length negative': length('-5'),
    'Content-Length twice': length(['50', String(size)]),
    'Content-Length no number': length('many'),
    'Content-Length hexadecimal': length('0x10'),
    'Content-Length beyond exact numbers': length('9007199254740993'),
    'Content-Length and chunks': { 'Content-Length': String(size), 'Transfer-Encoding': 'chunked' },
    'chunks that are none': { 'Content-Length': null, 'Transfer-Encoding': 'chunked' },
    'an unknown transfer coding': { 'Content-Length': null, 'Transfer-Encoding': 'gzip, chunked' },
  })
}

/** Nothing says where the body ends, and the connection stays open. */
function endlessBody({ file }: SceneFacts): NetworkScenario {
  return waits('no Content-Length', [{ origin: 'cdn', path: file, headers: { 'Content-Length': null } }], {
    isSlow: true,
  })
}

function rangeLies({ file, size }: SceneFacts): NetworkScenario[] {
  const range = (value: string | readonly string[] | null) => ({ 'Content-Range': value })
  return lies(file, {
    'no Content-Range': range(null),
    'Content-Range empty': range(''),
    'Content-Range starts later': range(`bytes 1-${size}/${size + 1}`),
    'Content-Range of another part': range(`bytes 5-9/${size}`),
    'Content-Range ends earlier': range(`bytes 0-9/${size}`),
    'Content-Range of an unknown total': range(`bytes 0-${size - 1}/*`),
    'Content-Range of another total': range(`bytes 0-${size - 1}/${size + 1}`),
    'Content-Range unsatisfied': range(`bytes */${size}`),
    'Content-Range in other units': range(`lines 0-${size - 1}/${size}`),
    'Content-Range backwards': range(`bytes ${size - 1}-0/${size}`),
    'Content-Range beyond exact numbers': range(`bytes 0-9007199254740993/9007199254740994`),
    'Content-Range twice': range([`bytes 0-${size - 1}/${size}`, 'bytes 0-0/1']),
    'multipart/byteranges': { 'Content-Type': 'multipart/byteranges; boundary=x', 'Content-Range': null },
  })
}

function codingLies({ file }: SceneFacts): NetworkScenario[] {
  const coding = (value: string) => ({ 'Content-Encoding': value })
  return [
    ...lies(file, {
      'plain bytes called gzip': coding('gzip'),
      'plain bytes called br, zstd, x': coding('br, zstd, x'),
      'a thousand codings': coding(Array.from({ length: 1000 }, () => 'gzip').join(', ')),
    }),
    heals('plain bytes called identity', [{ origin: 'cdn', path: file, headers: coding('identity') }]),
    heals('another ETag of the CDN', [{ origin: 'cdn', path: file, headers: { ETag: '"elsewhere"' } }]),
    heals('an ETag of the CDN that is none', [{ origin: 'cdn', path: file, headers: { ETag: '\u00ff"W/' } }]),
    heals('no ETag of the CDN', [{ origin: 'cdn', path: file, headers: { ETag: null } }]),
  ]
}

/** Headers of the first hop, of every LFS file: what is said there about commit, size and digest. */
function metadataLies(): NetworkScenario[] {
  const path = `${RESOLVE}.*safetensors`
  const said: Readonly<Record<string, NonNullable<WireFault['headers']>>> = {
    'X-Repo-Commit of another commit': { 'X-Repo-Commit': 'f'.repeat(40) },
    'X-Repo-Commit that is a path': { 'X-Repo-Commit': '../../etc/passwd' },
    'X-Linked-Size of another size': { 'X-Linked-Size': '5' },
    'X-Linked-Size negative': { 'X-Linked-Size': '-1' },
    'X-Linked-Size beyond exact numbers': { 'X-Linked-Size': '9007199254740993' },
    'X-Linked-Etag of other bytes': { 'X-Linked-Etag': `"${'0'.repeat(64)}"` },
    'X-Linked-Etag starred': { 'X-Linked-Etag': `"${'*'.repeat(64)}"` },
    'X-Linked-Etag that is a path': { 'X-Linked-Etag': '"../../../etc/x"' },
    'no Location': { Location: null },
    'an empty Location': { Location: '' },
    'two Locations': { Location: ['http://127.0.0.1:9/a', 'http://127.0.0.1:9/b'] },
  }
  return Object.entries(said).map(([name, headers]) =>
    waits(name, [{ origin: 'hub', path, headers }], { isAboutOneFile: false }),
  )
}

function redirects({ file }: SceneFacts): NetworkScenario[] {
  const to = (location: string, status = 302) => ({ status, headers: { Location: location } })
  const places: Readonly<Record<string, string>> = {
    'a file': 'file:///etc/passwd',
    'another scheme': 'ftp://127.0.0.1/x',
    'a script': 'javascript:alert(1)',
    data: 'data:text/plain,x',
    credentials: 'http://user:pass@127.0.0.1:9/x',
    'a closed port': 'http://127.0.0.1:9/x',
    'a closed port of IPv6': 'http://[::1]:9/x',
    'no host': 'http:///x',
    'a name nobody has': 'http://nobody.invalid/x',
    'control characters': 'http://127.0.0.1:9/\u0001x',
    'a long address': `http://127.0.0.1:9/${'x'.repeat(20_000)}`,
  }
  const routes = { ...API_ROUTES, 'bytes of a file': file }
  return [
    ...Object.entries(places).map(([name, location]) =>
      waits(`bytes redirected to ${name}`, [{ origin: 'cdn', path: file, answer: to(location) }]),
    ),
    ...Object.entries(routes).flatMap(([route, path]) => [
      waits(`a redirect loop of the ${route}`, [{ path, answer: to('?') }], { isAboutOneFile: path === file }),
      waits(`the ${route} redirected to a closed port`, [{ path, answer: to('http://127.0.0.1:9/x', 307) }], {
        isAboutOneFile: path === file,
      }),
    ]),
  ]
}

function noise({ file }: SceneFacts): NetworkScenario[] {
  const raws: Readonly<Record<string, string>> = {
    'no HTTP at all': '220 mail.example ESMTP\r\n',
    'bytes without a status line': '\u0000\u0001\u0002\u0003'.repeat(100),
    'HTTP/2 without being asked': 'HTTP/2.0 200 OK\r\n\r\n',
    'a header line without an end': `HTTP/1.1 206 Partial Content\r\nX: ${'a'.repeat(300_000)}`,
    'ten thousand headers': `HTTP/1.1 206 OK\r\n${'X-A: b\r\n'.repeat(10_000)}\r\n`,
    'a blank in a header name': 'HTTP/1.1 206 OK\r\nContent Length : 5\r\n\r\nhello',
    'a status of two digits': 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n',
    'informational answers only': 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(50),
    'a chunk size that is none': 'HTTP/1.1 206 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n',
  }
  return [
    ...Object.entries(raws).map(([name, raw]) => waits(name, [{ origin: 'cdn', path: file, raw }])),
    ...Object.entries(raws).map(([name, raw]) =>
      waits(`${name}, twice from the Hub`, [{ origin: 'hub', path: LIST, raw, times: 2 }], { isAboutOneFile: false }),
    ),
    heals('bytes in pieces of 1,000', [{ origin: 'cdn', path: file, writeBytes: 1000 }]),
    heals('a Hub that sends single bytes', [{ origin: 'hub', writeBytes: 1 }]),
  ]
}

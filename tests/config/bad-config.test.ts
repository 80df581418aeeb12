import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { archiveErrorOf, sandbox } from './sandbox.ts'

/** Text of weightvault.yaml → what the whole error message must be. */
const EXACT: readonly (readonly [name: string, yaml: string, message: string])[] = [
  ['an unknown key at the top', 'archve: x', 'weightvault.yaml:1:1: archve: Unknown key; did you mean "archive"?'],
  [
    'an unknown key in a group',
    'hub:\n  tokn: x',
    'weightvault.yaml:2:3: hub.tokn: Unknown key; did you mean "token"?',
  ],
  [
    'an unknown key two groups down',
    'hub:\n  confirm_loss:\n    mises: 3',
    'weightvault.yaml:3:5: hub.confirm_loss.mises: Unknown key; did you mean "misses"?',
  ],
  [
    'an unknown key in a list entry',
    'log: {}\nwatch:\n  - org: Qwen\n    evry: 10m',
    'weightvault.yaml:4:5: watch[0].evry: Unknown key; did you mean "every"?',
  ],
  [
    'an unknown key in a group in a list entry',
    'watch:\n  - org: Qwen\n  - org: B\n    keep:\n      quant: [Q8_0]',
    'weightvault.yaml:5:7: watch[1].keep.quant: Unknown key; did you mean "quants"?',
  ],
  [
    'an unknown key that is like none',
    'log: { colour: red }',
    'weightvault.yaml:1:8: log.colour: Unknown key; known here: level',
  ],
  [
    'a merge key',
    'hub: &h {}\nbudget:\n  <<: *h',
    'weightvault.yaml:3:3: budget."<<": Unknown key; known here: total, reserve, rate, window',
  ],
  [
    'a key named __proto__',
    '__proto__: { archive: /etc }',
    'weightvault.yaml:1:1: __proto__: Unknown key; known here: archive, hub, budget, download, watch, license, scrub, serve, views, notify, smtp, log',
  ],
  [
    'a key named constructor',
    'log:\n  constructor: 1',
    'weightvault.yaml:2:3: log.constructor: Unknown key; known here: level',
  ],
  [
    'a key with terminal escapes',
    '"\\e]0;evil\\a": 1',
    'weightvault.yaml:1:1: "\\u001b]0;evil\\u0007": Unknown key; known here: archive, hub, budget, download, watch, license, scrub, serve, views, notify, smtp, log',
  ],
  [
    'a key that stands twice',
    'budget:\n  total: 1GB\n  total: 2GB',
    'weightvault.yaml:3:3: budget.total: This key stands here twice; keep one',
  ],
  [
    'a bit unit',
    'budget: { total: 500Gb }',
    'weightvault.yaml:1:18: budget.total: "500Gb" has no unit we know; did you mean "GB"?',
  ],
  [
    'a duration without a unit',
    'scrub: { every: 30 }',
    'weightvault.yaml:1:17: scrub.every: Expected a duration such as 10m or 30d',
  ],
  [
    'a poll interval below a second',
    'watch: [{ org: Qwen, every: 500ms }]',
    'weightvault.yaml:1:29: watch[0].every: "500ms" is outside of what is allowed here: 1s to 7d',
  ],
  [
    'a poll interval that a timer cannot hold',
    'watch: [{ org: Qwen, every: 60d }]',
    'weightvault.yaml:1:29: watch[0].every: "60d" is outside of what is allowed here: 1s to 7d',
  ],
  [
    'a negative size',
    'budget: { reserve: -5 }',
    'weightvault.yaml:1:20: budget.reserve: Expected a size such as 500GB or 8MiB',
  ],
  [
    'a text where a number belongs',
    'hub: { confirm_loss: { misses: three } }',
    'weightvault.yaml:1:32: hub.confirm_loss.misses: Expected a number, got a text',
  ],
  ['a list where a group belongs', 'hub: [1]', 'weightvault.yaml:1:6: hub: Expected a group of keys, got a list'],
  [
    'a group where a list belongs',
    'watch: { org: Qwen }',
    'weightvault.yaml:1:8: watch: Expected a list, got a group of keys',
  ],
  [
    'a number where a text belongs',
    'watch: [{ org: 7 }]',
    'weightvault.yaml:1:16: watch[0].org: Expected a text, got the number 7; put it in quotes',
  ],
  ['a key without a value', 'archive:\n', 'weightvault.yaml:1:9: archive: Has no value; give one or remove the key'],
  [
    'an empty watch list that could mean either all or nothing',
    'watch:\n  # - org: Qwen\n',
    'weightvault.yaml:1:7: watch: Has no value; give one or remove the key',
  ],
  ['a document that is no group of keys', '- org: Qwen', 'weightvault.yaml:1:1: Expected a group of keys, got a list'],
  [
    'two kinds of target',
    'watch:\n  - org: Qwen\n    user: Qwen',
    'weightvault.yaml:2:5: watch[0]: Exactly one of org, user and repo must stand here',
  ],
  [
    'no target',
    'watch: [{ every: 10m }]',
    'weightvault.yaml:1:9: watch[0]: Exactly one of org, user and repo must stand here',
  ],
  [
    'the same watch twice',
    'watch:\n  - org: Qwen\n  - user: Qwen',
    'weightvault.yaml:3:5: watch[1]: Watches the same as watch[0]; keep one',
  ],
  [
    'a path instead of an owner',
    'watch: [{ org: ../etc }]',
    'weightvault.yaml:1:16: watch[0].org: Expected the name of an organisation or user as the Hub spells it, such as Qwen',
  ],
  [
    'a repo without an owner',
    'watch: [{ repo: Qwen3-0.6B }]',
    'weightvault.yaml:1:17: watch[0].repo: Expected owner/name or datasets/owner/name',
  ],
  [
    'a repo as a URL',
    'watch: [{ repo: "https://huggingface.co/Qwen/Qwen3-0.6B" }]',
    'weightvault.yaml:1:17: watch[0].repo: Expected owner/name or datasets/owner/name; did you mean "Qwen/Qwen3-0.6B"?',
  ],
  [
    'match beside repo',
    'watch: [{ repo: Qwen/A, match: "*" }]',
    'weightvault.yaml:1:32: watch[0].match: match needs org or user: a repo is one repository already',
  ],
  [
    'an unknown format',
    'watch: [{ org: Qwen, keep: { formats: [ggfu] } }]',
    'weightvault.yaml:1:40: watch[0].keep.formats[0]: Expected one of safetensors, gguf, bin, pt, pth, ckpt, onnx, h5, msgpack, npz, tflite, other, got the text "ggfu"; did you mean "gguf"?',
  ],
  [
    'a filter that would keep nothing',
    'watch: [{ org: Qwen, keep: { quants: [] } }]',
    'weightvault.yaml:1:38: watch[0].keep.quants: An empty list would keep nothing; leave the key out to keep everything',
  ],
  [
    'a window that is no span',
    'budget: { window: "07:00-07:00" }',
    'weightvault.yaml:1:19: budget.window: Expected a time span such as "23:00-07:00": two different times of day',
  ],
  [
    'an endpoint with a scheme we do not speak',
    'hub: { endpoint: "file:///etc/passwd" }',
    'weightvault.yaml:1:18: hub.endpoint: Only http: and https: are allowed',
  ],
  [
    'an endpoint with a query',
    'hub: { endpoint: "https://hub.example/?a=b" }',
    'weightvault.yaml:1:18: hub.endpoint: Must not hold "?" or "#"',
  ],
  [
    'an address without a port',
    'serve: { dashboard: 127.0.0.1 }',
    'weightvault.yaml:1:21: serve.dashboard: Expected host:port such as 127.0.0.1:8420 or [::1]:8420, or off',
  ],
  [
    'an open address without a token',
    'serve:\n  dashboard: 0.0.0.0:8420',
    'weightvault.yaml:2:14: serve.dashboard: An address that is not loopback needs serve.token; without one use 127.0.0.1',
  ],
  [
    'a host with a path',
    'serve: { hosts: ["https://vault.example/x"] }',
    'weightvault.yaml:1:18: serve.hosts[0]: Expected a name such as vault.lan, or an origin such as https://vault.example',
  ],
  [
    'dashboard and mirror on one address',
    'serve: { mirror: "127.0.0.1:8420" }',
    'weightvault.yaml:1:18: serve.mirror: Must not be the address of the dashboard: archived content is never served from its origin',
  ],
  [
    'an unknown notification channel',
    'notify: [{ to: "slakc:hook" }]',
    'weightvault.yaml:1:16: notify[0].to: Unknown channel "slakc:"; allowed are https:, http:, ntfy:, slack:, discord:, mailto:; did you mean "slack"?',
  ],
  [
    'an unset variable',
    'log: {}\nhub:\n  token: ${NOPE}',
    'weightvault.yaml:3:10: hub.token: The environment variable NOPE is not set',
  ],
  [
    'a variable that every object inherits',
    'archive: ${toString}',
    'weightvault.yaml:1:10: archive: The environment variable toString is not set',
  ],
  [
    'a substitution with a default',
    'archive: ${A:-b}',
    'weightvault.yaml:1:10: archive: Only ${NAME} is replaced: letters, digits and "_"',
  ],
  [
    'a substitution without its end',
    'archive: x${A',
    'weightvault.yaml:1:10: archive: "${" without its "}"; write "$${" for the characters themselves',
  ],
  ['tabs', 'hub:\n\ttoken: x', 'weightvault.yaml:2:1: Not valid YAML: Tabs are not allowed as indentation'],
  [
    'a bare variable in a flow group',
    'notify: [{ to: ${HOOK} }]',
    'weightvault.yaml:1:17: Not valid YAML: Unexpected flow-map-start at node end; inside of {} and [] put "${NAME}" in quotes',
  ],
  [
    'a tag that asks for code',
    'archive: !!js/function x',
    'weightvault.yaml:1:10: Not valid YAML: Unresolved tag: tag:yaml.org,2002:js/function',
  ],
  [
    'an alias without an anchor',
    'archive: *a',
    'weightvault.yaml:1:10: archive: No anchor named "a" stands before this',
  ],
  [
    'an alias of itself',
    'watch: &a [*a]',
    'weightvault.yaml:1:12: watch: Too large, or nested too deeply, with its aliases followed',
  ],
]

for (const [name, yaml, message] of EXACT) {
  test(`loadConfig refuses ${name}, naming file, line, column and key`, async (t) => {
    const { write, load } = await sandbox(t)
    await write('weightvault.yaml', yaml)

    const error = await archiveErrorOf(load())

    assert.equal(error.code, 'CONFIG_INVALID')
    assert.equal(error.message, message)
  })
}

/** Values that must be refused, whatever the words. */
const REFUSED: readonly (readonly [key: string, yaml: string])[] = [
  ['archive', 'archive: ""'],
  ['archive', 'archive: "a\\0b"'],
  ['archive', 'archive: [a]'],
  ['hub.endpoint', 'hub: { endpoint: huggingface.co }'],
  ['hub.endpoint', 'hub: { endpoint: "https://hub.example/#x" }'],
  ['hub.endpoint', 'hub: { endpoint: "javascript:alert(1)" }'],
  ['hub.token', 'hub: { token: "two words" }'],
  ['hub.token', 'hub: { token: "line\\nend" }'],
  ['hub.token', 'hub: { token: 7 }'],
  ['hub.confirm_loss.misses', 'hub: { confirm_loss: { misses: 0 } }'],
  ['hub.confirm_loss.misses', 'hub: { confirm_loss: { misses: 1.5 } }'],
  ['budget.total', 'budget: { total: 1e400 }'],
  ['budget.total', 'budget: { total: 9007199254740993 }'],
  ['budget.total', 'budget: { total: 500 }'],
  ['budget.reserve', 'budget: { reserve: "500" }'],
  ['budget.total', 'budget: { total: .nan }'],
  ['budget.total', 'budget: { total: true }'],
  ['budget.rate', 'budget: { rate: 50MB }'],
  ['budget.rate', 'budget: { rate: 0MB/s }'],
  ['budget.window', 'budget: { window: "25:00-07:00" }'],
  ['watch[0].org', 'watch: [{ org: "Qwen/Qwen3" }]'],
  ['watch[0].org', 'watch: [{ org: ".." }]'],
  ['watch[0].repo', 'watch: [{ repo: "spaces/Qwen/demo" }]'],
  ['watch[0].repo', 'watch: [{ repo: "a/b/c" }]'],
  ['watch[0].repo', 'watch: [{ repo: "datasets/../x" }]'],
  ['watch[0].match', 'watch: [{ org: Qwen, match: "" }]'],
  ['watch[0].keep.files', 'watch: [{ org: Qwen, keep: { files: none } }]'],
  ['watch[0].keep.quants[0]', 'watch: [{ org: Qwen, keep: { quants: ["../x"] } }]'],
  ['watch[0].keep.include[0]', 'watch: [{ org: Qwen, keep: { include: [""] } }]'],
  ['watch[0].keep.max_repo', 'watch: [{ org: Qwen, keep: { max_repo: lots } }]'],
  ['license.allow', 'license: { allow: mit }'],
  ['scrub.every', 'scrub: { every: 0s }'],
  ['serve.dashboard', 'serve: { dashboard: 8420 }'],
  ['serve.dashboard', 'serve: { dashboard: "127.0.0.1:65536" }'],
  ['serve.dashboard', 'serve: { dashboard: "[127.0.0.1]:80" }'],
  ['serve.dashboard', 'serve: { dashboard: "::1:80" }'],
  ['serve.dashboard', 'serve: { dashboard: ":8420" }'],
  ['serve.dashboard', 'serve: { dashboard: "[::]:8420" }'],
  ['serve.dashboard', 'serve: { dashboard: "127.0.0.1.evil.example:80" }'],
  ['serve.mirror', 'serve: { mirror: "nas.local:80", token: "" }'],
  ['notify[0].to', 'notify: [{ min: info }]'],
  ['notify[0].to', 'notify: [{ to: "hooks.example/x" }]'],
  ['notify[0].to', 'notify: [{ to: "https://" }]'],
  ['notify[0].to', 'notify: [{ to: "mailto:nobody" }]'],
  ['notify[0].to', 'notify: [{ to: "file:///etc/passwd" }]'],
  ['notify[0].to', 'notify: [{ to: "slack:hook" }]'],
  ['notify[0].to', 'notify: [{ to: "discord:ftp://host/x" }]'],
  ['notify[0].to', 'notify: [{ to: "https://user:word@host/x" }]'],
  ['notify[0].to', 'notify: [{ to: "ntfy:https://host/" }]'],
  ['notify[0].to', 'notify: [{ to: "ntfy:https://host/a?b" }]'],
  ['notify[0].to', 'notify: [{ to: "mailto:a@b?subject=x" }]'],
  ['notify[0].to', 'notify: [{ to: "mailto:a@b.example\\r\\nBcc: c@d.example" }]'],
  ['notify[0].to', 'notify: [{ to: "mailto:a@b.example" }]'],
  ['notify[1].to', 'notify: [{ to: "ntfy:a" }, { to: "ntfy:a", digest: off }]'],
  ['notify[0].types[0]', 'notify: [{ to: "ntfy:a", types: [repo-gone] }]'],
  ['notify[0].types', 'notify: [{ to: "ntfy:a", types: [] }]'],
  ['notify[0].digest', 'notify: [{ to: "ntfy:a", digest: 1s }]'],
  ['smtp.from', 'smtp: { from: "x\\nBcc: y@z" }'],
  ['smtp.host', 'smtp: { host: "mail:25" }'],
  ['smtp.user', 'smtp: { user: u }'],
  ['smtp.security', 'smtp: { host: mail.example, security: none, user: u, password: p }'],
  ['notify[0].min', 'notify: [{ to: "https://hooks.example/x", min: loud }]'],
  ['log.level', 'log: { level: verbose }'],
]

for (const [key, yaml] of REFUSED) {
  test(`loadConfig refuses ${yaml.replaceAll('\n', ' ')}`, async (t) => {
    const { write, load } = await sandbox(t)
    await write('weightvault.yaml', yaml)

    const error = await archiveErrorOf(load())

    assert.equal(error.code, 'CONFIG_INVALID')
    assert.equal(/^weightvault\.yaml:1:\d+: ([^ ]+): /.exec(error.message)?.[1], key)
    assert.equal(error.message.split('\n').length, 1)
  })
}

test('loadConfig reports every problem of file and environment at once, in the order of the file', async (t) => {
  const { write, load } = await sandbox(t)
  await write(
    'weightvault.yaml',
    'archve: x\nbudget: { total: 5Gb, rate: 5 }\nlog:\n  level: loud\n  colour: ${NOPE}\n',
  )

  const error = await archiveErrorOf(load({ env: { HF_ENDPOINT: 'ftp://x' } }))

  assert.deepEqual(
    error.message.split('\n').map((line) => line.split(': ').slice(0, 2).join(': ')),
    [
      'HF_ENDPOINT: Only http',
      'weightvault.yaml:1:1: archve',
      'weightvault.yaml:2:18: budget.total',
      'weightvault.yaml:2:29: budget.rate',
      'weightvault.yaml:4:10: log.level',
      'weightvault.yaml:5:3: log.colour',
      'weightvault.yaml:5:11: log.colour',
    ],
  )
  assert.equal((error.details['problems'] as unknown[]).length, 7)
})

test('loadConfig shows at most 50 problems and counts the rest', async (t) => {
  const { write, load } = await sandbox(t)
  await write('weightvault.yaml', Array.from({ length: 500 }, (_, i) => `x${i}: 1`).join('\n'))

  const lines = (await archiveErrorOf(load())).message.split('\n')

  assert.equal(lines.length, 51)
  assert.equal(lines.at(-1), '… and 450 more')
})

const BILLION_LAUGHS = [
  'a0: &a0 [x, x, x, x, x, x, x, x, x]',
  ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`),
].join('\n')

const BOMBS: readonly (readonly [name: string, yaml: string])[] = [
  ['aliases that grow ninefold nine times', BILLION_LAUGHS],
  ['brackets nested a quarter million deep', '['.repeat(250_000)],
  ['blocks nested hundreds deep', Array.from({ length: 700 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ['thirty thousand keys', Array.from({ length: 30_000 }, (_, i) => `k${i}:`).join('\n')],
  ['a hundred thousand document ends', '---\n'.repeat(60_000)],
  ['a quarter megabyte on one line', `archive: ${'a'.repeat(250_000)}`],
]

for (const [name, yaml] of BOMBS) {
  test(`loadConfig refuses ${name} with a short message`, async (t) => {
    const { write, load } = await sandbox(t)
    await write('weightvault.yaml', yaml)

    const error = await archiveErrorOf(load())

    assert.equal(error.code, 'CONFIG_INVALID')
    assert.ok(error.message.length < 10_000)
  })
}

test('loadConfig refuses a second document: its half would be ignored', async (t) => {
  const { write, load } = await sandbox(t)
  await write('weightvault.yaml', 'archive: a\n---\nlog: {}\n')

  await assert.rejects(load(), { code: 'CONFIG_INVALID', message: /^weightvault\.yaml:2:1: Not valid YAML/ })
})

test('loadConfig refuses a file that is too large, binary, not UTF-8 or not a file', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await write('large.yaml', `# ${'x'.repeat(256 * 1024)}`)
  await write('binary.yaml', Buffer.from([0x61, 0x3a, 0x20, 0x00, 0x01]))
  await write('latin1.yaml', Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe]))
  await mkdir(join(folder, 'folder.yaml'))
  execFileSync('mkfifo', [join(folder, 'pipe.yaml')])
  await symlink('loop.yaml', join(folder, 'loop.yaml'))

  const messages = []
  for (const config of ['large.yaml', 'binary.yaml', 'latin1.yaml', 'folder.yaml', 'pipe.yaml', 'loop.yaml', 'a\0b']) {
    const error = await archiveErrorOf(load({ flags: { config } }))
    messages.push(`${error.code} ${error.message}`)
  }

  assert.deepEqual(messages, [
    'CONFIG_INVALID large.yaml: The configuration is larger than 262144 bytes',
    'CONFIG_INVALID binary.yaml: The configuration is not a text file',
    'CONFIG_INVALID latin1.yaml: The configuration is not a text file in UTF-8',
    'CONFIG_INVALID folder.yaml: The configuration is not a regular file',
    'CONFIG_INVALID pipe.yaml: The configuration is not a regular file',
    'CONFIG_INVALID loop.yaml: The configuration cannot be read (ELOOP)',
    'CONFIG_INVALID "a\\u0000b": The configuration cannot be read (ERR_INVALID_ARG_VALUE)',
  ])
})

test('loadConfig refuses a missing file that a flag or WEIGHTVAULT_CONFIG names, instead of taking defaults', async (t) => {
  const { load } = await sandbox(t)

  await assert.rejects(load({ flags: { config: 'gone.yaml' } }), {
    code: 'CONFIG_INVALID',
    message: 'gone.yaml: There is no such file, but the --config flag names it',
  })
  await assert.rejects(load({ env: { WEIGHTVAULT_CONFIG: 'gone.yaml' } }), {
    message: 'gone.yaml: There is no such file, but WEIGHTVAULT_CONFIG names it',
  })
})

test('loadConfig refuses an archive path that is empty or holds control characters', async (t) => {
  const { load } = await sandbox(t)

  await assert.rejects(load({ flags: { archive: '' } }), { code: 'CONFIG_INVALID', message: /^--archive: / })
  await assert.rejects(load({ flags: { archive: 'a\0b' } }), { code: 'CONFIG_INVALID', message: /^--archive: / })
  await assert.rejects(load({ env: { WEIGHTVAULT_ARCHIVE: 'a\nb' } }), { message: /^WEIGHTVAULT_ARCHIVE: / })
})

test('loadConfig refuses proxies it cannot use, naming the variable but not the value', async (t) => {
  const { load } = await sandbox(t)

  const error = await archiveErrorOf(load({ env: { HTTPS_PROXY: 'socks5://user:pa55@proxy', http_proxy: 'http://' } }))

  assert.equal(
    error.message,
    [
      'http_proxy: Expected a proxy such as http://proxy.example:3128',
      'HTTPS_PROXY: Expected a proxy such as http://proxy.example:3128',
    ].join('\n'),
  )
})

test('loadConfig never pollutes the prototype of objects', async (t) => {
  const { write, load } = await sandbox(t)
  await write('weightvault.yaml', '__proto__: { polluted: yes }\nhub: { __proto__: { polluted: yes } }\n')

  await archiveErrorOf(load())

  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

test('loadConfig stops when its signal is aborted', async (t) => {
  const { load } = await sandbox(t)
  const aborted = AbortSignal.abort()
  const { loadConfig } = await import('../../src/config/load-config.ts')

  await assert.rejects(loadConfig({ flags: {}, env: {}, cwd: '/', homeDir: '/' }, aborted), { name: 'AbortError' })
  await load()
})

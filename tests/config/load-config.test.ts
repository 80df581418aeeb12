import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { settingsOf } from '../../src/config/config.ts'
import { archiveErrorOf, sandbox } from './sandbox.ts'

test('loadConfig without file, flags and variables gives the documented defaults', async (t) => {
  const { folder, load } = await sandbox(t)

  const { config, file, tokenSource, warnings } = await load()

  assert.deepEqual(config, {
    archive: join(folder, 'archive'),
    hub: {
      endpoint: 'https://huggingface.co',
      token: undefined,
      webhookSecret: undefined,
      confirmLoss: { misses: 3, overMs: 1_800_000 },
    },
    budget: { totalBytes: 500e9, reserveBytes: 20e9, bytesPerSecond: undefined, window: undefined },
    watch: [
      {
        key: 'org:Qwen',
        target: { kind: 'org', owner: 'Qwen', match: undefined },
        everyMs: 600_000,
        silentAfterMs: 5_184_000_000,
        keep: {
          files: 'all',
          formats: undefined,
          quants: undefined,
          include: ['*'],
          exclude: [],
          maxRepoBytes: undefined,
        },
      },
    ],
    download: { sequential: false },
    license: { allow: ['apache-2.0', 'mit'] },
    scrub: { everyMs: 2_592_000_000, bytesPerSecond: 100e6 },
    serve: {
      dashboard: { host: '127.0.0.1', port: 8420 },
      mirror: { host: '127.0.0.1', port: 8421 },
      token: undefined,
      hosts: [],
      pullThrough: false,
    },
    views: [],
    notify: [],
    smtp: undefined,
    log: { level: 'info' },
    proxy: { http: undefined, https: undefined, noProxy: undefined },
    colorAllowed: true,
  })
  assert.deepEqual([file, tokenSource, warnings], [undefined, undefined, []])
})

const FULL = `
archive: ./archive
hub:
  endpoint: https://hub.example/base/      # or HF_ENDPOINT
  token: \${MY_TOKEN}                      # optional
  confirm_loss: { misses: 1, over: 0s }
budget:
  total: 4TB
  reserve: 0
  rate: 50MB/s
  window: "23:00-07:00"
watch:
  - org: Qwen
    every: 1s
    keep:
      files: metadata
      formats: [safetensors, gguf]
      quants: [Q8_0, ud-Q4_K_XL]
      include: ["*.gguf"]
      exclude: ["*/old/*"]
      max_repo: 200GB
  - user: unsloth
    match: "Qwen3*-GGUF"
  - repo: Qwen/Qwen3-0.6B
  - repo: datasets/Qwen/data
license: { allow: [Apache-2.0] }
scrub: { every: 7d, rate: 8MiB/s }
serve:
  dashboard: 0.0.0.0:8420
  mirror: off
  token: \${WEIGHTVAULT_TOKEN}
notify:
  - { to: "https://hooks.example/x", min: notice }
  - { to: "ntfy://ntfy.example/topic" }
  - { to: "ntfy:topic-1", types: [license-changed], repos: ["Qwen/*"], name: phone, digest: off, secret: tk_1 }
  - { to: "ntfy:topic-1", min: critical, name: phone, digest: off, secret: tk_1 }
  - { to: "slack://hooks.slack.example/services/T0/B0", allow_private: true, digest: 6h }
  - { to: "mailto:a@b.example,c@d.example" }
smtp: { host: mail.example, from: vault@b.example, user: u, password: "p w" }
log: { level: debug }
`

test('loadConfig reads every key of the file', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await write('weightvault.yaml', FULL)

  const { config, file, tokenSource } = await load({ env: { MY_TOKEN: 'hf_abc', WEIGHTVAULT_TOKEN: 'wv_abc' } })

  assert.equal(file, join(folder, 'weightvault.yaml'))
  assert.equal(tokenSource, 'config weightvault.yaml')
  assert.equal(config.hub.endpoint, 'https://hub.example/base')
  assert.equal(config.hub.token?.reveal(), 'hf_abc')
  assert.deepEqual(config.hub.confirmLoss, { misses: 1, overMs: 0 })
  assert.deepEqual(config.budget, {
    totalBytes: 4e12,
    reserveBytes: 0,
    bytesPerSecond: 50e6,
    window: { startMinute: 1380, endMinute: 420 },
  })
  assert.deepEqual(
    config.watch.map(({ key, target, everyMs }) => [key, target, everyMs]),
    [
      ['org:Qwen', { kind: 'org', owner: 'Qwen', match: undefined }, 1000],
      ['user:unsloth/Qwen3*-GGUF', { kind: 'user', owner: 'unsloth', match: 'Qwen3*-GGUF' }, 600_000],
      ['repo:Qwen/Qwen3-0.6B', { kind: 'repo', ref: { type: 'model', name: 'Qwen/Qwen3-0.6B' } }, 600_000],
      ['repo:datasets/Qwen/data', { kind: 'repo', ref: { type: 'dataset', name: 'Qwen/data' } }, 600_000],
    ],
  )
  assert.deepEqual(config.watch[0]?.keep, {
    files: 'metadata',
    formats: ['safetensors', 'gguf'],
    quants: ['Q8_0', 'UD-Q4_K_XL'],
    include: ['*.gguf'],
    exclude: ['*/old/*'],
    maxRepoBytes: 200e9,
  })
  assert.deepEqual(config.license.allow, ['apache-2.0'])
  assert.deepEqual(config.scrub, { everyMs: 604_800_000, bytesPerSecond: 8 * 2 ** 20 })
  assert.deepEqual([config.serve.dashboard, config.serve.mirror], [{ host: '0.0.0.0', port: 8420 }, undefined])
  assert.equal(config.serve.token?.reveal(), 'wv_abc')
  assert.deepEqual(
    config.notify.map(({ channel, url, rules }) => [channel, url.reveal(), rules.map(({ min }) => min)]),
    [
      ['webhook', 'https://hooks.example/x', ['notice']],
      ['ntfy', 'https://ntfy.example/topic', ['warning']],
      ['ntfy', 'https://ntfy.sh/topic-1', ['warning', 'critical']],
      ['slack', 'https://hooks.slack.example/services/T0/B0', ['warning']],
      ['mailto', 'a@b.example,c@d.example', ['warning']],
    ],
  )
  const [hook, , phone, slack] = config.notify
  assert.deepEqual(
    [hook?.digestMs, hook?.allowPrivate, hook?.secret, hook?.name],
    [86_400_000, false, undefined, undefined],
  )
  assert.deepEqual([phone?.name, phone?.digestMs, phone?.secret?.reveal()], ['phone', undefined, 'tk_1'])
  assert.deepEqual(phone?.rules[0], { min: 'warning', types: ['license-changed'], repos: ['Qwen/*'] })
  assert.deepEqual([slack?.allowPrivate, slack?.digestMs], [true, 21_600_000])
  const { password, ...smtp } = config.smtp!
  assert.deepEqual(smtp, { host: 'mail.example', port: 587, security: 'starttls', user: 'u', from: 'vault@b.example' })
  assert.equal(password?.reveal(), 'p w')
  assert.equal(config.log.level, 'debug')
})

test('settingsOf hands the pipeline its part', async (t) => {
  const { write, load } = await sandbox(t)
  await write('weightvault.yaml', 'budget: { total: 1GB, reserve: 2GB, rate: 3MB/s, window: 01:00-02:00 }')

  const { config } = await load()

  assert.deepEqual(settingsOf(config), {
    watches: config.watch,
    budgetBytes: 1e9,
    reserveBytes: 2e9,
    rateBytesPerSecond: 3e6,
    window: { startMinute: 60, endMinute: 120 },
    confirmLoss: { misses: 3, overMs: 1_800_000 },
    licenseAllow: ['apache-2.0', 'mit'],
    views: [],
  })
})

test('loadConfig takes an empty file, an empty section and an empty watch list as what they say', async (t) => {
  const { write, load } = await sandbox(t)
  await write('empty.yaml', '')
  await write('comments.yaml', '# nothing\n---\n')
  await write('sections.yaml', 'hub:\nbudget:\n  # total: 1GB\nnotify:\nserve:\nlog:\nscrub:\nlicense:\n')
  await write('unwatched.yaml', 'watch: []')

  const defaults = (await load()).config

  for (const config of ['empty.yaml', 'comments.yaml', 'sections.yaml']) {
    assert.deepEqual((await load({ flags: { config } })).config, defaults)
  }
  assert.deepEqual((await load({ flags: { config: 'unwatched.yaml' } })).config.watch, [])
})

test('loadConfig finds ./weightvault.yaml, then XDG_CONFIG_HOME, then ~/.config', async (t) => {
  const { folder, write, load } = await sandbox(t)
  const home = join(folder, 'home')
  const xdg = join(folder, 'xdg')
  for (const base of [join(home, '.config'), xdg]) await mkdir(join(base, 'weightvault'), { recursive: true })
  const load2 = (env: NodeJS.ProcessEnv): Promise<string> =>
    load({ env, homeDir: home }).then(({ config }) => config.log.level)

  await writeFile(join(home, '.config/weightvault/config.yaml'), 'log: { level: warn }')
  assert.equal(await load2({}), 'warn')
  assert.equal(await load2({ XDG_CONFIG_HOME: xdg }), 'info')
  await writeFile(join(xdg, 'weightvault/config.yaml'), 'log: { level: error }')
  assert.equal(await load2({ XDG_CONFIG_HOME: xdg }), 'error')
  await write('weightvault.yaml', 'log: { level: debug }')
  assert.equal(await load2({ XDG_CONFIG_HOME: xdg }), 'debug')
  await write('other.yaml', 'log: { level: trace }')
  assert.equal(await load2({ WEIGHTVAULT_CONFIG: 'other.yaml' }), 'trace')
  assert.equal(await load2({ WEIGHTVAULT_CONFIG: '' }), 'debug')
})

test('loadConfig prefers the --config flag to WEIGHTVAULT_CONFIG', async (t) => {
  const { write, load } = await sandbox(t)
  await write('a.yaml', 'log: { level: trace }')
  await write('b.yaml', 'log: { level: fatal }')

  const { config } = await load({ flags: { config: 'a.yaml' }, env: { WEIGHTVAULT_CONFIG: 'b.yaml' } })

  assert.equal(config.log.level, 'trace')
})

test('loadConfig takes the archive from flag, then environment, then file, then default, each relative to its place', async (t) => {
  const { folder, load } = await sandbox(t)
  const etc = join(folder, 'etc')
  await mkdir(etc)
  await writeFile(join(etc, 'config.yaml'), 'archive: data/vault')
  await writeFile(join(etc, 'bare.yaml'), '')
  await writeFile(join(etc, 'home.yaml'), 'archive: ~/vault')
  const flags = { config: 'etc/config.yaml' }
  const env = { WEIGHTVAULT_ARCHIVE: 'from-env' }

  const archives = [
    await load({ flags: { ...flags, archive: 'from-flag' }, env }),
    await load({ flags, env }),
    await load({ flags }),
    await load({ flags: { config: 'etc/bare.yaml' } }),
    await load({ flags: { config: 'etc/home.yaml' } }),
    await load({ flags: { archive: '/abs/olute' } }),
    await load({ flags, env: { WEIGHTVAULT_ARCHIVE: '' } }),
  ].map(({ config }) => config.archive)

  assert.deepEqual(archives, [
    join(folder, 'from-flag'),
    join(folder, 'from-env'),
    join(etc, 'data/vault'),
    join(etc, 'archive'),
    join(folder, 'vault'),
    '/abs/olute',
    join(etc, 'data/vault'),
  ])
})

test('loadConfig prefers HF_ENDPOINT to the file and drops trailing slashes', async (t) => {
  const { write, load } = await sandbox(t)
  await write('weightvault.yaml', 'hub: { endpoint: "http://127.0.0.1:5000/" }')

  assert.equal((await load()).config.hub.endpoint, 'http://127.0.0.1:5000')
  assert.equal((await load({ env: { HF_ENDPOINT: '' } })).config.hub.endpoint, 'http://127.0.0.1:5000')
  const { config } = await load({ env: { HF_ENDPOINT: 'HTTPS://Mirror.example:443/hf//' } })
  assert.equal(config.hub.endpoint, 'https://mirror.example/hf')
})

test('loadConfig refuses credentials in an endpoint without repeating them', async (t) => {
  const { write, load } = await sandbox(t)
  await write('weightvault.yaml', 'hub: { endpoint: "https://user:pa55word@hub.example" }')

  const inFile = await archiveErrorOf(load())
  const inEnv = await archiveErrorOf(load({ env: { HF_ENDPOINT: 'https://pa55word@hub.example' } }))

  assert.match(inFile.message, /hub\.endpoint: Must not hold a user name or password/)
  assert.match(inEnv.message, /^HF_ENDPOINT: Must not hold a user name or password/)
  assert.doesNotMatch(JSON.stringify([inFile, inFile.message, inFile.details, inEnv.message]), /pa55word/)
})

test('loadConfig replaces ${NAME} once, keeps $${ as characters, and leaves keys and numbers alone', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await write('weightvault.yaml', 'archive: /data/${A}/$${A}/${B}\nlog:\n  level: ${LEVEL}\n# ${UNSET} in a comment\n')

  const { config } = await load({ env: { A: 'one', B: '${A}', LEVEL: 'warn' } })

  assert.equal(config.archive, '/data/one/${A}/${A}')
  assert.equal(config.log.level, 'warn')
  assert.notEqual(config.archive, folder)
})

test('loadConfig follows anchors and aliases within one file', async (t) => {
  const { write, load } = await sandbox(t)
  await write(
    'weightvault.yaml',
    'watch:\n  - org: A\n    keep: &k { quants: [Q8_0] }\n  - org: B\n    keep: *k\n  - { org: C }\n',
  )

  const { config } = await load()

  assert.deepEqual(
    config.watch.map(({ keep }) => keep.quants),
    [['Q8_0'], ['Q8_0'], undefined],
  )
})

test('loadConfig reads yes, no and times as texts: YAML 1.2, also when the file asks for 1.1', async (t) => {
  const { write, load } = await sandbox(t)
  await write(
    'weightvault.yaml',
    '%YAML 1.1\n---\nwatch: [{ org: yes }, { user: no }]\nbudget: { window: 22:30-06:00 }\n',
  )

  const { config } = await load()

  assert.deepEqual(
    config.watch.map(({ key }) => key),
    ['org:yes', 'user:no'],
  )
  assert.deepEqual(config.budget.window, { startMinute: 1350, endMinute: 360 })
})

test('loadConfig allows loopback addresses without a token and others with one', async (t) => {
  const { write, load } = await sandbox(t)
  for (const address of ['127.0.0.1:0', '127.9.9.9:80', '[::1]:80', 'localhost:80']) {
    await write('weightvault.yaml', `serve: { dashboard: "${address}", mirror: "off" }`)
    await load()
  }
  await write('weightvault.yaml', 'serve: { dashboard: "[::]:80", mirror: "nas.local:80", token: abc }')

  const { config } = await load()

  assert.deepEqual(config.serve.dashboard, { host: '::', port: 80 })
  assert.deepEqual(config.serve.mirror, { host: 'nas.local', port: 80 })
})

test('loadConfig reads proxies in either case, lower case first, and NO_COLOR', async (t) => {
  const { load } = await sandbox(t)

  const lower = await load({
    env: {
      http_proxy: 'proxy.example:3128',
      HTTP_PROXY: 'http://upper.example',
      HTTPS_PROXY: 'https://u:p@p.example',
      NO_PROXY: 'a,b',
    },
  })
  const none = await load({ env: { http_proxy: '', no_proxy: 'c', NO_PROXY: 'd', NO_COLOR: '1' } })

  assert.equal(lower.config.proxy.http?.reveal(), 'http://proxy.example:3128/')
  assert.equal(lower.config.proxy.https?.reveal(), 'https://u:p@p.example/')
  assert.equal(lower.config.proxy.noProxy, 'a,b')
  assert.equal(lower.config.colorAllowed, true)
  assert.deepEqual(none.config.proxy, { http: undefined, https: undefined, noProxy: 'c' })
  assert.equal(none.config.colorAllowed, false)
})

test('loadConfig warns of a quantisation that no file name can mean', async (t) => {
  const { write, load } = await sandbox(t)
  await write('weightvault.yaml', 'watch: [{ org: Qwen, keep: { quants: [Q4KM, q4_k_m, UD-Q4_K_XL, BF16] } }]')

  const { warnings } = await load()

  assert.deepEqual(warnings, ['watch[0].keep.quants: no file name is known to mean Q4KM; it would keep nothing'])
})

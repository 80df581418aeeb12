import assert from 'node:assert/strict'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import pino from 'pino'
import { Secret } from '../../src/config/secret.ts'
import { archiveErrorOf, sandbox } from './sandbox.ts'

const CANARY = 'hf_CANARYcanaryCANARYcanary'

test('Secret shows itself only to reveal()', () => {
  const secret = new Secret(CANARY)

  const shown = [
    String(secret),
    [secret, 'in a text'].join(' '),
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true, depth: 9, getters: true }),
    format('%s %o %j %O', secret, secret, secret, secret),
    Object.entries(secret).join(','),
    JSON.stringify(Object.assign({}, secret)),
    inspect(structuredClone({ secret })),
  ].join('\n')

  assert.doesNotMatch(shown, /CANARY/i)
  assert.equal(secret.reveal(), CANARY)
})

test('loadConfig gives a configuration that no printing, logging or serialising betrays', async (t) => {
  const { write, load } = await sandbox(t)
  await write(
    'weightvault.yaml',
    `hub: { token: "${CANARY}" }\nserve: { token: "${CANARY}" }\nnotify: [{ to: "https://hooks.example/${CANARY}" }]\n`,
  )
  const loaded = await load({ env: { HTTPS_PROXY: `http://user:${CANARY}@proxy.example` } })
  let logged = ''
  const log = pino({}, { write: (line: string) => (logged += line) })

  log.info({ loaded }, 'configuration read')
  const shown = [
    JSON.stringify(loaded),
    inspect(loaded, { depth: 20, showHidden: true }),
    format('%s %o', loaded.config, loaded.config),
    [loaded.config.hub.token, loaded.config.serve.token].map(String).join(' '),
    logged,
  ].join('\n')

  assert.doesNotMatch(shown, /CANARY/i)
  assert.match(shown, /\[secret\]/)
  assert.equal(loaded.config.hub.token?.reveal(), CANARY)
})

const LEAKS: readonly (readonly [name: string, yaml: string])[] = [
  ['a token that cannot be sent', `hub: { token: "${CANARY} x" }`],
  ['a token from a variable that cannot be sent', 'hub:\n  token: ${SECRET} x'],
  ['a syntax error beside the token', `hub:\n  token: ${CANARY} x: y`],
  ['a syntax error inside quotes', `hub:\n  token: "${CANARY}" x`],
  ['a bad escape in the token', `hub:\n  token: "${CANARY}\\q"`],
  ['a webhook without a scheme', `notify: [{ to: "hooks.example/${CANARY}" }]`],
  ['an unknown channel', `notify: [{ to: "slak:${CANARY}" }]`],
  ['a broken URL', `notify: [{ to: "https://[${CANARY}" }]`],
  ['a variable where a size belongs', 'budget:\n  total: ${SECRET}'],
  ['a variable where a rate belongs', 'budget:\n  rate: ${SECRET}'],
  ['a variable inside of a duration', 'scrub:\n  every: 1${SECRET}'],
  ['a variable where a word belongs', 'log:\n  level: ${SECRET}'],
  ['a variable where a format belongs', 'watch:\n  - org: Qwen\n    keep:\n      formats:\n        - ${SECRET}'],
  ['a variable where a repo belongs', 'watch:\n  - repo: hf://a/${SECRET}'],
  ['a variable where an address belongs', 'serve:\n  dashboard: ${SECRET}'],
]

for (const [name, yaml] of LEAKS) {
  test(`loadConfig does not show the secret in its error for ${name}`, async (t) => {
    const { write, load } = await sandbox(t)
    await write('weightvault.yaml', yaml)

    const error = await archiveErrorOf(load({ env: { SECRET: CANARY } }))

    assert.equal(error.code, 'CONFIG_INVALID')
    assert.doesNotMatch(`${error.message} ${JSON.stringify(error)} ${inspect(error, { depth: 9 })}`, /CANARY/i)
  })
}

test('findToken refuses a file named by HF_TOKEN_PATH that others can read', async (t) => {
  const { write, load } = await sandbox(t)
  await write('token', 'hf_x\n')
  for (const mode of [0o644, 0o640, 0o604, 0o620, 0o660]) {
    await chmod(await write('token', 'hf_x\n'), mode)

    await assert.rejects(load({ env: { HF_TOKEN_PATH: 'token' } }), { code: 'UNSAFE_PERMISSION' })
  }
})

test('findToken refuses a named token file that is missing, a folder, too large or no token', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await mkdir(join(folder, 'folder'), { mode: 0o700 })
  await write('large', 'x'.repeat(5000))
  await write('words', `two ${CANARY}`)
  await write('binary', Buffer.from([0xff, 0xfe, 0x00]))

  for (const path of ['gone', 'folder', 'large', 'words', 'binary']) {
    const error = await archiveErrorOf(load({ env: { HF_TOKEN_PATH: path } }))

    assert.equal(error.code, 'CREDENTIALS_INVALID')
    assert.doesNotMatch(inspect(error), /CANARY/)
  }
})

test('findToken refuses a HF_TOKEN that could smuggle a header', async (t) => {
  const { load } = await sandbox(t)

  for (const token of [`${CANARY}\r\nX-Evil: 1`, 'tökèn', 'a b', 'x'.repeat(1025)]) {
    const error = await archiveErrorOf(load({ env: { HF_TOKEN: token } }))

    assert.equal(error.code, 'CREDENTIALS_INVALID')
    assert.doesNotMatch(error.message, /CANARY/)
  }
})

test('findToken takes HF_TOKEN, then HF_TOKEN_PATH, then the file, then what a login left', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await write('path-token', '\n  hf_path  \nsecond line\n')
  await write('weightvault.yaml', 'hub: { token: hf_config }')
  await mkdir(join(folder, '.cache/huggingface'), { recursive: true })
  await writeFile(join(folder, '.cache/huggingface/token'), 'hf_login', { mode: 0o600 })
  await write('bare.yaml', '')
  const HF_TOKEN_PATH = join(folder, 'path-token')
  const bare = { flags: { config: 'bare.yaml' } }

  const found = [
    await load({ env: { HF_TOKEN: ' hf_env\n', HF_TOKEN_PATH } }),
    await load({ env: { HF_TOKEN: '', HF_TOKEN_PATH } }),
    await load({ env: { HF_TOKEN_PATH: '' } }),
    await load(bare),
  ].map(({ config, tokenSource }) => [config.hub.token?.reveal(), tokenSource])

  assert.deepEqual(found, [
    ['hf_env', 'env HF_TOKEN'],
    ['hf_path', `file ${HF_TOKEN_PATH}`],
    ['hf_config', 'config weightvault.yaml'],
    ['hf_login', `file ${join(folder, '.cache/huggingface/token')}`],
  ])
})

test('findToken looks for a login in HF_HOME, then in XDG_CACHE_HOME', async (t) => {
  const { folder, load } = await sandbox(t)
  await mkdir(join(folder, 'hf'))
  await mkdir(join(folder, 'xdg/huggingface'), { recursive: true })
  await writeFile(join(folder, 'hf/token'), 'hf_home', { mode: 0o600 })
  await writeFile(join(folder, 'xdg/huggingface/token'), 'hf_xdg', { mode: 0o600 })

  const found = [
    await load({ env: { HF_HOME: '~/hf', XDG_CACHE_HOME: join(folder, 'xdg') } }),
    await load({ env: { XDG_CACHE_HOME: join(folder, 'xdg') } }),
    await load(),
  ].map(({ config }) => config.hub.token?.reveal())

  assert.deepEqual(found, ['hf_home', 'hf_xdg', undefined])
})

test('findToken only warns when others can read what a login left: the Hub’s own client made it so', async (t) => {
  const { folder, write, load } = await sandbox(t)
  const path = await write('token', 'hf_login')
  await chmod(path, 0o644)

  const { config, warnings } = await load({ env: { HF_HOME: folder } })

  assert.equal(config.hub.token?.reveal(), 'hf_login')
  assert.deepEqual(warnings, [`other users can read the token in ${path}; chmod 600 it`])
})

test('findToken takes an empty token file and an empty token for none', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await write('token', '\n')
  await write('weightvault.yaml', 'hub:\n  token: ${EMPTY}\n')

  const { config, tokenSource, warnings } = await load({ env: { HF_HOME: folder, EMPTY: '' } })

  assert.deepEqual([config.hub.token, tokenSource], [undefined, undefined])
  assert.deepEqual(warnings, [`the token file ${join(folder, 'token')} is empty`])
})

test('findToken accepts the group bit only inside of the folder that systemd gives a service', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await mkdir(join(folder, 'credentials'))
  await chmod(await write('credentials/hf_token', 'hf_service'), 0o440)
  await chmod(await write('outside', 'hf_outside'), 0o440)
  const CREDENTIALS_DIRECTORY = join(folder, 'credentials')

  const inside = await load({ env: { CREDENTIALS_DIRECTORY, HF_TOKEN_PATH: join(CREDENTIALS_DIRECTORY, 'hf_token') } })

  assert.equal(inside.config.hub.token?.reveal(), 'hf_service')
  for (const HF_TOKEN_PATH of ['outside', join(CREDENTIALS_DIRECTORY, '../outside')]) {
    await assert.rejects(load({ env: { CREDENTIALS_DIRECTORY, HF_TOKEN_PATH } }), { code: 'UNSAFE_PERMISSION' })
  }
})

test('findToken judges the file behind a symbolic link, not the link', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await write('private', 'hf_private')
  await chmod(await write('open', 'hf_open'), 0o644)
  await symlink('private', join(folder, 'to-private'))
  await symlink('open', join(folder, 'to-open'))

  assert.equal((await load({ env: { HF_TOKEN_PATH: 'to-private' } })).config.hub.token?.reveal(), 'hf_private')
  await assert.rejects(load({ env: { HF_TOKEN_PATH: 'to-open' } }), { code: 'UNSAFE_PERMISSION' })
})

test('loadConfig warns of secrets written into a file that others can read, and of a token sent in clear text', async (t) => {
  const { write, load } = await sandbox(t)
  const yaml =
    'hub:\n  token: hf_x\n  endpoint: http://hub.example\nserve:\n  token: ${T}\nnotify:\n  - to: slack:https://hooks.example/x\n'
  const path = await write('weightvault.yaml', yaml)
  await chmod(path, 0o644)

  const open = await load({ env: { T: 'x' } })
  await chmod(path, 0o640)
  const closed = await load({ env: { T: 'x' } })
  const loopback = await load({ env: { T: 'x', HF_ENDPOINT: 'http://127.0.0.1:9' } })

  const clear = 'the token is sent unencrypted to http://hub.example; use an https: endpoint'
  const hint = 'in weightvault.yaml; chmod 600 the file, or use an environment variable'
  assert.deepEqual(open.warnings, [
    `other users can read hub.token ${hint}`,
    `other users can read notify[0].to ${hint}`,
    clear,
  ])
  assert.deepEqual(closed.warnings, [clear])
  assert.deepEqual(loopback.warnings, [])
})

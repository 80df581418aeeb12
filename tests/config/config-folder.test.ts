import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configTemplate } from '../../src/config/config-template.ts'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { sandbox } from './sandbox.ts'

const read = (name: string): string => readFileSync(new URL(`../../config/${name}`, import.meta.url), 'utf8')

test('config/weightvault.example.yaml is what init writes', () => {
  assert.equal(read('weightvault.example.yaml'), configTemplate())
})

test('config/weightvault.schema.json is what the code accepts', () => {
  assert.deepEqual(JSON.parse(read('weightvault.schema.json')), configJsonSchema())
})

test('the example says the defaults', async (t) => {
  const { folder, write, load } = await sandbox(t)
  await write('example.yaml', configTemplate())

  const example = await load({ flags: { config: 'example.yaml' } })

  assert.deepEqual(example.config, (await load()).config)
  assert.equal(example.config.archive, join(folder, 'archive'))
  assert.deepEqual(example.warnings, [])
})

test('the example stays valid with every commented key switched on', async (t) => {
  const { write, load } = await sandbox(t)
  const text = configTemplate()
    .replace('notify: []\n', 'notify:\n')
    .replace('views: []\n', 'views:\n')
    .replaceAll(/^#( {2,}\S)/gm, '$1')
    .replaceAll(/^( +)# (token|rate|window|formats|quants|max_repo|- user|  match|  keep): /gm, '$1$2: ')
  await write('weightvault.yaml', text)

  const { config, warnings } = await load({
    env: { HF_TOKEN: 'hf_x', WEIGHTVAULT_TOKEN: 'wv_x', WEBHOOK_SECRET: 'key' },
  })

  assert.deepEqual(warnings, [])
  assert.equal(config.serve.token?.reveal(), 'wv_x')
  assert.deepEqual([config.budget.bytesPerSecond, config.budget.window?.startMinute], [50e6, 23 * 60])
  assert.deepEqual(
    config.watch.map(({ key, keep }) => [key, keep.formats, keep.quants, keep.maxRepoBytes]),
    [
      ['org:Qwen', ['safetensors', 'gguf'], ['Q8_0', 'Q4_K_M'], 200e9],
      ['user:unsloth/Qwen3*-GGUF', undefined, ['UD-Q4_K_XL'], undefined],
    ],
  )
  assert.deepEqual(
    config.notify.map(({ channel, name, rules }) => [channel, name, rules[0]?.min]),
    [['webhook', 'ops', 'warning']],
  )
  assert.deepEqual(config.views, [{ path: '/srv/hub', repos: ['Qwen/*'] }])
})

test('the example mentions every key of the schema', () => {
  const text = configTemplate()

  const keys = keysOf(configJsonSchema())

  assert.ok(keys.length > 25)
  for (const key of keys) assert.match(text, new RegExp(`\\b${key}\\b`), key)
})

test('every key of the schema has a description for editors, and unknown keys are refused everywhere', () => {
  const groups: Schema[] = []
  collectGroups(configJsonSchema(), groups)

  assert.ok(groups.length >= 10)
  for (const group of groups) {
    assert.equal(group.additionalProperties, false)
    for (const [key, value] of Object.entries(group.properties ?? {})) {
      assert.ok((value.description ?? '').length > 10, `${key} has no description`)
    }
  }
})

test('the first line of the example names the schema to editors', () => {
  assert.ok(read('weightvault.example.yaml').startsWith('# yaml-language-server: $schema=./weightvault.schema.json\n'))
})

test('config/weightvault.service starts the service unprivileged, and does not retry what a human must mend', () => {
  const unit = read('weightvault.service')
  const settings = new Map(
    unit
      .split('\n')
      .filter((line) => /^[A-Za-z]+=/.test(line))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )

  const expected = {
    Type: 'exec',
    User: 'weightvault',
    ExecStart: '/usr/bin/env weightvault run --config /etc/weightvault/config.yaml',
    StateDirectory: 'weightvault',
    UMask: '0027',
    KillSignal: 'SIGTERM',
    TimeoutStopSec: '15',
    Restart: 'on-failure',
    RestartPreventExitStatus: '2 3 9 78',
    NoNewPrivileges: 'yes',
    CapabilityBoundingSet: '',
    ProtectSystem: 'strict',
    ProtectHome: 'yes',
    PrivateDevices: 'yes',
    RestrictAddressFamilies: 'AF_INET AF_INET6 AF_UNIX',
  }
  for (const [key, value] of Object.entries(expected)) assert.equal(settings.get(key), value, key)
  assert.equal(settings.has('MemoryDenyWriteExecute'), false)
  assert.match(unit, /^#LoadCredential=hf_token:.*\n#Environment=HF_TOKEN_PATH=%d\/hf_token$/m)
})

interface Schema {
  readonly description?: string
  readonly type?: string
  readonly additionalProperties?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
}

function collectGroups(schema: Schema, groups: Schema[]): void {
  if (schema.type === 'object') groups.push(schema)
  for (const child of Object.values(schema.properties ?? {})) collectGroups(child, groups)
  if (schema.items !== undefined) collectGroups(schema.items, groups)
}

function keysOf(schema: Schema): string[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, child]) => [key, ...keysOf(child)])
  return schema.items === undefined ? own : [...own, ...keysOf(schema.items)]
}

test('the documented install puts the archive where the unit may write, for cron and for people too', () => {
  const expression = "sed -i 's|^archive:.*|archive: /var/lib/weightvault/archive|' /etc/weightvault/config.yaml"

  assert.ok(read('weightvault.service').includes(expression))
  assert.ok(read('../README.md').includes(expression))
  assert.equal(configTemplate().match(/^archive:.*$/gm)?.length, 1)
})

import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import { test } from 'node:test'
import { AddressGuard } from '../../src/hub/address-guard.ts'
import { isPrivateAddress } from '../../src/lib/private-address.ts'
import { readTarget, type Target } from '../../src/hub/url-target.ts'

function target(text: string): Target {
  const reading = readTarget(text, undefined)
  if (reading.kind === 'refused') throw new Error(reading.reason)
  return reading.target
}

/** A guard whose names resolve as the table says. */
function guardFor(endpoint: string, names: Record<string, string[]>): AddressGuard {
  return new AddressGuard(target(endpoint), (hostname, callback) => {
    const addresses = names[hostname]
    if (addresses === undefined) callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), [])
    else
      callback(
        null,
        addresses.map((address): LookupAddress => ({ address, family: isIP(address) })),
      )
  })
}

async function lookup(guard: AddressGuard, url: string): Promise<string> {
  const to = target(url)
  const { promise, resolve } = Promise.withResolvers<string>()
  guard.lookupFor(to)(to.hostname, { all: true }, (error, addresses) => {
    resolve(error === null ? JSON.stringify(addresses) : error.name)
  })
  return promise
}

const PRIVATE = [
  '0.0.0.0',
  '10.0.0.1',
  '10.255.255.255',
  '100.64.0.1',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '169.254.170.2',
  '172.16.0.0',
  '172.31.255.255',
  '192.0.0.192',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '::ffff:0:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::1',
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  'not an address',
]
const PUBLIC = [
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '192.169.0.0',
  '223.255.255.255',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
  '2606:4700::1111',
  '2a00:1450:4001:829::200e',
]

test('isPrivateAddress names every network that is not the public internet, in every spelling', () => {
  for (const address of PRIVATE) assert.equal(isPrivateAddress(address), true, address)
})

test('isPrivateAddress lets public addresses pass, also beside the borders', () => {
  for (const address of PUBLIC) assert.equal(isPrivateAddress(address), false, address)
})

test('AddressGuard refuses private spellings when the endpoint is public', () => {
  const guard = guardFor('https://hub.test', {})
  const refused = [
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0177.0.0.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://localhost/',
    'http://x.localhost./',
    'http://metadata.google.internal/',
    'http://printer.local/',
  ]

  for (const url of refused) assert.notEqual(guard.refusal(target(url)), undefined, url)
  assert.equal(guard.refusal(target('https://cdn.test/')), undefined)
})

test('AddressGuard refuses a name when one of its addresses is private', async () => {
  const guard = guardFor('https://hub.test', { 'cdn.test': ['8.8.8.8', '::ffff:10.0.0.1'] })

  assert.equal(await lookup(guard, 'https://cdn.test/'), 'AddressRefusedError')
})

test('AddressGuard hands on exactly the addresses it checked', async () => {
  const guard = guardFor('https://hub.test', { 'cdn.test': ['8.8.8.8', '2606:4700::1111'] })

  assert.equal(
    await lookup(guard, 'https://cdn.test/'),
    '[{"address":"8.8.8.8","family":4},{"address":"2606:4700::1111","family":6}]',
  )
})

test('AddressGuard lets a private endpoint name private addresses, by spelling or by what it resolves to', async () => {
  const byName = guardFor('https://hub.test', { 'hub.test': ['10.0.0.5'], 'cdn.test': ['10.0.0.6'] })

  assert.equal(guardFor('http://127.0.0.1:80', {}).refusal(target('http://127.0.0.1:81/')), undefined)
  assert.equal(await lookup(byName, 'https://cdn.test/'), 'AddressRefusedError')
  assert.match(await lookup(byName, 'https://hub.test/'), /10\.0\.0\.5/)
  assert.match(await lookup(byName, 'https://cdn.test/'), /10\.0\.0\.6/)
})

test('AddressGuard stays closed when a public endpoint has one private address among public ones', async () => {
  const guard = guardFor('https://hub.test', { 'hub.test': ['8.8.8.8', '10.0.0.5'], 'cdn.test': ['10.0.0.6'] })
  await lookup(guard, 'https://hub.test/')

  assert.equal(await lookup(guard, 'https://cdn.test/'), 'AddressRefusedError')
})

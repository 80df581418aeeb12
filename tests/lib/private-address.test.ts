import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { test } from 'node:test'
import { publicLookup } from '../../src/lib/private-address.ts'

/** What a connection to a name with these addresses gets. */
function lookUp(addresses: readonly string[], all: boolean): Promise<string | LookupAddress[]> {
  const resolved = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const lookup = publicLookup((_name, callback) => callback(null, resolved))
  return new Promise((resolve, reject) => {
    lookup('channel.example', { all }, (error, found) => (error === null ? resolve(found) : reject(error)))
  })
}

test('publicLookup gives the addresses that were checked, and none when one of them is private', async () => {
  assert.equal(await lookUp(['93.184.216.34', '2606:2800:220:1::1'], false), '93.184.216.34')
  assert.deepEqual(await lookUp(['93.184.216.34', '2606:2800:220:1::1'], true), [
    { address: '93.184.216.34', family: 4 },
    { address: '2606:2800:220:1::1', family: 6 },
  ])
  for (const addresses of [['127.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['::ffff:192.168.1.1'], ['fd00::1']]) {
    for (const all of [true, false]) await assert.rejects(lookUp(addresses, all), { name: 'AddressRefusedError' })
  }
  await assert.rejects(lookUp([], true), /no address/)
})

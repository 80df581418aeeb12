import { lookup as systemLookup, type LookupAddress } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** Networks that are not the public internet: private, loopback, link-local (cloud metadata), reserved, multicast. */
const PRIVATE_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
const PRIVATE_V6 = [
  '::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]
/** Prefixes that carry an IPv4 address in their last 32 bits: mapped, translated, and NAT64. */
const V4_CARRIERS = ['::ffff:', '::ffff:0:', '64:ff9b::']
const LOCAL_NAMES = /^(?:localhost|.*\.localhost|.*\.local|.*\.internal)\.?$/i

const PRIVATE = makeBlockList()

/** Whether an IP address (not a name) is outside the public internet. Compared in binary; what is no address is private. */
export function isPrivateAddress(address: string): boolean {
  const version = isIP(address)
  if (version === 0) return true
  // A zone such as %eth0 only exists on a link of this machine.
  if (address.includes('%')) return true
  return PRIVATE.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

/** Thrown while connecting to an address that may not be asked. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError'
}

/** Resolves a name to addresses, as `dns.lookup` with `all`. */
export type ResolveName = (
  hostname: string,
  callback: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void

/** Whether a name or an IP address is outside the public internet, as far as its spelling tells. */
export function isPrivateHost(hostname: string): boolean {
  return isIP(hostname) === 0 ? LOCAL_NAMES.test(hostname) : isPrivateAddress(hostname)
}

function makeBlockList(): BlockList {
  const list = new BlockList()
  for (const network of PRIVATE_V6) {
    const [base, bits] = network.split('/')
    list.addSubnet(base ?? '', Number(bits), 'ipv6')
  }
  for (const network of PRIVATE_V4) {
    const [base, bits] = network.split('/')
    list.addSubnet(base ?? '', Number(bits), 'ipv4')
    for (const carrier of V4_CARRIERS) list.addSubnet(`${carrier}${base}`, 96 + Number(bits), 'ipv6')
  }
  return list
}

/** Asks the system's resolver. */
export function resolveBySystem(hostname: string, callback: Parameters<ResolveName>[1]): void {
  systemLookup(hostname, { all: true, order: 'verbatim' }, callback)
}

/** A `lookup` for connections that may go to the public internet only; fails with AddressRefusedError. */
export function publicLookup(resolve: ResolveName = resolveBySystem): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, (error, addresses) => {
      if (error !== null) return callback(error, '', 0)
      const isRefused = addresses.some((one) => isPrivateAddress(one.address))
      if (isRefused) return callback(new AddressRefusedError(`${hostname} is at a private address`), '', 0)
      const [first] = addresses
      if (first === undefined) return callback(new Error(`no address for ${hostname}`), '', 0)
      if (options.all === true) callback(null, [...addresses])
      else callback(null, first.address, first.family)
    })
  }
}

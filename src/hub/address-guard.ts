import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import {
  AddressRefusedError,
  isPrivateAddress,
  isPrivateHost,
  resolveBySystem,
  type ResolveName,
} from '../lib/private-address.ts'
import type { Target } from './url-target.ts'

/**
 * Keeps addresses that upstream names (redirects) on the public internet, unless the configured endpoint is itself
 * private. Names are resolved here, every address is checked, and the checked addresses are the ones connected to.
 */
export class AddressGuard {
  readonly #endpoint: Target
  readonly #resolve: ResolveName
  #endpointIsPrivate: boolean

  constructor(endpoint: Target, resolve: ResolveName = resolveBySystem) {
    this.#endpoint = endpoint
    this.#resolve = resolve
    this.#endpointIsPrivate = isPrivateHost(endpoint.hostname)
  }

  /** Why the target must not be asked, as far as its spelling tells; undefined when nothing speaks against it. */
  refusal(target: Pick<Target, 'origin' | 'hostname'>): string | undefined {
    if (target.origin === this.#endpoint.origin || this.#endpointIsPrivate) return undefined
    return isPrivateHost(target.hostname) ? `${target.hostname} is not a public address` : undefined
  }

  /** A `lookup` for connections to one target; fails with AddressRefusedError. */
  lookupFor(target: Pick<Target, 'origin' | 'hostname'>): LookupFunction {
    return (hostname, options, callback) => {
      this.#resolve(hostname, (error, addresses) => {
        if (error !== null) return callback(error, '', 0)
        const [first] = addresses
        if (first === undefined) return callback(new Error(`no address for ${hostname}`), '', 0)
        const refusal = this.#judge(target, hostname, addresses)
        if (refusal !== undefined) return callback(new AddressRefusedError(refusal), '', 0)
        if (options.all === true) callback(null, [...addresses])
        else callback(null, first.address, first.family)
      })
    }
  }

  #judge(target: Pick<Target, 'origin'>, hostname: string, addresses: readonly LookupAddress[]): string | undefined {
    const bad = addresses.find((one) => isPrivateAddress(one.address))
    if (target.origin === this.#endpoint.origin) {
      // A configured name may mean a machine in this network; then what it names may be in this network, too.
      this.#endpointIsPrivate = addresses.every((one) => isPrivateAddress(one.address))
      return undefined
    }
    if (bad === undefined || this.#endpointIsPrivate) return undefined
    return `${hostname} resolves to ${bad.address}, which is not a public address`
  }
}

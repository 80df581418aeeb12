import { createRequire } from 'node:module'
import type * as undici from 'undici'

/**
 * What the Hub's client needs of undici, each from its own file: the package as a whole also loads its `fetch`, WebSocket,
 * caches and mocks, two thirds of its files, which every start would pay for. Only its exact version has these paths.
 */
const require = createRequire(import.meta.url)

export const Agent = require('undici/lib/dispatcher/agent.js') as typeof undici.Agent
export const Client = require('undici/lib/dispatcher/client.js') as typeof undici.Client
export const Pool = require('undici/lib/dispatcher/pool.js') as typeof undici.Pool
export const buildConnector = require('undici/lib/core/connect.js') as typeof undici.buildConnector
export const errors = require('undici/lib/core/errors.js') as typeof undici.errors

/** Only where there is a proxy: its tunnels need the package as a whole. */
export function proxyAgentClass(): typeof undici.EnvHttpProxyAgent {
  return (require('undici') as typeof undici).EnvHttpProxyAgent
}

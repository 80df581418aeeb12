import { normaliseEndpoint } from './config-fields.ts'
import type { ProxyConfig } from './config.ts'
import type { ConfigProblem } from './config-problem.ts'
import { Secret } from './secret.ts'

/** What the ecosystem's variables say, checked. */
export interface Environment {
  /** From HF_ENDPOINT. */
  readonly endpoint: string | undefined
  readonly proxy: ProxyConfig
  readonly colorAllowed: boolean
}

/** Reads HF_ENDPOINT, the proxy variables and NO_COLOR. An empty variable counts as not set. */
export function readEnvironment(env: NodeJS.ProcessEnv): { values: Environment; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const values = {
    endpoint: endpointOf(env, problems),
    proxy: {
      http: proxyOf(env, 'http_proxy', problems),
      https: proxyOf(env, 'https_proxy', problems),
      noProxy: variable(env, 'no_proxy')?.value,
    },
    colorAllowed: (env['NO_COLOR'] ?? '') === '',
  }
  return { values, problems }
}

function endpointOf(env: NodeJS.ProcessEnv, problems: ConfigProblem[]): string | undefined {
  const text = env['HF_ENDPOINT']?.trim() ?? ''
  if (text === '') return undefined
  const parsed = normaliseEndpoint(text)
  if (typeof parsed === 'string') return parsed
  problems.push({ source: 'HF_ENDPOINT', message: parsed.problem })
  return undefined
}

function proxyOf(env: NodeJS.ProcessEnv, name: string, problems: ConfigProblem[]): Secret | undefined {
  const found = variable(env, name)
  if (found === undefined) return undefined
  // As curl does: a proxy without a scheme is an http one.
  const url = URL.parse(found.value.includes('://') ? found.value : `http://${found.value}`)
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return new Secret(url.href)
  problems.push({ source: found.name, message: 'Expected a proxy such as http://proxy.example:3128' })
  return undefined
}

/** A variable in lower or upper case; lower case wins, as in curl and undici. */
function variable(env: NodeJS.ProcessEnv, lowerName: string): { name: string; value: string } | undefined {
  for (const name of [lowerName, lowerName.toUpperCase()]) {
    const value = env[name]?.trim() ?? ''
    if (value !== '') return { name, value }
  }
  return undefined
}

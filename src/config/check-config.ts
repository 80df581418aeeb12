import type { z } from 'zod'
import { didYouMean } from './closest-word.ts'
import { type ConfigProblem, type KeyPath, printKeyPath, printValue, quoteText } from './config-problem.ts'
import { type ConfigFileValues, configSchema } from './config-schema.ts'
import { type ParsedYaml, parseConfigYaml } from './parse-config-yaml.ts'

/** The values of a configuration file, or what is wrong with it. */
type CheckedConfig =
  | { readonly values: ConfigFileValues; readonly yaml: ParsedYaml }
  | { readonly problems: readonly ConfigProblem[] }

/**
 * Reads the text of a configuration file: YAML, `${VAR}`, keys, types, units. Collects every problem with its place.
 * @param source how problems name the file
 * @param env undefined leaves `${VAR}` as it is
 */
export function checkConfigText(text: string, source: string, env: NodeJS.ProcessEnv | undefined): CheckedConfig {
  const yaml = parseConfigYaml(text, source, env)
  if (yaml.value === undefined && yaml.problems.length > 0) return { problems: yaml.problems }
  const data = withoutEmptySections(yaml.value ?? {})
  const result = configSchema.safeParse(data)
  const issues = result.success ? [] : result.error.issues
  const problems = [
    ...yaml.problems,
    // What the YAML reader already complained about is not complained about twice.
    ...issues
      .filter((issue) => issue.code === 'unrecognized_keys' || !isReported(issue, yaml))
      .flatMap((issue) => problemsOf(issue, data, yaml, source)),
    ...(result.success ? repeatedWatches(result.data, yaml, source) : []),
  ]
  if (problems.length > 0 || !result.success) return { problems }
  return { values: result.data, yaml }
}

/** A section whose keys are all commented out is an empty value in YAML: it means "as if it were not there". */
function withoutEmptySections(value: unknown): unknown {
  if (!isGroup(value)) return value
  const sections = ['hub', 'budget', 'download', 'license', 'scrub', 'serve', 'log', 'notify', 'smtp', 'views']
  const kept = Object.create(null) as Record<string, unknown>
  for (const [key, child] of Object.entries(value)) {
    if (child !== null || !sections.includes(key)) kept[key] = child
  }
  return kept
}

function isReported(issue: z.core.$ZodIssue, yaml: ParsedYaml): boolean {
  const key = printKeyPath(keyPathOf(issue))
  return yaml.problems.some((problem) => problem.key === key)
}

function keyPathOf(issue: z.core.$ZodIssue): KeyPath {
  return issue.path.map((step) => (typeof step === 'number' ? step : String(step)))
}

function problemsOf(issue: z.core.$ZodIssue, data: unknown, yaml: ParsedYaml, source: string): ConfigProblem[] {
  const path = keyPathOf(issue)
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path)
    return issue.keys.map((key) => {
      const message = `Unknown key${didYouMean(key, known) || `; known here: ${known.join(', ')}`}`
      return { source, ...yaml.locate([...path, key], 'key'), key: printKeyPath([...path, key]), message }
    })
  }
  const message = hideVariables(messageOf(issue, valueAt(data, path)), path, data, yaml)
  return [{ source, ...yaml.locate(path, 'value'), key: printKeyPath(path), message }]
}

const EXPECTED: ReadonlyMap<string, string> = new Map([
  ['string', 'a text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['array', 'a list'],
  ['object', 'a group of keys'],
])

function messageOf(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === 'invalid_value') {
    const allowed = issue.values.map(String)
    const typed = typeof value === 'string' ? didYouMean(value, allowed) : ''
    return `Expected one of ${allowed.join(', ')}, got ${printValue(value)}${typed}`
  }
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input')) {
    if (value === null) return 'Has no value; give one or remove the key'
    const quoteHint = issue.expected === 'string' && typeof value !== 'object' ? '; put it in quotes' : ''
    return `Expected ${EXPECTED.get(issue.expected) ?? issue.expected}, got ${printShape(value)}${quoteHint}`
  }
  return issue.message
}

/** Like printValue, but a text is not shown: it may stand where a secret belongs. */
function printShape(value: unknown): string {
  return typeof value === 'string' ? 'a text' : printValue(value)
}

/** Where `${VAR}` was replaced, a message must not show the value of the variable but its name. */
function hideVariables(message: string, path: KeyPath, data: unknown, yaml: ParsedYaml): string {
  const raw = yaml.rawTextAt(path)
  const value = valueAt(data, path)
  if (raw === undefined || typeof value !== 'string' || value === '') return message
  return message.replaceAll(/"((?:[^"\\]|\\.)*)"/g, (quoted, inner: string) =>
    value.includes(inner.replace(/…$/, '')) ? quoteText(raw) : quoted,
  )
}

/** Keys that may stand in the group at the path, from the schema itself. */
function knownKeys(path: KeyPath): string[] {
  let schema: z.core.$ZodType = configSchema
  for (const step of path) {
    const next: z.core.$ZodType | undefined =
      typeof step === 'number' ? unwrap(schema)._zod.def.element : unwrap(schema)._zod.def.shape?.[step]
    if (next === undefined) return []
    schema = next
  }
  return Object.keys(unwrap(schema)._zod.def.shape ?? {})
}

interface GroupOrList {
  readonly _zod: {
    readonly def: {
      readonly shape?: Readonly<Record<string, z.core.$ZodType>>
      readonly element?: z.core.$ZodType
      readonly innerType?: z.core.$ZodType
    }
  }
}

/** The schema without its defaults and optional wrappers. */
function unwrap(schema: z.core.$ZodType): GroupOrList {
  let inner = schema as unknown as GroupOrList
  while (inner._zod.def.innerType !== undefined) inner = inner._zod.def.innerType as unknown as GroupOrList
  return inner
}

function repeatedWatches(values: ConfigFileValues, yaml: ParsedYaml, source: string): ConfigProblem[] {
  const seen = new Map<string, number>()
  return values.watch.flatMap((entry, index) => {
    const { org, user, repo, match } = entry
    const identity = JSON.stringify([org ?? user ?? repo, match])
    const first = seen.get(identity)
    if (first === undefined) {
      seen.set(identity, index)
      return []
    }
    const key = printKeyPath(['watch', index])
    const message = `Watches the same as watch[${first}]; keep one`
    return [{ source, ...yaml.locate(['watch', index], 'value'), key, message }]
  })
}

function valueAt(data: unknown, path: KeyPath): unknown {
  let value = data
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

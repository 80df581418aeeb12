import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { test } from 'node:test'

/**
 * Who may import whom, as docs/ARCHITECTURE.md says it: layer → the layers it may import. A layer is a folder of src. Of
 * the files beside them four wire everything; the others are the ports.
 */
const LAYERS = new Map<string, readonly string[]>([
  ['domain', []],
  ['ports', ['domain']],
  ['lib', ['domain', 'ports']],
  ['hub', ['domain', 'ports', 'lib']],
  ['store', ['domain', 'ports', 'lib']],
  ['db', ['domain', 'ports', 'lib']],
  ['notify', ['domain', 'ports', 'lib']],
  ['config', ['domain', 'lib']],
  ['pipeline', ['domain', 'ports', 'lib', 'maintenance']],
  ['maintenance', ['domain', 'ports', 'lib', 'pipeline']],
  ['cli', ['domain', 'ports', 'lib', 'config', 'pipeline', 'maintenance']],
  ['mirror', ['domain', 'ports', 'lib', 'config', 'pipeline', 'maintenance']],
  ['dashboard', ['domain', 'ports', 'lib', 'config', 'pipeline', 'maintenance']],
])
const WIRING = ['compose.ts', 'daemon.ts', 'main.ts', 'serve.ts']

/** Layers whose effects go through ports: they import nothing of Node. */
const WITHOUT_NODE = ['domain', 'ports', 'pipeline', 'maintenance']

/** The only layers that may import a package. A package that is not here may be imported by none. */
const OWNERS_OF_PACKAGES = new Map<string, readonly string[]>([
  ['@huggingface/hub', ['hub']],
  ['undici', ['hub', 'notify']],
  ['nodemailer', ['notify']],
  ['feed', ['notify']],
  ['kysely', ['db']],
  ['better-sqlite3', ['db']],
  ['p-queue', ['pipeline', 'maintenance']],
  ['commander', ['cli']],
  ['@hono/node-server', ['lib']],
  ['hono', ['mirror', 'dashboard']],
  ['pino', ['lib']],
  ['pino-pretty', ['lib']],
  ['spdx-expression-parse', ['lib']],
  ['diff', ['lib']],
  ['yaml', ['config', 'lib']],
  ['zod', ['config']],
])

const IMPORT = /(?:^\s*import\s*|^\s*(?:import|export)\b[^'"`;()=]*\bfrom\s*|\bimport\s*\(\s*)(['"])([^'"\n]+)\1/gm

/** Every import of a file that the table forbids, as a sentence. `path` is relative to src. */
function forbiddenImports(path: string, text: string): string[] {
  const from = layerOf(path)
  const allowed = WIRING.includes(from) ? undefined : LAYERS.get(from)
  if (!WIRING.includes(from) && allowed === undefined) return [`${path}: ${from} is no layer`]
  const found: string[] = []
  for (const [, , specifier = ''] of text.matchAll(IMPORT)) {
    if (specifier.startsWith('node:')) {
      if (WITHOUT_NODE.includes(from)) found.push(`${path} imports ${specifier}`)
    } else if (specifier.startsWith('.')) {
      const to = layerOf(posix.join(posix.dirname(path), specifier))
      if (to !== from && allowed !== undefined && !allowed.includes(to))
        found.push(`${path} imports ${to}: ${specifier}`)
    } else {
      const owners = OWNERS_OF_PACKAGES.get(packageOf(specifier))
      if (owners?.includes(from) !== true) found.push(`${path} imports the package ${specifier}`)
    }
  }
  return found
}

/** What the pure layer may not touch, and what only the configuration may read. */
function forbiddenGlobals(path: string, text: string): string[] {
  const code = withoutComments(text)
  const found: string[] = []
  const layer = layerOf(path)
  if (
    layer !== 'config' &&
    path !== 'main.ts' &&
    /\bprocess\s*(\?\.|\.|\[\s*['"])\s*env\b|\benv\b[^={}]*\}\s*=\s*process\b/.test(code)
  ) {
    found.push(`${path} reads process.env`)
  }
  if (layer !== 'domain') return found
  for (const effect of [
    /\bDate\.now\b/,
    /\bnew Date\(\s*\)/,
    /\bMath\.random\b/,
    /\bset(Timeout|Interval|Immediate)\b/,
    /\bprocess\b/,
    /\bperformance\b/,
    /\bconsole\b/,
    /\bfetch\(/,
    /\bcrypto\b/,
    /\bawait\b/,
  ]) {
    const hit = effect.exec(code)
    if (hit !== null) found.push(`${path} uses ${hit[0]}`)
  }
  return found
}

function layerOf(path: string): string {
  const [first = '', ...rest] = path.split('/')
  return rest.length > 0 || WIRING.includes(first) ? first : 'ports'
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Good enough for our own sources: a string with `//` in it loses its end, which hides nothing that is looked for. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[^]*?\*\//g, '').replace(/\/\/.*$/gm, '')
}

const sources = globSync('**/*.ts', { cwd: new URL('../src', import.meta.url) })
  .map((path) => path.replaceAll('\\', '/'))
  .map((path) => ({ path, text: readFileSync(new URL(`../src/${path}`, import.meta.url), 'utf8') }))

test('architecture: a planted import or effect is found', () => {
  for (const [path, text] of [
    ['domain/x.ts', "import { readFile } from 'node:fs/promises'"],
    ['domain/x.ts', "import type { Clock } from '../clock-port.ts'"],
    ['domain/x.ts', "import { z } from 'zod'"],
    ['hub-port.ts', "import { HubClient } from './hub/hub-source.ts'"],
    ['hub/x.ts', "import { Layout } from '../store/layout.ts'"],
    ['store/x.ts', "import Database from 'better-sqlite3'"],
    ['db/x.ts', "import { fetch } from 'undici'"],
    ['db/deep/x.ts', "import { fetchTree } from '../../hub/wire-tree.ts'"],
    ['pipeline/x.ts', "import { Layout } from '../store/layout.ts'"],
    ['pipeline/x.ts', "const { Layout } = await import('../store/layout.ts')"],
    ['pipeline/x.ts', "export { Layout } from '../store/layout.ts'"],
    ['pipeline/x.ts', "import 'node:fs'"],
    ['cli/x.ts', "import {\n  Layout,\n} from '../store/layout.ts'"],
    ['compose.ts', "import { Kysely } from 'kysely'"],
    ['compose.ts', "import express from 'express'"],
    ['lib/x.ts', "import { runPass } from '../pipeline/run-pass.ts'"],
    ['helpers/x.ts', ''],
  ] as const) {
    assert.equal(forbiddenImports(path, text).length, 1, `${path}: ${text}`)
  }
  for (const [path, text] of [
    ['domain/x.ts', 'const at = Date.now()'],
    ['domain/x.ts', 'const at = new Date()'],
    ['domain/x.ts', 'const chance = Math.random()'],
    ['pipeline/x.ts', 'const home = process.env.HOME'],
    ['pipeline/x.ts', "const home = process['env'].HOME"],
    ['pipeline/x.ts', 'const { argv, env } = process'],
    ['daemon.ts', 'process.env'],
  ] as const) {
    assert.equal(forbiddenGlobals(path, text).length, 1, `${path}: ${text}`)
  }
  assert.deepEqual(forbiddenImports('pipeline/x.ts', "import PQueue from 'p-queue'\nimport { a } from './y.ts'"), [])
  assert.deepEqual(forbiddenImports('db/x.ts', "const sql = `select id from 'snapshots'`"), [])
  assert.deepEqual(forbiddenGlobals('domain/x.ts', '/** Never Date.now(). */\nnew Date(0) // process.env'), [])
})

test('architecture: no file of src imports what its layer may not', () => {
  assert.deepEqual(
    sources.flatMap(({ path, text }) => forbiddenImports(path, text)),
    [],
  )
})

test('architecture: the domain has no effects, and only the configuration reads the environment', () => {
  assert.deepEqual(
    sources.flatMap(({ path, text }) => forbiddenGlobals(path, text)),
    [],
  )
})

test('architecture: the ports hold types and constants, lib knows errors, the spelling of sizes and nothing else of the domain', () => {
  const ports = sources.filter(({ path }) => layerOf(path) === 'ports')
  assert.ok(ports.length > 0)
  for (const { path, text } of ports) {
    const imports = text.split('\n').filter((line) => line.startsWith('import'))
    assert.ok(
      imports.every((line) => line.startsWith('import type')),
      path,
    )
    assert.doesNotMatch(text, /^(export )?(async )?(function|class)\b/m, path)
  }
  const ofDomain = sources
    .filter(({ path }) => path.startsWith('lib/'))
    .flatMap(({ text }) => [...text.matchAll(/from '\.\.\/domain\/([^']+)'/g)].map((match) => match[1]))
  assert.deepEqual(new Set(ofDomain), new Set(['errors.ts', 'size-text.ts']))
})

test('architecture: nothing that restore loads can reach a hub or open a connection', () => {
  const texts = new Map(sources.map(({ path, text }) => [path, text]))
  const reached = new Set<string>()
  const visit = (path: string): void => {
    if (reached.has(path)) return
    reached.add(path)
    for (const [line, , specifier = ''] of (texts.get(path) ?? '').matchAll(IMPORT)) {
      if (/^\s*(?:import|export)\s+type\b/.test(line)) continue
      assert.doesNotMatch(specifier, /^(node:(net|tls|http|https|http2|dgram|dns)|undici|@huggingface)/, path)
      if (specifier.startsWith('.')) visit(posix.join(posix.dirname(path), specifier))
    }
  }
  for (const start of ['cli/restore.ts', 'maintenance/restore-snapshot.ts', 'store/export-folder.ts']) visit(start)
  assert.deepEqual(
    [...reached].filter((path) => /^(hub|notify|mirror|compose|daemon|main)\b/.test(path)),
    [],
  )
  assert.ok(reached.size > 20, `${reached.size} files`)
})

test('architecture: the sources were seen', () => {
  const layers = new Set(sources.map(({ path }) => layerOf(path)))
  for (const layer of ['domain', 'ports', 'lib', 'hub', 'store', 'db', 'config', 'pipeline', 'maintenance', 'cli']) {
    assert.ok(layers.has(layer), layer)
  }
  const imports = sources.reduce((sum, { text }) => sum + [...text.matchAll(IMPORT)].length, 0)
  assert.ok(sources.length > 60 && imports > 300, `${sources.length} files with ${imports} imports`)
})

/** Measures the pages of `list`: `node scripts/bench/catalog-pages.ts CATALOG`. */
import type { RepoFilter } from '../../src/archive-rows.ts'
import type { Catalog } from '../../src/catalog-port.ts'
import { openCatalog } from '../../src/db/open-catalog.ts'
import type { RepoName } from '../../src/domain/repo.ts'
import { quantiles, timed } from './catalog-times.ts'

const PAGE = 50
const PAGES = 100
const FILTERS: readonly [string, RepoFilter][] = [
  ['every repo', {}],
  ['format gguf', { format: 'gguf' }],
  ['licence and state', { license: 'Apache-2.0', state: 'fetching' }],
  ['text in the middle', { text: '77b-a1' }],
  ['text in no name', { text: 'zzz' }],
  ['no match in any row', { upstream: 'unavailable', format: 'gguf', text: 'zzz' }],
]

async function pageTimes(catalog: Catalog, filter: RepoFilter): Promise<number[]> {
  const times: number[] = []
  let after: RepoName | undefined
  for (let page = 0; page < PAGES; page += 1) {
    const one = await timed(() => catalog.listRepos(filter, { after, limit: PAGE, withSnapshots: false }))
    times.push(one.ms)
    after = one.value.at(-1)?.ref.name
  }
  return times
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
await using catalog = await openCatalog({
  path: process.argv[2] ?? '',
  archiveId: 'benchmark',
  log: quiet,
  mode: 'read',
})
for (const [name, filter] of FILTERS) {
  console.log(
    `${`list page of ${PAGE}: ${name}`.padEnd(58)} ${quantiles(await pageTimes(catalog, filter)).padStart(24)}`,
  )
}

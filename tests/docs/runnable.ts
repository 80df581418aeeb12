import { readFileSync } from 'node:fs'

/** A shell block of a page that a test runs. */
export interface Example {
  readonly page: string
  /** Line of the first command, from 1. */
  readonly line: number
  /** Where it runs: `archive` in a copy of manifests/example, `cli` in an empty folder with `weightvault` on the PATH. */
  readonly place: 'archive' | 'cli'
  readonly script: string
}

const MARK = /^<!-- test: (archive|cli) -->\n```sh\n([^]*?)^```$/gm

/** The blocks of a page that stand under `<!-- test: archive -->` or `<!-- test: cli -->`. */
export function examplesOf(page: string): Example[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
  return [...text.matchAll(MARK)].map((match) => ({
    page,
    line: text.slice(0, match.index).split('\n').length + 2,
    place: match[1] === 'cli' ? 'cli' : 'archive',
    script: match[2] ?? '',
  }))
}

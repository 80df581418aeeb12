import { readFileSync } from 'node:fs'
import { parseCsv } from './csv.ts'

const FIXTURES = new URL('../../fixtures/', import.meta.url)

/** The bytes of a file under tests/fixtures. */
export function fixtureBytes(path: string): Buffer {
  return readFileSync(new URL(path, FIXTURES))
}

/** The UTF-8 text of a file under tests/fixtures. */
export function fixtureText(path: string): string {
  return fixtureBytes(path).toString()
}

/** The rows of a CSV file under tests/fixtures. */
export function fixtureRows(path: string): Map<string, string>[] {
  return parseCsv(fixtureText(path))
}

import { parseArgs } from 'node:util'

/** Only what hangs takes so long, however busy the machine: a pass, or a call of the program. */
export const HANGS_AFTER_MS = 600_000

/** What a part of the campaign is asked to do, and where it reports. */
export interface CampaignOptions {
  /** Same seed, same faults at the same places; what runs at once in the program is still the machine's choice. */
  readonly seed: number
  /** How much of it; undefined = all there is, or the part's own long number. */
  readonly count: number | undefined
  /** Only cases whose name holds this. */
  readonly only: string | undefined
  readonly say: (line: string) => void
}

/** What a part found. */
export interface CampaignResult {
  /** What was done and measured, for people. */
  readonly summary: string
  /** Each with the command that plays it again; none = everything held. */
  readonly failures: readonly string[]
  /** Why it could not be done here. */
  readonly notDone?: string
}

/** A part of the campaign. */
export type CampaignPart = (options: CampaignOptions) => Promise<CampaignResult>

/** Reads `[PART…] [--seed N] [--count N] [--only TEXT]`. */
export function readCampaignOptions(args: readonly string[]): { parts: string[]; options: CampaignOptions } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { seed: { type: 'string' }, count: { type: 'string' }, only: { type: 'string' } },
  })
  const seed = values.seed === undefined ? 1 : wholeNumber(values.seed)
  const count = values.count === undefined ? undefined : wholeNumber(values.count)
  return { parts: positionals, options: { seed, count, only: values.only, say: (line) => console.log(line) } }
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new Error(`not a number: ${text}`)
}

/** One line for a failed case: what went wrong, and how to see it again. */
export function failureLine(what: string, error: unknown, again: string): string {
  const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ').slice(0, 600) : String(error)
  return `FAILED: ${what}: ${reason}\n  again: npm run campaign -- ${again}`
}

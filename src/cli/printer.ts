import { ArchiveError, ERROR_CODES, errorCodeOf, type ErrorCode } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import type { Outcome, Screen } from './command.ts'
import type { Palette } from './palette.ts'

/** Where text goes. Resolves once the text is taken. @throws OutputClosed when nobody reads any more */
export interface Output {
  write(text: string): Promise<void>
}

/** The reader of our output went away (`weightvault list | head`): a quiet end, not an error. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed'
}

/** Shows an outcome: for people, or as one JSON document. The only place that decides between the two. */
export async function printOutcome(outcome: Outcome, output: Output, screen: Screen, asJson: boolean): Promise<void> {
  const pieces = asJson ? outcome.json() : outcome.text(screen)
  let wroteAny = false
  for await (const piece of pieces) {
    if (piece === '') continue
    await output.write(asJson ? escapeControls(piece) : piece)
    wroteAny = true
  }
  if (wroteAny && outcome.isLines !== true) await output.write('\n')
}

/** An error as scripts and people get it. */
interface ErrorReport {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string | undefined
  readonly exitCode: number
}

/** What to say of anything thrown. A bug gets the code INTERNAL and where to report it. */
export function reportOf(thrown: unknown): ErrorReport {
  const code = errorCodeOf(thrown)
  const { exitCode } = ERROR_CODES[code]
  if (thrown instanceof ArchiveError) return { code, message: thrown.message, hint: thrown.hint, exitCode }
  if (code === 'INTERRUPTED') return { code, message: 'interrupted', hint: undefined, exitCode }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const hint =
    'this is a bug: run it again with --log-level debug and report what it prints (CONTRIBUTING.md says where)'
  return { code, message: firstLine(message), hint, exitCode }
}

/** `{"error":{"code","message","hint"}}` in one line. */
export function errorJson(report: ErrorReport): string {
  const { code, message, hint } = report
  return `${escapeControls(JSON.stringify({ error: { code, message, hint: hint ?? null } }))}\n`
}

/** The error in two or three lines. */
export function errorText(report: ErrorReport, palette: Palette): string {
  const lines = [`${palette.bad('error:')} ${harmless(report.message)}`]
  if (report.hint !== undefined) lines.push(`${palette.attention('hint:')} ${harmless(report.hint)}`)
  const anchor = report.code.toLowerCase()
  lines.push(palette.faint(`code: ${report.code} (docs/errors.md#${anchor})`))
  return `${lines.join('\n')}\n`
}

/** Text that may quote upstream: every control character but the line end is shown instead of sent. */
export function harmless(text: string): string {
  return text.split('\n').map(displayName).join('\n')
}

/** JSON leaves DEL, C1 and bidirectional controls as they are; they could rewrite what a terminal shows. */
export function escapeControls(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function firstLine(text: string): string {
  const [line = ''] = text.split('\n', 1)
  return line.length > 500 ? `${line.slice(0, 500)}…` : line
}

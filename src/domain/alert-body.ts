import type { Alert } from './alert.ts'

/** How a channel spells text, and how long a text may be there. */
export interface TextForm {
  /** Makes text harmless in the channel's markup. */
  readonly escape: (text: string) => string
  /** Makes a short heading stand out; what it gives is not escaped again. */
  readonly strong: (escaped: string) => string
  /** In the unit that the channel counts in. */
  readonly length: (text: string) => number
  readonly most: number
}

/** Text as it is, counted in UTF-16 units. */
export function plainForm(most: number): TextForm {
  return { escape: (text) => text, strong: (text) => text, length: (text) => text.length, most }
}

const MAX_LINES = 60

/**
 * The message for a person: what happened, what it means, what we hold, what to do, and its id. Where all of it does not
 * fit, the list of what happened gets shorter, and says so; the rest stays.
 */
export function alertBody(alert: Alert, form: TextForm): string {
  const { happened } = alert
  for (let lines = Math.min(happened.length, MAX_LINES); lines >= 1; lines = Math.floor(lines / 2)) {
    const left = happened.length - lines
    const shown = [...happened.slice(0, lines), ...(left > 0 ? [`… and ${left} more lines`] : [])]
    const text = bodyOf(alert, shown, form)
    if (form.length(text) <= form.most) return text
  }
  return bodyOf(alert, [`${shorten(happened[0] ?? '', 200)}…`], form, 120)
}

function bodyOf(alert: Alert, happened: readonly string[], form: TextForm, cut = 2000): string {
  const part = (name: string, lines: readonly string[]): string => {
    const escaped = lines.map((line) => form.escape(shorten(line, cut)))
    const [first = ''] = escaped
    const text = escaped.length === 1 ? ` ${first}` : `\n${escaped.map((line) => `• ${line}`).join('\n')}`
    return `${form.strong(form.escape(`${name}:`))}${text}`
  }
  const parts = [
    part('What happened', happened),
    part('What it means', [alert.means]),
    part('What we hold', [alert.holds]),
    part('What to do', [alert.todo]),
  ]
  return [...parts, form.escape(`${alert.id} · ${alert.severity} · ${alert.at}`)].join('\n\n')
}

/** Cuts between characters. */
export function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`
}

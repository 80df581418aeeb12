import type { Alert } from '../domain/alert.ts'
import { alertBody, shorten, type TextForm } from '../domain/alert-body.ts'
import { postOnce, type PostTarget } from './http-post.ts'

// https://discord.com/developers/docs/resources/webhook: content of at most 2000 characters.
const MAX_CONTENT = 2000
const MAX_TITLE = 250
/** No previews of links. */
const SUPPRESS_EMBEDS = 4

/**
 * Posts a message to a webhook of Discord. Markup is escaped, and no mention is allowed, whatever the text says.
 * @throws as postOnce
 */
export async function sendDiscord(target: PostTarget, alert: Alert, signal: AbortSignal): Promise<void> {
  const title = `**${escapeDiscord(shorten(`${alert.severity}: ${alert.title}`, MAX_TITLE / 2))}**`
  const form: TextForm = {
    escape: escapeDiscord,
    strong: (escaped) => `**${escaped}**`,
    length: (text) => text.length,
    most: MAX_CONTENT - title.length - 2,
  }
  const body = JSON.stringify({
    content: `${title}\n\n${alertBody(alert, form)}`,
    allowed_mentions: { parse: [] },
    flags: SUPPRESS_EMBEDS,
  })
  await postOnce(target, { headers: { 'content-type': 'application/json; charset=utf-8' }, body }, signal)
}

/** Discord takes a backslash before any punctuation as "show it". */
function escapeDiscord(text: string): string {
  return text.replaceAll(/[\\*_~`|>#[\]()<@:-]/g, String.raw`\$&`)
}

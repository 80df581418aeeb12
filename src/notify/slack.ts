import type { Alert } from '../domain/alert.ts'
import { alertBody, plainForm, shorten } from '../domain/alert-body.ts'
import { postOnce, type PostTarget } from './http-post.ts'

// https://api.slack.com/reference/block-kit/blocks: limits of a header and of a section's text.
const MAX_HEADER = 150
const MAX_SECTION = 3000
const MAX_FALLBACK = 300

/**
 * Posts a message to an incoming webhook of Slack, or of anything that takes the same. Its blocks are plain text, in
 * which Slack reads neither markup nor mentions.
 * @throws as postOnce
 */
export async function sendSlack(target: PostTarget, alert: Alert, signal: AbortSignal): Promise<void> {
  const title = `${alert.severity}: ${alert.title}`
  const block = (type: 'header' | 'section', text: string) => ({
    type,
    text: { type: 'plain_text', text, emoji: false },
  })
  const body = JSON.stringify({
    text: escapeSlack(shorten(title, MAX_FALLBACK)),
    mrkdwn: false,
    link_names: false,
    parse: 'none',
    unfurl_links: false,
    unfurl_media: false,
    blocks: [block('header', shorten(title, MAX_HEADER)), block('section', alertBody(alert, plainForm(MAX_SECTION)))],
  })
  await postOnce(target, { headers: { 'content-type': 'application/json; charset=utf-8' }, body }, signal)
}

/** The three characters that Slack gives a meaning to; `<!channel>` and links start with one of them. */
function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

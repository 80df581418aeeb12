import { z } from 'zod'
import { didYouMean } from './closest-word.ts'

const NOTIFY_CHANNELS = ['webhook', 'ntfy', 'slack', 'discord', 'mailto'] as const
export type NotifyChannel = (typeof NOTIFY_CHANNELS)[number]

/** An address of a channel: a URL of http(s), or for `mailto` e-mail addresses joined by ",". */
export interface NotifyTarget {
  readonly channel: NotifyChannel
  readonly url: string
}

type TargetReading = { readonly url: string } | { readonly problem: string }

const CHANNEL_OF_SCHEME: ReadonlyMap<string, NotifyChannel> = new Map([
  ['https', 'webhook'],
  ['http', 'webhook'],
  ['ntfy', 'ntfy'],
  ['slack', 'slack'],
  ['discord', 'discord'],
  ['mailto', 'mailto'],
])

const SCHEMES = [...CHANNEL_OF_SCHEME.keys()]
const MAX_RECIPIENTS = 20
const MAIL_ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,10}$/

/** An address of a channel, checked for its form. Problems never repeat it: most of them are secrets. */
export const notifyTarget = z
  .string()
  .max(2048, { error: 'At most 2048 characters' })
  .transform((text, ctx): NotifyTarget => {
    const parsed = parseNotifyTarget(text)
    if (!('problem' in parsed)) return parsed
    ctx.addIssue({ code: 'custom', message: parsed.problem })
    return z.NEVER
  })

/** One e-mail address, such as weightvault@example.org. */
export const mailAddress = z.string().regex(MAIL_ADDRESS, { error: 'Expected an e-mail address' })

function parseNotifyTarget(text: string): NotifyTarget | { problem: string } {
  const allowed = SCHEMES.map((scheme) => `${scheme}:`).join(', ')
  const match = /^([A-Za-z][A-Za-z0-9+.-]{0,20}):([\x21-\x7e]+)$/.exec(text)
  if (match === null) return { problem: `Expected an address that starts with one of ${allowed}` }
  const [, word = '', rest = ''] = match
  const scheme = word.toLowerCase()
  const channel = CHANNEL_OF_SCHEME.get(scheme)
  if (channel === undefined) {
    return { problem: `Unknown channel "${scheme}:"; allowed are ${allowed}${didYouMean(scheme, SCHEMES)}` }
  }
  const read = readAddress(channel, text, rest)
  return 'problem' in read ? read : { channel, url: read.url }
}

function readAddress(channel: NotifyChannel, text: string, rest: string): TargetReading {
  switch (channel) {
    case 'webhook':
      return readUrl(text, 'https://host/path')
    case 'slack':
      return readUrl(withScheme(rest), 'slack:https://hooks.slack.com/services/…')
    case 'discord':
      return readUrl(withScheme(rest), 'discord:https://discord.com/api/webhooks/…')
    case 'ntfy':
      return readTopic(rest)
    case 'mailto':
      return readRecipients(rest)
  }
}

/** `//host/path` means https. */
function withScheme(rest: string): string {
  return rest.startsWith('//') ? `https:${rest}` : rest
}

function readUrl(text: string, example: string): TargetReading {
  const url = URL.parse(text)
  if (url === null || url.hostname === '' || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return { problem: `Expected a URL such as ${example}` }
  }
  if (url.username !== '' || url.password !== '') return { problem: 'Must not hold a user name or password' }
  return text.includes('#') ? { problem: 'Must not hold "#"' } : { url: url.href }
}

function readTopic(rest: string): TargetReading {
  const isTopic = /^[-_A-Za-z0-9]{1,64}$/.test(rest)
  const read = readUrl(isTopic ? `https://ntfy.sh/${rest}` : withScheme(rest), 'ntfy:topic or ntfy:https://host/topic')
  if ('problem' in read) return read
  const { pathname, search } = new URL(read.url)
  if (/\/[-_A-Za-z0-9]{1,64}$/.test(pathname) && search === '') return read
  return { problem: 'Expected the name of a topic (letters, digits, - and _) at the end of the address' }
}

function readRecipients(rest: string): TargetReading {
  const recipients = rest.split(',')
  if (recipients.length > MAX_RECIPIENTS) return { problem: `At most ${MAX_RECIPIENTS} addresses` }
  if (recipients.every((address) => MAIL_ADDRESS.test(address))) return { url: rest }
  return { problem: 'Expected mailto: and an e-mail address, or several joined by ","' }
}

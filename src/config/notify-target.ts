import { z } from 'zod'
import { didYouMean } from './closest-word.ts'

const NOTIFY_CHANNELS = ['webhook', 'ntfy', 'slack', 'discord', 'mailto'] as const
export type NotifyChannel = (typeof NOTIFY_CHANNELS)[number]

const CHANNEL_OF_SCHEME: ReadonlyMap<string, NotifyChannel> = new Map([
  ['https', 'webhook'],
  ['http', 'webhook'],
  ['ntfy', 'ntfy'],
  ['slack', 'slack'],
  ['discord', 'discord'],
  ['mailto', 'mailto'],
])

const SCHEMES = [...CHANNEL_OF_SCHEME.keys()]

/** An address of a channel, checked for its form; each channel reads the part after the scheme by itself. */
export const notifyTarget = z
  .string()
  .max(2048, { error: 'At most 2048 characters' })
  .transform((text, ctx): { channel: NotifyChannel; url: string } => {
    const parsed = parseNotifyTarget(text)
    if (!('problem' in parsed)) return parsed
    ctx.addIssue({ code: 'custom', message: parsed.problem })
    return z.NEVER
  })

/** Never repeats the address in a problem: most of them are secrets. */
function parseNotifyTarget(text: string): { channel: NotifyChannel; url: string } | { problem: string } {
  const allowed = SCHEMES.map((scheme) => `${scheme}:`).join(', ')
  const match = /^([A-Za-z][A-Za-z0-9+.-]{0,20}):([\x21-\x7e]+)$/.exec(text)
  if (match === null) return { problem: `Expected an address that starts with one of ${allowed}` }
  const scheme = match[1]!.toLowerCase()
  const channel = CHANNEL_OF_SCHEME.get(scheme)
  if (channel === undefined) {
    return { problem: `Unknown channel "${scheme}:"; allowed are ${allowed}${didYouMean(scheme, SCHEMES)}` }
  }
  if (channel === 'webhook' && URL.parse(text) === null) return { problem: 'Expected a URL such as https://host/path' }
  if (channel === 'mailto' && !/^mailto:[^@?]+@[^@?]+/i.test(text)) {
    return { problem: 'Expected mailto: and an e-mail address' }
  }
  return { channel, url: text }
}

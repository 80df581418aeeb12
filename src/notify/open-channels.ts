import { createHash } from 'node:crypto'
import type { AlertChannel } from '../alert-port.ts'
import type { Clock } from '../clock-port.ts'
import type { AlertRule } from '../domain/alert-rules.ts'
import type { Alert } from '../domain/alert.ts'
import type { MailTarget } from './email.ts'
import type { PostTarget, ProxyAddresses } from './http-post.ts'

/** A channel as the configuration has it. */
export interface ChannelOptions {
  readonly kind: 'webhook' | 'slack' | 'discord' | 'ntfy' | 'mailto'
  /** URL, or for `mailto` addresses joined by ",". A secret. */
  readonly address: string
  readonly name: string | undefined
  readonly rules: readonly AlertRule[]
  readonly digestMs: number | undefined
  readonly secret: string | undefined
  readonly allowPrivate: boolean
}

/** What all channels share. */
export interface ChannelSurroundings {
  readonly clock: Clock
  readonly proxy: ProxyAddresses | undefined
  /** Undefined where no mail server is configured. */
  readonly smtp: Omit<MailTarget, 'to' | 'allowPrivate'> | undefined
}

type Send = AlertChannel['send']

/** The configured channels. Cheap: what a channel needs to send is loaded when it sends. */
export function openChannels(
  options: readonly ChannelOptions[],
  surroundings: ChannelSurroundings,
): readonly AlertChannel[] {
  const seen = new Map<string, number>()
  return options.map((channel) => {
    const label = channel.name ?? `${channel.kind} ${hostOf(channel)}`
    const count = (seen.get(label) ?? 0) + 1
    seen.set(label, count)
    return {
      key: createHash('sha256').update(`${channel.kind} ${channel.address}`).digest('hex').slice(0, 16),
      label: count === 1 ? label : `${label} #${count}`,
      rules: channel.rules,
      digestMs: channel.digestMs,
      send: sendOf(channel, surroundings),
    }
  })
}

function hostOf({ kind, address }: ChannelOptions): string {
  return kind === 'mailto' ? address.slice(address.lastIndexOf('@') + 1) : new URL(address).hostname
}

function sendOf(channel: ChannelOptions, { clock, proxy, smtp }: ChannelSurroundings): Send {
  const { address, allowPrivate, secret } = channel
  const target: PostTarget = { url: address, allowPrivate, proxy }
  switch (channel.kind) {
    case 'webhook':
      return async (alert: Alert, signal: AbortSignal) =>
        (await import('./webhook.ts')).sendWebhook({ ...target, secret }, alert, clock.now(), signal)
    case 'slack':
      return async (alert, signal) => (await import('./slack.ts')).sendSlack(target, alert, signal)
    case 'discord':
      return async (alert, signal) => (await import('./discord.ts')).sendDiscord(target, alert, signal)
    case 'ntfy':
      return async (alert, signal) => (await import('./ntfy.ts')).sendNtfy({ ...target, secret }, alert, signal)
    case 'mailto': {
      if (smtp === undefined) throw new Error('a mail channel without a mail server passed the configuration')
      const mail = { ...smtp, to: address.split(','), allowPrivate }
      return async (alert, signal) => (await import('./email.ts')).sendEmail(mail, alert, signal)
    }
  }
}

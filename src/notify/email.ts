import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createTransport } from 'nodemailer'
import type { Alert } from '../domain/alert.ts'
import { alertBody, plainForm, shorten } from '../domain/alert-body.ts'
import { ArchiveError } from '../domain/errors.ts'
import { AddressRefusedError, isPrivateHost, publicLookup } from '../lib/private-address.ts'

/** A mail server and the people who are told. */
export interface MailTarget {
  readonly host: string
  readonly port: number
  /** `starttls` is demanded: a server that does not offer it gets no mail and no password. */
  readonly security: 'starttls' | 'tls' | 'none'
  readonly user: string | undefined
  readonly password: string | undefined
  readonly from: string
  readonly to: readonly string[]
  readonly allowPrivate: boolean
  /** Certificate authority in PEM. Default: the system's. */
  readonly authority?: string
  /** Milliseconds for everything. Default: 30 s. */
  readonly deadlineMs?: number
}

const DEADLINE_MS = 30_000
const STEP_MS = 10_000
const MAX_SUBJECT = 180
const MAX_BODY = 100_000

/**
 * Sends one message over SMTP, as plain text. `Message-ID` is the same at every try.
 * @throws ArchiveError CHANNEL_UNREACHABLE, CHANNEL_REFUSED, or the signal's reason
 */
export async function sendEmail(target: MailTarget, alert: Alert, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(target.deadlineMs ?? DEADLINE_MS)
  const ended = AbortSignal.any([signal, deadline])
  let socket: Socket | undefined
  try {
    socket = await connectTo(target, ended)
    if (target.security === 'tls') socket = await encrypted(socket, target, ended)
    const result = await transportOver(socket, target).sendMail({ ...mailOf(target, alert), signal: ended })
    if (result.rejected.length > 0) {
      throw new ArchiveError('CHANNEL_REFUSED', `${target.host} refused ${result.rejected.length} of the recipients`, {
        hint: 'check the addresses of this channel',
      })
    }
  } catch (error) {
    signal.throwIfAborted()
    throw deadline.aborted ? unreachable(target, 'it did not answer in time', error) : mailError(target, error)
  } finally {
    socket?.destroy()
  }
}

/** Connected here, so that the address is checked and no connection outlives the deadline. */
function connectTo({ host, port, allowPrivate }: MailTarget, signal: AbortSignal): Promise<Socket> {
  if (!allowPrivate && isPrivateHost(host)) throw new AddressRefusedError(`${host} is a private address`)
  return ready(connect({ host, port, ...(allowPrivate ? {} : { lookup: publicLookup() }) }), 'connect', signal)
}

function encrypted(socket: Socket, target: MailTarget, signal: AbortSignal): Promise<Socket> {
  return ready(connectTls({ socket, ...tlsOf(target) }), 'secureConnect', signal).catch((cause: unknown) => {
    socket.destroy()
    throw Object.assign(new Error('no encryption', { cause }), { code: 'ETLS' })
  })
}

function ready<S extends Socket>(socket: S, event: string, signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      socket.destroy()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const settled = (): void => signal.removeEventListener('abort', onAbort)
    socket.once(event, () => {
      settled()
      resolve(socket)
    })
    socket.once('error', (error) => {
      settled()
      reject(error)
    })
  })
}

function tlsOf({ host, authority }: MailTarget): { servername?: string; host: string; ca?: string } {
  return {
    // Without a name to send, the address itself is what the certificate must be for.
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(authority === undefined ? {} : { ca: authority }),
  }
}

function transportOver(connection: Socket, target: MailTarget) {
  const { host, port, security, user, password } = target
  return createTransport({
    host,
    port,
    connection,
    secure: security === 'tls',
    secured: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
    tls: tlsOf(target),
    greetingTimeout: STEP_MS,
    socketTimeout: STEP_MS,
    logger: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
}

function mailOf({ from, to }: MailTarget, alert: Alert) {
  const domain = from.slice(from.indexOf('@') + 1)
  return {
    from: { name: 'weightvault', address: from },
    to: to.map((address) => ({ name: '', address })),
    subject: oneLine(shorten(`[weightvault] ${alert.severity}: ${alert.title}`, MAX_SUBJECT)),
    text: alertBody(alert, plainForm(MAX_BODY)),
    messageId: `<${oneLine(alert.id)}@${domain}>`,
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Weightvault-Event': oneLine(alert.id) },
  }
}

/** No header ever holds a line break, whoever made the text. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, ' ')
}

function mailError(target: MailTarget, error: unknown): unknown {
  if (error instanceof ArchiveError) return error
  if (error instanceof AddressRefusedError) {
    return new ArchiveError('CHANNEL_REFUSED', `the mail server ${target.host} is at a private address`, {
      cause: error,
      hint: 'set allow_private: true on this channel if it is meant to be in your own network',
    })
  }
  const facts = error as { code?: unknown; responseCode?: unknown }
  const status = typeof facts.responseCode === 'number' ? facts.responseCode : undefined
  if (facts.code === 'EAUTH')
    return refused(target, 'refused user or password', 'check smtp.user and smtp.password', error)
  if (facts.code === 'ETLS') {
    const hint = 'check the name and certificate of the server, and smtp.security; nothing is sent in clear text'
    return refused(target, 'could not be spoken to with encryption', hint, error)
  }
  if (status !== undefined && status >= 500) {
    return refused(target, `refused the message with ${status}`, 'check smtp.from and the recipients', error)
  }
  const code = typeof facts.code === 'string' && /^[A-Z0-9_]{2,60}$/.test(facts.code) ? facts.code : 'no connection'
  return unreachable(target, status === undefined ? code : `it answered ${status}`, error)
}

function refused(target: MailTarget, what: string, hint: string, cause: unknown): ArchiveError {
  return new ArchiveError('CHANNEL_REFUSED', `the mail server ${target.host} ${what}`, { cause, hint })
}

function unreachable(target: MailTarget, reason: string, cause: unknown): ArchiveError {
  return new ArchiveError('CHANNEL_UNREACHABLE', `the mail server ${target.host} could not be reached: ${reason}`, {
    cause,
    hint: 'check smtp.host, smtp.port and the certificate of the server; it is tried again by itself',
  })
}

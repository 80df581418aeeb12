import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { LOOPBACK_CERT, LOOPBACK_KEY } from './loopback-certificate.ts'

/** One message that a mail server took. */
export interface ReceivedMail {
  readonly raw: string
  readonly isEncrypted: boolean
  readonly user: string | undefined
  readonly from: string
  readonly to: readonly string[]
}

/** How a mail server answers the end of a message; default: it takes it. */
type MailBehaviour = 'take' | 'taken-hang' | 'hang' | 'reset' | number

/** A real SMTP server on loopback. With STARTTLS, and a user `vault` with the password `pass word`. */
export class MailReceiver implements AsyncDisposable {
  readonly received: ReceivedMail[] = []
  /** Messages that came whole, taken or not. */
  attempts = 0
  behaviour: MailBehaviour = 'take'
  readonly #server: SMTPServer

  private constructor(options: SMTPServerOptions) {
    this.#server = new SMTPServer({
      key: LOOPBACK_KEY,
      cert: LOOPBACK_CERT,
      disableReverseLookup: true,
      closeTimeout: 100,
      onAuth: (auth, _session, callback) => {
        if (auth.username === 'vault' && auth.password === 'pass word') callback(null, { user: auth.username })
        else callback(Object.assign(new Error('no'), { responseCode: 535 }))
      },
      onRcptTo: (address, _session, callback) =>
        callback(address.address.startsWith('nobody') ? Object.assign(new Error('no'), { responseCode: 550 }) : null),
      onData: (stream, session, callback) => {
        let raw = ''
        stream.setEncoding('utf8').on('data', (text: string) => (raw += text))
        stream.on('end', () => {
          const { mailFrom, rcptTo } = session.envelope
          this.attempts += 1
          if (this.behaviour === 'hang') return
          if (this.behaviour === 'reset') {
            for (const connection of this.#server.connections) connection.close()
            return
          }
          if (typeof this.behaviour === 'number') {
            callback(Object.assign(new Error('not now\nor later'), { responseCode: this.behaviour }))
            return
          }
          this.received.push({
            raw,
            isEncrypted: session.secure,
            user: typeof session.user === 'string' ? session.user : undefined,
            from: mailFrom === false ? '' : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
          })
          if (this.behaviour !== 'taken-hang') callback()
        })
      },
      ...options,
    })
    this.#server.on('error', () => undefined)
  }

  static async start(options: SMTPServerOptions = {}): Promise<MailReceiver> {
    const receiver = new MailReceiver(options)
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port
  }

  /** `Message-ID` of each message, oldest first. */
  get messageIds(): string[] {
    return this.received.map(({ raw }) => /^Message-ID: <([^@>]+)@/im.exec(raw)?.[1] ?? '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

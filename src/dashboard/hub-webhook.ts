import { reposOfWebhook } from '../domain/hub-webhook.ts'
import type { RepoRef } from '../domain/repo.ts'
import { isSameSecret } from '../lib/http-visitor.ts'
import type { Log } from '../log-port.ts'

/** A payload with all its refs is some kilobytes. */
const MAX_BODY_BYTES = 256 * 1024

/** What a webhook of the Hub may do: say that there is news. */
export interface HubWebhookDeps {
  /** Undefined = webhooks are not listened to. */
  readonly secret: string | undefined
  /** Asks for a look at a repository soon. */
  readonly hint: (ref: RepoRef) => void
  readonly log: Log
}

/**
 * Answers `POST /webhooks/huggingface`. The secret is the whole of the trust; what a payload claims is never used, only
 * asked about at the Hub itself. Replays and floods cost one poll in ten seconds at most.
 */
export async function answerHubWebhook(request: Request, deps: HubWebhookDeps): Promise<Response> {
  if (deps.secret === undefined) return refusal(404, 'no webhook is configured: set hub.webhook_secret')
  if (!isSameSecret(request.headers.get('x-webhook-secret') ?? '', deps.secret)) {
    // Not louder: anybody who reaches the address could fill the log.
    deps.log.debug({ component: 'dashboard' }, 'webhook with a wrong secret refused')
    return refusal(401, 'the secret in X-Webhook-Secret is not the configured one')
  }
  const body = await readAtMost(request, MAX_BODY_BYTES)
  if (body === undefined) return refusal(413, 'the payload is too large')
  let payload: unknown
  try {
    payload = JSON.parse(body)
  } catch {
    return refusal(400, 'the payload is not JSON')
  }
  for (const ref of reposOfWebhook(payload)) deps.hint(ref)
  return Response.json({ accepted: true }, { status: 202 })
}

/** Undefined when there is more. */
async function readAtMost(request: Request, maxBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body ?? []) {
    length += chunk.length
    if (length > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function refusal(status: number, message: string): Response {
  return Response.json({ error: message }, { status, headers: { Connection: 'close' } })
}

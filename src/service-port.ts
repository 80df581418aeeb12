/** A running service, asked over its local socket. */
export interface ServiceLink {
  /** @throws SERVICE_UNAVAILABLE when it does not answer within its deadline */
  request(operation: string, parameters: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<unknown>
}

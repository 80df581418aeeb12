import { parseRepoName, type RepoRef, type RepoType } from './repo.ts'

/**
 * The repositories that a webhook of the Hub names: what it is about, and where that moved. Nothing else of a payload is
 * looked at, for anybody may have sent it again, or changed it. Discussions are no news of content.
 */
export function reposOfWebhook(payload: unknown): readonly RepoRef[] {
  const scope = textAt(payload, 'event', 'scope')
  if (scope !== undefined && /^discussion(\.|$)/.test(scope)) return []
  const type = typeOf(textAt(payload, 'repo', 'type'))
  if (type === undefined) return []
  const names = [textAt(payload, 'repo', 'name'), textAt(payload, 'movedTo', 'name')]
  return names.flatMap((text) => {
    const name = parseRepoName(text)
    return name === undefined ? [] : [{ type, name }]
  })
}

function textAt(payload: unknown, group: string, key: string): string | undefined {
  const value = valueAt(valueAt(payload, group), key)
  return typeof value === 'string' ? value : undefined
}

function valueAt(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Readonly<Record<string, unknown>>)[key]
}

function typeOf(text: string | undefined): RepoType | undefined {
  return text === 'model' || text === 'dataset' || text === 'space' ? text : undefined
}

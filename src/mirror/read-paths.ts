import { MirrorError } from './mirror-error.ts'

/** 2,000 paths of the longest that we serve would be more; no client sends such. */
const MOST_BYTES = 2 * 1024 * 1024

/** The `paths` of a paths-info question: a form as Python sends it, or JSON. @throws MirrorError BadRequest */
export async function readPaths(request: Request): Promise<readonly string[]> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  const text = await readText(request)
  if (type === 'application/x-www-form-urlencoded') return new URLSearchParams(text).getAll('paths')
  if (type !== 'application/json') {
    throw new MirrorError(400, 'BadRequest', 'Send application/json or application/x-www-form-urlencoded')
  }
  const paths = pathsOf(text)
  if (paths === undefined) throw new MirrorError(400, 'BadRequest', 'Expected {"paths": ["…"]}')
  return paths
}

function pathsOf(text: string): readonly string[] | undefined {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return undefined
  }
  const paths = typeof body === 'object' && body !== null && 'paths' in body ? body.paths : undefined
  if (typeof paths === 'string') return [paths]
  return Array.isArray(paths) && paths.every((path) => typeof path === 'string') ? paths : undefined
}

async function readText(request: Request): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length
    if (bytes > MOST_BYTES) {
      throw new MirrorError(413, 'BadRequest', `The body may have ${MOST_BYTES} bytes`, { Connection: 'close' })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

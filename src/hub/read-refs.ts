import { decodeObject } from '../domain/decode.ts'
import { parseCommitId } from '../domain/digest.ts'
import type { HubRef } from '../domain/ref-changes.ts'
import type { RepoRef } from '../domain/repo.ts'
import { askRoute } from './ask-route.ts'
import type { HubContext } from './hub-context.ts'
import { answerInvalid } from './hub-errors.ts'

/** More branches and tags than any model has; a longer list is not read. */
const MAX_REFS = 5000
/** Git's own limit on a name is the file system's: 255 bytes a part. */
const MAX_NAME = 1000

/** Branches and tags. See `HubSource.readRefs`. */
export async function readRefs(context: HubContext, ref: RepoRef, signal: AbortSignal): Promise<HubRef[]> {
  const what = 'the branches and tags'
  const { value } = await askRoute(context, ref, { rest: '/refs', what }, signal)
  const answer = decodeObject(value)
  const refs = [...readRows(answer?.['branches'], 'branch'), ...readRows(answer?.['tags'], 'tag')]
  if (refs.length > MAX_REFS) throw answerInvalid(what, `there are more than ${MAX_REFS}`)
  const keys = new Set(refs.map((one) => `${one.kind} ${one.name}`))
  if (keys.size !== refs.length) throw answerInvalid(what, 'one of them is there twice')
  return refs

  function readRows(rows: unknown, kind: HubRef['kind']): HubRef[] {
    if (!Array.isArray(rows)) throw answerInvalid(what, `it has no list of ${kind}es or tags`)
    // Checked before a million rows are decoded.
    if (rows.length > MAX_REFS) throw answerInvalid(what, `there are more than ${MAX_REFS}`)
    return rows.map((row: unknown) => {
      const fields = decodeObject(row)
      const name = fields?.['name']
      const commit = parseCommitId(fields?.['targetCommit'])
      if (typeof name !== 'string' || name === '' || name.length > MAX_NAME || commit === undefined) {
        throw answerInvalid(what, 'one of them has no name or no commit')
      }
      return { kind, name, commit }
    })
  }
}

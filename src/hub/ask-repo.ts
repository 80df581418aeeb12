import { printRepo, parseRepoName, type RepoFacts, type RepoRef } from '../domain/repo.ts'
import type { HttpEvidence, RepoAnswer } from '../hub-port.ts'
import { askHub, type HubReply } from './ask-hub.ts'
import { endpointTarget, infoPath, readInfoPath } from './endpoint.ts'
import type { HubContext } from './hub-context.ts'
import { answerInvalid, meaningOf, readRefusal, redirectRefused, refusalError } from './hub-errors.ts'
import { evidenceOf } from './http-evidence.ts'
import { readJson } from './json-guard.ts'
import { readRedirect, requireEndpoint } from './redirects.ts'
import type { Target } from './url-target.ts'
import { decodeRepo } from './wire-repo.ts'

const MAX_REDIRECTS = 5
const FIELDS = ['sha', 'createdAt', 'lastModified', 'private', 'disabled', 'tags', 'cardData', 'gitalyUid', 'likes']
const GATE_FIELDS = ['gated', 'downloads']

/** The Hub's direct answer about one repository. See `HubSource.askRepo`. */
export async function askRepo(context: HubContext, ref: RepoRef, signal: AbortSignal): Promise<RepoAnswer> {
  const what = printRepo(ref)
  let asked = ref
  let redirect: HttpEvidence | undefined
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const target = infoTarget(context, asked)
    const reply = await askHub(context, { method: 'GET', target, route: 'api', what }, signal)
    const evidence = evidenceOf(reply, context.clock.now())
    if (reply.status === 200) return foundOrMoved(ref, readFacts(reply, asked, what), redirect ?? evidence)
    const moved = movedTo(context, reply, target, what)
    if (moved === undefined) return refused(reply, evidence, what)
    asked = moved
    redirect ??= evidence
  }
  throw redirectRefused(what, `there were more than ${MAX_REDIRECTS}`)
}

function infoTarget(context: HubContext, ref: RepoRef): Target {
  const fields = ref.type === 'space' ? FIELDS : [...FIELDS, ...GATE_FIELDS]
  return endpointTarget(context.endpoint, `${infoPath(ref)}?${fields.map((field) => `expand=${field}`).join('&')}`)
}

function movedTo(context: HubContext, reply: HubReply, from: Target, what: string): RepoRef | undefined {
  const target = readRedirect(context, reply, from, what)
  if (target === undefined) return undefined
  requireEndpoint(context, target, what)
  const info = readInfoPath(context.endpoint, target)
  const name = parseRepoName(info?.name)
  if (info === undefined || name === undefined || info.rest.startsWith('/')) {
    throw redirectRefused(what, 'it does not lead to a repository')
  }
  return { type: info.type, name }
}

function readFacts(reply: HubReply, asked: RepoRef, what: string): RepoFacts {
  const reading = readJson(reply.body)
  if (reading.kind === 'refused') throw answerInvalid(what, reading.reason)
  const row = decodeRepo(reading.value, asked.type)
  if (row.kind === 'refused') throw answerInvalid(what, row.reason)
  if (!isSameName(row.facts.ref, asked)) throw answerInvalid(what, `it is about ${row.facts.ref.name}`)
  return row.facts
}

function foundOrMoved(ref: RepoRef, facts: RepoFacts, evidence: HttpEvidence): RepoAnswer {
  // Another spelling of the same name is no move.
  return isSameName(facts.ref, ref) && facts.ref.type === ref.type
    ? { kind: 'found', facts, evidence }
    : { kind: 'moved', to: facts.ref, evidence }
}

function refused(reply: HubReply, evidence: HttpEvidence, what: string): RepoAnswer {
  const refusal = readRefusal(reply.status, reply.headers, reply.body)
  const meaning = meaningOf(refusal)
  if (meaning === 'disabled') return { kind: 'disabled', evidence }
  if (meaning === 'no-repo' || meaning === 'gated') return { kind: 'missing', evidence }
  if (meaning === 'bad-token' || meaning === 'unexplained') throw refusalError(refusal, what)
  throw answerInvalid(what, `it refuses the repository with ${refusal.errorCode}`)
}

function isSameName(one: RepoRef, other: RepoRef): boolean {
  return one.name.toLowerCase() === other.name.toLowerCase()
}

/** API routes that are not below one repo: owners, collections, tokens, tags. */
import { isVisible, repoNotFound, unauthorized } from './errors.ts'
import { pageOf } from './page-cursor.ts'
import { seededHex } from './random.ts'
import { errorReply, jsonReply, type Reply } from './reply.ts'
import { fieldOf } from './repo-fields.ts'
import { headOf } from './repo-state.ts'
import { decodeOnce, type HubContext, type HubRequest } from './request.ts'
import type { RepoType } from './types.ts'
import { lookUp, type Collection } from './world-state.ts'

/** Answers everything under /api that is not a repo. */
export function siteRoute(context: HubContext, request: HubRequest): Reply {
  const [, route = '', name = '', verb = ''] = request.segments
  if (route === 'whoami-v2') return whoAmI(context, request)
  if (request.caller.kind === 'bad') return repoNotFound(request.caller)
  const owner = decodeOnce(name) ?? ''
  if (route === 'organizations' && verb === 'overview') return overview(context, request, owner, 'org')
  if (route === 'users' && verb === 'overview') return overview(context, request, owner, 'user')
  if (route === 'collections') return collections(context, request)
  if (/^(models|datasets|spaces)-tags-by-type$/.test(route)) return tagsByType(context, request, route)
  return errorReply(404, 'Sorry, we can’t find the page you are looking for.')
}

function whoAmI(context: HubContext, request: HubRequest): Reply {
  const { caller } = request
  if (caller.kind === 'anonymous') return unauthorized()
  if (caller.kind === 'bad') return repoNotFound(caller)
  return jsonReply({
    type: 'user',
    id: seededHex(context.state.seed, `user ${caller.user}`, 24),
    name: caller.user,
    fullname: caller.user,
    email: `${caller.user}@users.invalid`,
    emailVerified: true,
    canPay: false,
    periodEnd: null,
    isPro: false,
    billingMode: 'prepaid',
    avatarUrl: '/avatars/user.svg',
    orgs: [],
    auth: {
      type: 'access_token',
      accessToken: { displayName: 'read', role: 'read', createdAt: '2026-01-02T03:04:05.000Z' },
    },
  })
}

function overview(context: HubContext, request: HubRequest, name: string, kind: 'org' | 'user'): Reply {
  const { state } = context
  const owned = [...state.repos.values()].filter((repo) => {
    return repo.id.toLowerCase().startsWith(`${name.toLowerCase()}/`) && isVisible(repo, request.caller)
  })
  const exists = owned.length > 0 || state.ownerKinds.has(name) || state.numModels.has(name)
  if (!exists || (state.ownerKinds.get(name) ?? 'org') !== kind) {
    return errorReply(404, kind === 'org' ? 'This organization does not exist' : 'This user does not exist')
  }
  const count = (type: RepoType) => owned.filter((repo) => repo.type === type).length
  const shared = {
    fullname: name,
    avatarUrl: `/avatars/${name}.svg`,
    details: '',
    numModels: state.numModels.get(name) ?? count('model'),
    numDatasets: count('dataset'),
    numSpaces: count('space'),
    numPapers: 0,
    numFollowers: 1,
  }
  if (kind === 'org') return jsonReply({ name, ...shared, isVerified: true, plan: 'team', numUsers: 3 })
  return jsonReply({ user: name, ...shared, type: 'user', isPro: false, orgs: [] })
}

function collections(context: HubContext, request: HubRequest): Reply {
  const slug = decodeOnce(request.segments.slice(2).join('/')) ?? ''
  if (slug !== '') {
    const one = context.state.collections.find((collection) => {
      return collection.slug === slug || collection.slug.replace(/-[0-9a-f]{24}$/, '') === slug
    })
    if (one === undefined) return errorReply(404, 'Collection not found')
    return jsonReply({
      ...collectionEntry(context, one),
      position: 0,
      shareUrl: `${context.url}/collections/${one.slug}`,
    })
  }
  const owners = request.query.getAll('owner').map((owner) => owner.toLowerCase())
  const items = request.query.getAll('item')
  const q = request.query.get('q')?.toLowerCase()
  const matching = context.state.collections.filter((one) => {
    if (owners.length > 0 && !owners.includes(one.owner.toLowerCase())) return false
    if (items.some((item) => !one.items.some((held) => held === item || `models/${held}` === item))) return false
    return q === undefined || one.title.toLowerCase().includes(q)
  })
  const limit = Number(request.query.get('limit') ?? 10) || 10
  const page = pageOf(context, request, matching, Math.min(limit, 100))
  const shown = page.items.map((one) => {
    const entry = collectionEntry(context, one)
    return { ...entry, items: entry.items.slice(0, 4) }
  })
  return jsonReply(shown, page.headers)
}

function collectionEntry(context: HubContext, one: Collection) {
  const items = one.items.flatMap((id, position) => {
    const repo = lookUp(context.state, 'model', id)
    if (repo === undefined || repo.private) return []
    const fields = ['author', 'downloads', 'likes', 'lastModified', 'private', 'gated', 'pipeline_tag']
    const shown = Object.fromEntries(fields.map((key) => [key, fieldOf(repo, headOf(repo), key)]))
    return [
      { _id: seededHex(context.state.seed, `${one.slug} ${id}`, 24), position, type: 'model', id: repo.id, ...shown },
    ]
  })
  return {
    slug: one.slug,
    title: one.title,
    description: '',
    lastUpdated: one.lastUpdated,
    gating: false,
    owner: { name: one.owner, fullname: one.owner, type: 'org', avatarUrl: '' },
    items,
    theme: 'blue',
    private: false,
    upvotes: 0,
    isUpvotedByUser: false,
  }
}

function tagsByType(context: HubContext, request: HubRequest, route: string): Reply {
  const wanted = request.query.get('type')
  const byType = new Map<string, Map<string, unknown>>()
  for (const repo of context.state.repos.values()) {
    if (`${repo.type}s` !== route.split('-')[0] || !isVisible(repo, request.caller)) continue
    const tags = fieldOf(repo, headOf(repo), 'tags')
    for (const tag of Array.isArray(tags) ? tags.map(String) : []) {
      const [prefix = '', label] = tag.split(':')
      const type = label === undefined ? 'other' : prefix
      if (wanted !== null && wanted !== type) continue
      const group = byType.get(type) ?? new Map<string, unknown>()
      byType.set(type, group.set(tag, { id: tag, label: label ?? tag, type }))
    }
  }
  return jsonReply(Object.fromEntries([...byType].map(([type, tags]) => [type, [...tags.values()]])))
}

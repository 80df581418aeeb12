import { commitTo, EPOCH_MS, HOUR_MS, laterBy, makeCommit, newRepo, splitId } from './make-commit.ts'
import { seededHex } from './random.ts'
import { byText, findCommit, headOf, historyOf, type Commit, type Entry, type RepoState } from './repo-state.ts'
import { fileIds, fileSha256 } from './stored-file.ts'
import type { RepoSpec, RepoType, RepoView, World } from './types.ts'
import { lookUp, repoKey, type WorldState } from './world-state.ts'

/** An empty Hub: the World that tests change and the state that the routes read. */
export function createWorld(seed: number): { world: World; state: WorldState } {
  const state: WorldState = {
    seed,
    repos: new Map(),
    renamed: new Map(),
    collections: [],
    ownerKinds: new Map(),
    numModels: new Map(),
    cdnFiles: new Map(),
    xetFiles: new Map(),
  }
  let created = 0
  const add = (id: string, spec: RepoSpec) => {
    const repo = newRepo(state, id, spec, created++)
    state.repos.set(repoKey(repo.type, repo.id), repo)
    return headOf(repo).id
  }
  const find = (id: string) => findRepo(state, id)
  const world: World = {
    addRepo(id, spec) {
      if (state.repos.has(repoKey(...splitId(id, spec.type)))) throw new Error(`${id} exists already`)
      return add(id, spec)
    },
    commit: (id, change) => commitTo(state, find(id), change, change.branch ?? 'main').id,
    repo: (id) => viewOf(find(id)),
    file: (id, path, revision) => factsOf(find(id), path, revision ?? 'main'),
    deleteRepo: (id) => remove(state, find(id)),
    recreateRepo(id, spec) {
      const old = find(id)
      remove(state, old)
      return add(old.id, { ...spec, type: old.type })
    },
    rename(id, newId) {
      const repo = find(id)
      if (state.repos.has(repoKey(repo.type, newId))) throw new Error(`${newId} exists already`)
      state.repos.delete(repoKey(repo.type, repo.id))
      state.renamed.set(repoKey(repo.type, repo.id), repo)
      repo.id = newId
      state.repos.set(repoKey(repo.type, newId), repo)
    },
    ...stateSwitches(find),
    ...historySwitches(state, find),
    ...community(state, find),
  }
  return { world, state }
}

function stateSwitches(find: (id: string) => RepoState) {
  return {
    setGated: (id, value) => {
      find(id).gated = value
    },
    setPrivate: (id, value) => {
      find(id).private = value
    },
    setDisabled: (id, value) => {
      find(id).disabled = value
    },
    hideFromListing: (id, hidden) => {
      find(id).hiddenFromListing = hidden
    },
    hideFromInfo: (id, hidden) => {
      find(id).hiddenFromInfo = hidden
    },
    purgeLfs: (id, path) => {
      const repo = find(id)
      repo.purged.add(entryAt(repo, headOf(repo), path).file.content)
    },
  } satisfies Partial<World>
}

function historySwitches(state: WorldState, find: (id: string) => RepoState) {
  return {
    superSquash: (id) => {
      const repo = find(id)
      const head = headOf(repo)
      const entries = new Map<string, Entry>()
      const commit = makeCommit(state, repo, {
        parent: undefined,
        title: "Super-squash branch 'main' using huggingface_hub",
        date: laterBy(head.date, HOUR_MS),
        entries,
        card: head.card,
      })
      for (const [path, { file }] of head.entries) entries.set(path, { file, lastCommit: commit.id })
      const kept = new Set([...repo.tags.values(), ...repo.otherRefs.values()])
      for (const old of historyOf(repo, head)) if (!kept.has(old.id)) repo.commits.delete(old.id)
      repo.branches.set('main', commit.id)
      return commit.id
    },
    moveBranch: (id, branch, commit) => {
      const repo = find(id)
      repo.branches.set(branch, commitAt(repo, commit).id)
    },
    deleteBranch: (id, branch) => {
      if (branch === 'main') throw new Error('a repo always has a main')
      if (!find(id).branches.delete(branch)) throw new Error(`${id} has no branch ${branch}`)
    },
    setTag: (id, tag, commit) => {
      const repo = find(id)
      if (commit === undefined) repo.tags.delete(tag)
      else repo.tags.set(tag, commitAt(repo, commit).id)
    },
    forgetCommit: (id, commit) => {
      const repo = find(id)
      if (headOf(repo).id === commit) throw new Error(`${commit} is the head of ${id}`)
      repo.commits.delete(commitAt(repo, commit).id)
    },
  } satisfies Partial<World>
}

function community(state: WorldState, find: (id: string) => RepoState) {
  return {
    addPullRequest: (id, change) => {
      const repo = find(id)
      const num = repo.discussions.length + 1
      const ref = `refs/pr/${num}`
      const commit = commitTo(state, repo, change, ref)
      repo.discussions.push({
        num,
        title: change.title ?? 'Pull request',
        author: 'contributor',
        createdAt: commit.date,
        status: 'open',
        isPullRequest: true,
      })
      return { num, commit: commit.id }
    },
    addDiscussion: (id, spec) => {
      const repo = find(id)
      const num = repo.discussions.length + 1
      repo.discussions.push({
        num,
        title: spec.title,
        author: spec.author ?? 'reader',
        createdAt: spec.createdAt ?? headOf(repo).date,
        status: spec.status ?? 'open',
        isPullRequest: spec.isPullRequest ?? false,
      })
      return num
    },
    addCollection: (spec) => {
      const hubId = seededHex(state.seed, `collection ${state.collections.length} ${spec.title}`, 24)
      const words = spec.title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
      const slug = `${spec.owner}/${words}-${hubId}`
      state.collections.push({
        slug,
        hubId,
        owner: spec.owner,
        title: spec.title,
        lastUpdated: spec.lastUpdated ?? new Date(EPOCH_MS).toISOString(),
        items: spec.items,
      })
      return slug
    },
    addOwner: (name, kind) => {
      state.ownerKinds.set(name, kind)
    },
    setNumModels: (owner, count) => {
      if (count === undefined) state.numModels.delete(owner)
      else state.numModels.set(owner, count)
    },
  } satisfies Partial<World>
}

function viewOf(repo: RepoState): RepoView {
  const head = headOf(repo)
  return {
    type: repo.type,
    id: repo.id,
    hubId: repo.hubId,
    head: head.id,
    commits: historyOf(repo, head).map((commit) => commit.id),
    branches: new Map(repo.branches),
    tags: new Map(repo.tags),
    gated: repo.gated,
    private: repo.private,
    disabled: repo.disabled,
    paths: [...head.entries.keys()].sort(byText),
  }
}

async function factsOf(repo: RepoState, path: string, revision: string) {
  const { file } = entryAt(repo, commitAt(repo, revision), path)
  const ids = await fileIds(file)
  return {
    path,
    size: file.content.size,
    isLfs: file.isLfs,
    sha256: await fileSha256(file),
    gitOid: ids.gitOid,
    xetHash: ids.lfs?.xetHash,
    content: file.content,
  }
}

function remove(state: WorldState, repo: RepoState): void {
  state.repos.delete(repoKey(repo.type, repo.id))
}

function commitAt(repo: RepoState, revision: string): Commit {
  const commit = findCommit(repo, revision)
  if (commit === undefined) throw new Error(`${repo.id} has no revision ${revision}`)
  return commit
}

function entryAt(repo: RepoState, commit: Commit, path: string): Entry {
  const entry = commit.entries.get(path)
  if (entry === undefined) throw new Error(`${repo.id} has no file ${JSON.stringify(path)}`)
  return entry
}

function findRepo(state: WorldState, id: string): RepoState {
  const [type, name] = splitId(id, undefined)
  const types: RepoType[] = name === id ? ['model', 'dataset', 'space'] : [type]
  for (const candidate of types) {
    const repo = lookUp(state, candidate, name)
    if (repo !== undefined) return repo
  }
  throw new Error(`the simulated Hub has no repo ${id}`)
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, askJson } from '../support/sim-hub/ask.ts'
import { startSimHub } from '../support/sim-hub/start-sim-hub.ts'
import type { SimHub } from '../support/sim-hub/types.ts'

interface CommitRow {
  id: string
  title: string
  date: string
  message: string
  authors: { user: string }[]
}
interface Refs {
  branches: { name: string; ref: string; targetCommit: string }[]
  tags: { name: string; targetCommit: string }[]
  converts: unknown[]
  pullRequests?: { ref: string; targetCommit: string }[]
}

const API = '/api/models/Qwen/A'

async function hubWithHistory(): Promise<{ hub: SimHub; commits: string[] }> {
  const hub = await startSimHub()
  const first = hub.world.addRepo('Qwen/A', {
    date: '2026-02-01T10:00:00.000Z',
    files: [{ path: 'LICENSE', content: 'one\n' }],
  })
  const second = hub.world.commit('Qwen/A', { title: 'Relicense', set: [{ path: 'LICENSE', content: 'two\n' }] })
  const third = hub.world.commit('Qwen/A', { set: [{ path: 'w.gguf', content: 'w' }] })
  return { hub, commits: [first, second, third] }
}

async function statusOf(hub: SimHub, revision: string): Promise<number> {
  return (await ask(`${hub.url}${API}/revision/${revision}`)).status
}

test('commits are listed newest first with a total count, in pages', async () => {
  const { hub, commits } = await hubWithHistory()
  await using _ = hub

  const page = await ask(`${hub.url}${API}/commits/main?limit=2`)
  assert.equal(page.headers['x-total-count'], '3')
  assert.deepEqual(
    (JSON.parse(page.text) as CommitRow[]).map((commit) => commit.id),
    [commits[2], commits[1]],
  )
  const next = /<(http:\/\/[^>]+)>; rel="next"/.exec(page.headers['link'] ?? '')?.[1]
  const last = await ask(next ?? '')
  assert.deepEqual(
    (JSON.parse(last.text) as CommitRow[]).map((commit) => commit.id),
    [commits[0]],
  )
  assert.equal(last.headers['link'], undefined)
  const [newest, relicense] = await askJson<CommitRow[]>(`${hub.url}${API}/commits/main`)
  assert.deepEqual([newest?.title, newest?.authors[0]?.user, newest?.message], ['Update w.gguf', 'Qwen', ''])
  assert.deepEqual([relicense?.title, relicense?.date], ['Relicense', '2026-02-01T11:00:00.000Z'])
  assert.equal((await askJson<CommitRow[]>(`${hub.url}${API}/commits/${commits[1]}`)).length, 2)
})

test('a super-squash leaves one new commit with the same files and forgets the old ids', async () => {
  const { hub, commits } = await hubWithHistory()
  await using _ = hub
  const before = await hub.world.file('Qwen/A', 'LICENSE')

  const squashed = hub.world.superSquash('Qwen/A')

  assert.equal((await ask(`${hub.url}${API}/commits/main`)).headers['x-total-count'], '1')
  for (const old of commits) assert.equal(await statusOf(hub, old), 404)
  assert.equal(await statusOf(hub, squashed), 200)
  assert.equal((await hub.world.file('Qwen/A', 'LICENSE')).gitOid, before.gitOid)
  assert.equal(hub.world.repo('Qwen/A').commits.length, 1)
})

test('a tagged commit survives a super-squash', async () => {
  const { hub, commits } = await hubWithHistory()
  await using _ = hub
  hub.world.setTag('Qwen/A', 'v1', commits[0])
  hub.world.superSquash('Qwen/A')

  assert.equal(await statusOf(hub, 'v1'), 200)
  assert.equal(await statusOf(hub, commits[1] ?? ''), 404)
})

test('a branch moved back shows the old tree, and the commit left behind still resolves', async () => {
  const { hub, commits } = await hubWithHistory()
  await using _ = hub

  hub.world.moveBranch('Qwen/A', 'main', commits[1] ?? '')

  assert.equal((await askJson<{ sha: string }>(hub.url + API)).sha, commits[1])
  assert.equal((await ask(`${hub.url}${API}/commits/main`)).headers['x-total-count'], '2')
  assert.equal(await statusOf(hub, commits[2] ?? ''), 200)
  hub.world.forgetCommit('Qwen/A', commits[2] ?? '')
  assert.equal(await statusOf(hub, commits[2] ?? ''), 404)
})

test('tags move and go; refs name branches, tags and, when asked, pull requests', async () => {
  const { hub, commits } = await hubWithHistory()
  await using _ = hub
  const refs = (query = '') => askJson<Refs>(`${hub.url}${API}/refs${query}`)

  hub.world.setTag('Qwen/A', 'v1', commits[0])
  assert.deepEqual((await refs()).tags, [{ name: 'v1', ref: 'refs/tags/v1', targetCommit: commits[0] }])
  hub.world.setTag('Qwen/A', 'v1', commits[1])
  assert.equal((await refs()).tags[0]?.targetCommit, commits[1])
  hub.world.setTag('Qwen/A', 'v1', undefined)
  assert.deepEqual((await refs()).tags, [])
  assert.equal(await statusOf(hub, 'v1'), 404)
  const { num, commit } = hub.world.addPullRequest('Qwen/A', { title: 'Fix', set: [{ path: 'a', content: 'a' }] })
  assert.equal((await refs()).pullRequests, undefined)
  assert.deepEqual((await refs('?include_prs=1')).pullRequests, [
    { name: `refs/pr/${num}`, ref: `refs/pr/${num}`, targetCommit: commit },
  ])
  assert.deepEqual((await refs()).branches, [{ name: 'main', ref: 'refs/heads/main', targetCommit: commits[2] }])
})

test('compare gives the differing lines of small files', async () => {
  const { hub, commits } = await hubWithHistory()
  await using _ = hub

  const diff = await ask(`${hub.url}${API}/compare/${commits[0]}..${commits[2]}`)
  assert.match(diff.text, /--- a\/LICENSE\n\+\+\+ b\/LICENSE\n-one\n/)
  assert.match(diff.text, /\+two\n/)
  assert.match(diff.text, /\+\+\+ b\/w.gguf\nBinary files differ/)
  assert.equal((await ask(`${hub.url}${API}/compare/none..main`)).headers['x-error-code'], 'RevisionNotFound')
})

test('discussions are counted, filtered and read one by one', async () => {
  const { hub } = await hubWithHistory()
  await using _ = hub
  hub.world.addDiscussion('Qwen/A', { title: 'Which licence?' })
  hub.world.addDiscussion('Qwen/A', { title: 'Done', status: 'closed', author: 'asker' })
  hub.world.addPullRequest('Qwen/A', { title: 'Fix card', set: [{ path: 'a', content: 'a' }] })
  interface Page {
    count: number
    discussions: { num: number; title: string; isPullRequest: boolean; repo: { name: string } }[]
  }
  const titles = async (query: string) => {
    const page = await askJson<Page>(`${hub.url}${API}/discussions${query}`)
    assert.equal(page.count, page.discussions.length)
    return page.discussions.map((one) => one.title)
  }

  assert.deepEqual(await titles(''), ['Fix card', 'Done', 'Which licence?'])
  assert.deepEqual(await titles('?type=pull_request'), ['Fix card'])
  assert.deepEqual(await titles('?type=discussion&status=open'), ['Which licence?'])
  assert.deepEqual(await titles('?status=closed'), ['Done'])
  assert.deepEqual(await titles('?author=asker'), ['Done'])
  assert.equal((await askJson<{ title: string }>(`${hub.url}${API}/discussions/1`)).title, 'Which licence?')
  assert.equal((await ask(`${hub.url}${API}/discussions/9`)).status, 404)
})

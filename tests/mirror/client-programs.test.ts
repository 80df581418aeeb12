/** Programs that download: with the Hub stopped they get byte-identical files. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { generated } from '../support/sim-hub/generated.ts'
import { until } from '../support/until.ts'
import { startMirrorOf, temporaryFolder } from './mirror-under-test.ts'

const run = promisify(execFile)
const SIZE = 24 * 1024 * 1024 + 11
const FILE = 'Qwen/A/resolve/main/model.safetensors'

/** Whether a program is there; a skipped test says so. */
async function isInstalled(t: TestContext, program: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(program, [...args])
    return true
  } catch {
    t.skip(`${[program, ...args.slice(1)].join(' ')} does not work here`)
    return false
  }
}

async function offline(t: TestContext) {
  const under = await startMirrorOf(t, (world) => {
    world.addRepo('Qwen/A', {
      files: [
        { path: 'config.json', content: '{"model_type":"qwen3"}' },
        { path: 'sub/notes.txt', content: 'notes' },
        { path: 'empty.txt', content: '' },
        { path: 'model.safetensors', content: generated('weights', SIZE) },
      ],
    })
  })
  const { sha256 } = await under.hub.world.file('Qwen/A', 'model.safetensors')
  await under.hub[Symbol.asyncDispose]()
  const folder = await temporaryFolder(t)
  const file = join(folder, 'model.safetensors')
  const digest = async () =>
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
  return { under, url: `${under.url}/${FILE}`, folder, file, sha256, digest }
}

test('curl downloads a file, a range of it, and resumes after it was killed', async (t) => {
  if (!(await isInstalled(t, 'curl', ['--version']))) return
  const { url, file, sha256, digest } = await offline(t)
  await run('curl', ['-sSfL', '-o', file, url])
  assert.equal(await digest(), sha256)
  const whole = await readFile(file)
  await run('curl', ['-sSf', '-r', '1000-2999', '-o', file, url])
  assert.ok((await readFile(file)).equals(whole.subarray(1000, 3000)))

  await writeFile(file, '')
  const slow = spawn('curl', ['-sSf', '--limit-rate', '1M', '-o', file, url], { stdio: 'ignore' })
  const ended = new Promise((resolve) => slow.once('exit', resolve))
  await until('a part has arrived', async () => (await stat(file)).size > 0)
  slow.kill('SIGKILL')
  await ended
  assert.ok((await stat(file)).size < SIZE)
  await run('curl', ['-sSf', '-C', '-', '-o', file, url])
  assert.equal(await digest(), sha256)
})

test('aria2c downloads with 8 connections', async (t) => {
  if (!(await isInstalled(t, 'aria2c', ['--version']))) return
  const { url, folder, sha256, digest } = await offline(t)
  const options = ['-x8', '-s8', '-k1M', '--file-allocation=none', '--allow-overwrite=true', '--quiet=true']
  await run('aria2c', [...options, `--dir=${folder}`, '--out=model.safetensors', `--checksum=sha-256=${sha256}`, url])
  assert.equal(await digest(), sha256)
})

test('the official Python client lists, downloads and takes a snapshot', async (t) => {
  if (!(await isInstalled(t, 'python3', ['-c', 'import huggingface_hub']))) return
  const { under, folder, sha256 } = await offline(t)
  const script = `
import hashlib, json, os
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
api = HfApi()
assert [m.id for m in api.list_models(author="Qwen")] == ["Qwen/A"]
info = api.model_info("Qwen/A", files_metadata=True)
assert sorted(api.list_repo_files("Qwen/A")) == sorted(s.rfilename for s in info.siblings)
assert [c.commit_id for c in api.list_repo_commits("Qwen/A")] == [info.sha]
assert api.list_repo_refs("Qwen/A").branches[0].target_commit == info.sha
config = hf_hub_download("Qwen/A", "config.json")
folder = snapshot_download("Qwen/A")
with open(os.path.join(folder, "model.safetensors"), "rb") as file:
    digest = hashlib.sha256(file.read()).hexdigest()
print(json.dumps({"config": open(config).read(), "sha256": digest}))
`
  const env = { ...process.env, HF_ENDPOINT: under.url, HF_HOME: folder, HF_HUB_DISABLE_TELEMETRY: '1' }
  const { stdout } = await run('python3', ['-c', script], { env })
  const seen = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { config: string; sha256: string }
  assert.deepEqual(seen, { config: '{"model_type":"qwen3"}', sha256 })
})

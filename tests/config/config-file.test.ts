import assert from 'node:assert/strict'
import { chmod, lstat, mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { addWatch, removeWatch, writeConfigTemplate } from '../../src/config/config-file.ts'
import { configTemplate } from '../../src/config/config-template.ts'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { archiveErrorOf, sandbox } from './sandbox.ts'

const COMMENTED = `# my vault
archive:   /srv/vault   # the big disk

watch:   # who
  # the makers
  - org: Qwen         # first
    every: 5m
    keep: { quants: [Q8_0] }   # tail


  # the quantisers
  - user: unsloth
    match: "Qwen3*-GGUF"

  # more to come
log: {level: debug}     # loud
`

const REFUSED_EDITS: readonly (readonly [name: string, text: string])[] = [
  ['an unknown key', 'archve: x\n'],
  ['broken YAML', 'watch: [\n'],
  ['a watch list that is no list', 'watch: Qwen\n'],
  ['a key that stands twice', 'watch: []\nwatch: []\n'],
]

for (const [name, text] of REFUSED_EDITS) {
  test(`addWatch and removeWatch leave a file with ${name} alone`, async (t) => {
    const { folder, write } = await sandbox(t)
    const path = await write('weightvault.yaml', text)

    for (const edit of [() => addWatch(path, { org: 'New' }, t.signal), () => removeWatch(path, 'Qwen', t.signal)]) {
      assert.equal((await archiveErrorOf(edit())).code, 'CONFIG_INVALID')
    }

    assert.equal(await readFile(path, 'utf8'), text)
    assert.deepEqual(await readdir(folder), ['weightvault.yaml'])
  })
}

test('addWatch refuses an entry that the configuration would refuse, and makes no file', async (t) => {
  const { folder } = await sandbox(t)
  const path = join(folder, 'weightvault.yaml')

  for (const entry of [
    {},
    { org: 'a', user: 'b' },
    { org: '../x' },
    { org: 'a', every: '5' },
    { repo: 'a/b', match: '*' },
  ]) {
    const error = await archiveErrorOf(addWatch(path, entry, t.signal))

    assert.equal(error.code, 'CONFIG_INVALID')
    assert.match(error.message, /^watch entry: /)
  }

  assert.deepEqual(await readdir(folder), [])
})

test('removeWatch keeps what an alias says when it cuts the entry with the anchor', async (t) => {
  const { write } = await sandbox(t)
  const text = 'watch:\n  - org: A\n    keep: &k { quants: [Q8_0] }\n  - org: B\n    keep: *k\n'
  const path = await write('weightvault.yaml', text)

  const removed = await removeWatch(path, 'A', t.signal)

  assert.equal(removed, 1)
  assert.match(await readFile(path, 'utf8'), /^watch:\n {2}- org: B\n {4}keep:\n {6}quants:\n {8}- Q8_0\n$/)
})

test('removeWatch changes nothing when an anchor is used outside of the list', async (t) => {
  const { write } = await sandbox(t)
  const text = 'watch:\n  - org: A\n    match: &m mit\nlicense: { allow: [*m] }\n'
  const path = await write('weightvault.yaml', text)

  const error = await archiveErrorOf(removeWatch(path, 'A', t.signal))

  assert.equal(error.code, 'CONFIG_INVALID')
  assert.match(error.message, /cannot be edited by this command/)
  assert.equal(await readFile(path, 'utf8'), text)
})

test('addWatch leaves the file as it was when its signal is aborted', async (t) => {
  const { folder, write } = await sandbox(t)
  const path = await write('weightvault.yaml', COMMENTED)
  const aborted = AbortSignal.abort()

  await assert.rejects(addWatch(path, { org: 'New' }, aborted), { name: 'AbortError' })

  assert.equal(await readFile(path, 'utf8'), COMMENTED)
  assert.deepEqual(await readdir(folder), ['weightvault.yaml'])
})

test('addWatch adds after the last entry and keeps every other byte', async (t) => {
  const { write } = await sandbox(t)
  const path = await write('weightvault.yaml', COMMENTED)

  const added = await addWatch(path, { repo: 'Qwen/Qwen3-0.6B', every: '1h', keep: { quants: ['Q4_K_M'] } }, t.signal)

  assert.equal(added, true)
  const lines = '  - repo: Qwen/Qwen3-0.6B\n    every: 1h\n    keep:\n      quants:\n        - Q4_K_M\n'
  assert.equal(await readFile(path, 'utf8'), COMMENTED.replace('GGUF"\n', `GGUF"\n${lines}`))
})

test('addWatch writes nothing for what is watched already', async (t) => {
  const { write } = await sandbox(t)
  const path = await write('weightvault.yaml', COMMENTED)
  const before = await stat(path)

  const again = await addWatch(path, { user: 'unsloth', match: 'Qwen3*-GGUF', every: '1h' }, t.signal)
  const other = await addWatch(path, { user: 'unsloth' }, t.signal)

  assert.deepEqual([again, other], [false, true])
  assert.notEqual((await stat(path)).ino, before.ino)
})

test('addWatch leaves a commented key with the entry it stands in, and removeWatch cuts it with that entry', async (t) => {
  const { write } = await sandbox(t)
  const entry =
    '  - org: Qwen\n    keep:\n      exclude: []\n      # Of a larger one only small files.\n      # max_repo: 200GB\n'
  const text = `watch:\n${entry}  # People.\n  # - user: unsloth\n`
  const path = await write('weightvault.yaml', text)

  await addWatch(path, { org: 'Other' }, t.signal)
  const added = await readFile(path, 'utf8')
  await removeWatch(path, 'Qwen', t.signal)
  const removed = await readFile(path, 'utf8')

  assert.equal(added, text.replace(entry, `${entry}  - org: Other\n`))
  assert.equal(removed, added.replace(entry, ''))
})

test('removeWatch cuts the lines of an entry and keeps every other byte', async (t) => {
  const { write } = await sandbox(t)
  const path = await write('weightvault.yaml', COMMENTED)

  const removed = await removeWatch(path, 'Qwen', t.signal)

  const cut = '  - org: Qwen         # first\n    every: 5m\n    keep: { quants: [Q8_0] }   # tail\n'
  assert.equal(removed, 1)
  assert.equal(await readFile(path, 'utf8'), COMMENTED.replace(cut, ''))
})

test('removeWatch of the last entry leaves an empty list, not the default', async (t) => {
  const { write, load } = await sandbox(t)
  const path = await write('weightvault.yaml', COMMENTED)

  await removeWatch(path, 'Qwen', t.signal)
  await removeWatch(path, 'unsloth', t.signal)
  const none = await removeWatch(path, 'nobody', t.signal)

  const text = await readFile(path, 'utf8')
  assert.equal(none, 0)
  assert.match(text, /^watch: \[\] {3}# who\n {2}# the makers\n/m)
  assert.match(text, /# more to come\nlog: \{level: debug\} {5}# loud\n$/)
  assert.deepEqual((await load()).config.watch, [])
})

test('addWatch to a file without a list keeps the default beside the new entry', async (t) => {
  const { write, load } = await sandbox(t)
  const path = await write('weightvault.yaml', 'log: { level: warn }   # quiet')

  await addWatch(path, { user: 'unsloth' }, t.signal)

  assert.equal(
    await readFile(path, 'utf8'),
    'log: { level: warn }   # quiet\nwatch:\n  - org: Qwen\n  - user: unsloth\n',
  )
  assert.equal((await load()).config.watch.length, 2)
})

const OTHER_LAYOUTS: readonly (readonly [name: string, before: string, after: string])[] = [
  ['an empty list', 'watch: []  # none\nlog: {}\n', 'watch: \n  - org: New  # none\nlog: {}\n'],
  ['a list without indent', 'watch:\n- org: A\nlog: {}\n', 'watch:\n- org: A\n- org: New\nlog: {}\n'],
  ['no line end at the end', 'watch:\n  - org: A', 'watch:\n  - org: A\n  - org: New\n'],
  ['a comment alone', '# nothing yet\n', '# nothing yet\nwatch:\n  - org: Qwen\n  - org: New\n'],
  ['Windows line ends', 'watch:\r\n  - org: A\r\n', 'watch:\r\n  - org: A\r\n  - org: New\n'],
  ['a list on one line', '# c\nwatch: [{ org: A }]\n', '# c\nwatch:\n  - org: A\n  - org: New\n'],
  ['all on one line', '{ watch: [] }\n', '{ watch: [ { org: New } ] }\n'],
]

for (const [name, before, after] of OTHER_LAYOUTS) {
  test(`addWatch copes with ${name}`, async (t) => {
    const { write, load } = await sandbox(t)
    const path = await write('weightvault.yaml', before)

    await addWatch(path, { org: 'New' }, t.signal)

    assert.equal(await readFile(path, 'utf8'), after)
    assert.equal((await load()).config.watch.at(-1)?.key, 'org:New')
  })
}

test('addWatch makes a missing file, and its folder, from the template', async (t) => {
  const { folder, load } = await sandbox(t)
  const path = join(folder, 'new/folder/weightvault.yaml')

  const added = await addWatch(path, { user: 'unsloth', match: 'Qwen3*' }, t.signal)

  const text = await readFile(path, 'utf8')
  assert.equal(added, true)
  assert.equal(text.replace('  - user: unsloth\n    match: Qwen3*\n', ''), configTemplate())
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await load({ flags: { config: path } })).config.watch.length, 2)
})

test('addWatch keeps the permissions of the file and follows a symbolic link to it', async (t) => {
  const { folder, write } = await sandbox(t)
  await mkdir(join(folder, 'real'))
  const real = await write('real/config.yaml', COMMENTED)
  await chmod(real, 0o644)
  const path = join(folder, 'weightvault.yaml')
  await symlink('real/config.yaml', path)

  await addWatch(path, { org: 'New' }, t.signal)

  assert.equal((await lstat(path)).isSymbolicLink(), true)
  assert.equal((await stat(real)).mode & 0o777, 0o644)
  assert.match(await readFile(real, 'utf8'), /- org: New/)
  assert.deepEqual(await readdir(join(folder, 'real')), ['config.yaml'])
})

test('addWatch does not need the variables that the file names', async (t) => {
  const { write } = await sandbox(t)
  const path = await write('weightvault.yaml', 'hub:\n  token: ${NOT_SET_HERE}\n')

  await addWatch(path, { org: 'New' }, t.signal)

  assert.match(await readFile(path, 'utf8'), /token: \$\{NOT_SET_HERE\}\n/)
})

test('writeConfigTemplate writes once and never over a file', async (t) => {
  const { folder } = await sandbox(t)
  const path = join(folder, 'a/weightvault.yaml')

  const first = await writeConfigTemplate(path, undefined, t.signal)
  await writeFile(path, 'log: {}\n')
  const second = await writeConfigTemplate(path, undefined, t.signal)

  assert.deepEqual([first, second], [true, false])
  assert.equal(await readFile(path, 'utf8'), 'log: {}\n')
})

test('writeConfigTemplate puts the schema beside it, and leaves one that is there alone', async (t) => {
  const { folder } = await sandbox(t)
  const [made, kept] = [join(folder, 'a/weightvault.schema.json'), join(folder, 'b/weightvault.schema.json')]
  await mkdir(join(folder, 'b'))
  await writeFile(kept, '{}\n')

  await writeConfigTemplate(join(folder, 'a/weightvault.yaml'), undefined, t.signal)
  await writeConfigTemplate(join(folder, 'b/weightvault.yaml'), undefined, t.signal)

  assert.deepEqual(JSON.parse(await readFile(made, 'utf8')), configJsonSchema())
  assert.equal(await readFile(kept, 'utf8'), '{}\n')
})

test('writeConfigTemplate writes the archive it is given, whatever its name holds', async (t) => {
  const { folder, load } = await sandbox(t)
  const written: string[] = []
  for (const archive of [join(folder, 'in/side'), '/srv/${HOME} "x": # $$', join(folder, '..', 'beside')]) {
    const path = join(folder, `${written.length}/weightvault.yaml`)
    await writeConfigTemplate(path, archive, t.signal)
    written.push((await load({ flags: { config: path } })).config.archive)
  }
  await writeConfigTemplate(join(folder, 'near.yaml'), join(folder, 'near'), t.signal)

  assert.deepEqual(written, [join(folder, 'in/side'), '/srv/${HOME} "x": # $$', join(folder, '..', 'beside')])
  assert.match(await readFile(join(folder, 'near.yaml'), 'utf8'), /^archive: "\.\/near"$/m)
})

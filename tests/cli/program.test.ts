import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadCommands } from '../../src/cli/commands.ts'
import { parseCall } from '../../src/cli/program.ts'
import { CliFolder } from './cli-harness.ts'

const COMMANDS = await loadCommands([])
const names = COMMANDS.flatMap((entry) => ('commands' in entry ? entry.commands.map(({ name }) => name) : [entry.name]))

test('an unknown command is wrong usage, with what was meant', async () => {
  await using folder = await CliFolder.make()

  const called = await folder.call(['lst'])

  assert.equal(called.code, 2)
  assert.match(called.err, /unknown command 'lst'/)
  assert.match(called.err, /did you mean list\?/)
  assert.equal(called.out, '')
})

test('help for an unknown command is wrong usage, too', async () => {
  await using folder = await CliFolder.make()

  const wrong = await folder.call(['help', 'lst'])
  const right = await folder.call(['help', 'list'])

  assert.equal(wrong.code, 2)
  assert.match(wrong.err, /unknown command "lst"/)
  assert.match(wrong.err, /did you mean "list"\?/)
  assert.equal(right.code, 0)
})

test("help of a command in a group is that command's own help", async () => {
  await using folder = await CliFolder.make()

  const asked = await folder.call(['help', 'watch', 'add'])
  const own = await folder.call(['watch', 'add', '--help'])
  const group = await folder.call(['help', 'watch'])
  const wrong = await folder.call(['help', 'watch', 'ad'])

  assert.equal(asked.code, 0)
  assert.equal(asked.out, own.out)
  assert.match(asked.out, /^Usage: weightvault watch add /)
  assert.match(group.out, /^Usage: weightvault watch \[command\]/)
  assert.equal(wrong.code, 2)
  assert.match(wrong.err, /unknown command "ad".*did you mean "add"\?/s)
})

test('an unknown option is wrong usage, with what was meant and the usage of the command', async () => {
  await using folder = await CliFolder.make()

  const called = await folder.call(['list', '--lager', '3GB'])

  assert.equal(called.code, 2)
  assert.match(called.err, /did you mean --larger\?/)
  assert.match(called.err, /usage: weightvault list/)
})

test('an unknown word after a group is wrong usage, with what was meant', async () => {
  await using folder = await CliFolder.make()

  const called = await folder.call(['queue', 'bmp', 'Qwen/A'])

  assert.equal(called.code, 2)
  assert.match(called.err, /did you mean "bump"\?/)
})

test('every kind of wrong word ends with 2 before anything is opened', async () => {
  await using folder = await CliFolder.make()
  const wrong = [
    [],
    ['show'],
    ['show', 'not-a-repo'],
    ['show', 'a/b', 'c'],
    ['why', '../../etc/passwd'],
    ['list', '--larger', '3xb'],
    ['list', '--larger', '-3'],
    ['list', '--limit', '0'],
    ['list', '--limit', '1e9'],
    ['list', '--state', 'sealled'],
    ['list', '--after', '???'],
    ['list', '--log-level', 'loud'],
    ['events', '--type', 'repo-gone'],
    ['events', '--since', 'yesterday'],
    ['events', '--repo', 'Qwen'],
    ['sync', 'Qwen/A@1234567'],
    ['watch', 'add', 'Qwen/A/B/C'],
    ['watch', 'add'],
    ['verify', 'Qwen'],
  ]
  for (const words of wrong) {
    const called = await folder.call(words, {
      effects: { openArchive: () => assert.fail(`${words.join(' ')} opened the archive`) },
    })

    assert.equal(called.code, 2, words.join(' '))
    assert.match(called.err, /code: USAGE/, words.join(' '))
  }
})

test('with --json an error is one document on stdout and nothing else', async () => {
  await using folder = await CliFolder.make()

  for (const words of [
    ['list', '--nope', '--json'],
    ['nope', '--json'],
    ['--json', 'show', 'x'],
  ]) {
    const called = await folder.call(words)

    const document = JSON.parse(called.out) as { error: { code: string; message: string; hint: string } }
    assert.deepEqual(Object.keys(document.error), ['code', 'message', 'hint'])
    assert.equal(document.error.code, 'USAGE')
    assert.equal(called.err, '')
    assert.equal(called.code, 2)
  }
})

test('what a person typed cannot reach the terminal as control characters', async () => {
  await using folder = await CliFolder.make()

  for (const word of ['\u001b[2Jx', 'a/b\u202e', `--\u001b]0;x\u0007`]) {
    const called = await folder.call(['show', word])

    assert.equal(called.code, 2)
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(called.err, /[\u0000-\u0009\u000b-\u001f\u202e]/)
  }
})

test('every command explains itself with an example and its exit status', async () => {
  await using folder = await CliFolder.make()

  for (const name of names) {
    const called = await folder.call([...name.split(' '), '--help'])

    assert.equal(called.code, 0, name)
    assert.match(called.out, new RegExp(`Usage: weightvault ${name}`))
    assert.match(called.out, /Examples:\n {2}\$ weightvault /)
    assert.match(called.out, /Exit status:\n {4}0 {2}it worked/)
  }
})

test('every example of the help is a call that is understood', async () => {
  for (const entry of COMMANDS) {
    for (const command of 'commands' in entry ? entry.commands : [entry]) {
      for (const example of command.examples) {
        const [first = ''] = example.split(' || ')
        const words = first.match(/"[^"]*"|\S+/g)!.map((word) => word.replaceAll('"', ''))

        const call = await parseCall(words.slice(1), COMMANDS, '0')

        assert.equal(call.kind, 'run', example)
        const alone = 'commands' in entry && words.length === 2
        assert.equal(call.kind === 'run' && call.command.name, alone ? entry.commands[0].name : command.name, example)
      }
    }
  }
})

test('parseCall takes global options before and after the command', async () => {
  for (const words of [
    ['--json', '--archive', '/a', 'list', '--limit', '3'],
    ['list', '--limit', '3', '--json', '--archive', '/a'],
  ]) {
    const call = await parseCall(words, COMMANDS, '0')

    assert.ok(call.kind === 'run')
    assert.equal(call.flags.json, true)
    assert.equal(call.flags.archive, '/a')
    assert.equal(call.flags.color, true)
    assert.equal(call.input.options['limit'], '3')
  }
})

test('loadCommands loads the named command alone, and every command for any other first word', async () => {
  for (const entry of COMMANDS) assert.deepEqual(await loadCommands([entry.name, '--json']), [entry])
  for (const words of [[], ['help', 'sync'], ['--json', 'sync'], ['snyc']]) {
    assert.deepEqual(await loadCommands(words), COMMANDS)
  }
})

test('parseCall gives a group alone to its first command, with its options', async () => {
  const call = await parseCall(['queue', '--limit', '5'], COMMANDS, '0')

  assert.ok(call.kind === 'run')
  assert.equal(call.command.name, 'queue ls')
  assert.equal(call.input.options['limit'], '5')
})

test('--version prints the version', async () => {
  await using folder = await CliFolder.make()

  assert.deepEqual(await folder.call(['--version']), { code: 0, out: '1.2.3\n', err: '' })
})

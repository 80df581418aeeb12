import { homedir } from 'node:os'
import type { WriteStream } from 'node:tty'
import { OutputClosed } from './cli/printer.ts'
import { runCli, type CliEffects, type Stream } from './cli/run-cli.ts'
import { stopSignals } from './cli/stop-signals.ts'
import { systemClock } from './lib/clock.ts'
import { programVersion } from './lib/program-version.ts'

/** How long something left open may keep a finished command alive. */
const EXIT_AFTER_MS = 2000

/** The program: words of the command line to an exit code. The only place that sets one. */
export async function main(words: readonly string[]): Promise<void> {
  // The adapters are loaded when a command needs them: help and usage errors stay instant.
  const effects: CliEffects = {
    stdout: streamOf(process.stdout),
    stderr: streamOf(process.stderr),
    env: process.env,
    cwd: process.cwd(),
    homeDir: homedir(),
    version: await programVersion(),
    clock: systemClock,
    signal: stopSignals(process),
    openArchive: async (config, options) => (await import('./compose.ts')).openArchive(config, options),
    openChannels: async (config) => (await import('./compose.ts')).channelsOf(config),
    initArchive: async (config, log) => (await import('./compose.ts')).initArchive(config, log),
    runService: async (input, stopping) => (await import('./daemon.ts')).runService(input, stopping),
    runServers: async (input, stopping) => (await import('./serve.ts')).runServers(input, stopping),
  }
  process.exitCode = await runCli(words, effects)
  setTimeout(() => process.exit(), EXIT_AFTER_MS).unref()
}

function streamOf(stream: WriteStream): Stream {
  let isClosed = false
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error
    isClosed = true
  })
  return {
    isTTY: stream.isTTY,
    columns: () => stream.columns,
    write: (text) =>
      new Promise((resolve, reject) => {
        if (isClosed) {
          reject(new OutputClosed('nobody reads the output any more'))
          return
        }
        stream.write(text, (error) => {
          if (error === null || error === undefined) resolve()
          else reject(new OutputClosed('nobody reads the output any more', { cause: error }))
        })
      }),
  }
}

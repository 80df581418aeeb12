import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('slow-line.ts', import.meta.url))

/** What lies between a server and its clients: see `slow-line.ts`. */
export type LineKind =
  | { readonly kind: 'far'; readonly bytesPerSecond: number; readonly roundTripMs: number }
  | { readonly kind: 'narrow'; readonly bytesPerSecond: number }

/** A line in front of a server of this machine, in a process of its own until it is disposed. */
export class LineProcess implements Disposable {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(serverPort: number, line: LineKind): Promise<LineProcess> {
    const roundTrip = line.kind === 'far' ? [String(line.roundTripMs)] : []
    const words = [PROGRAM, line.kind, String(serverPort), String(line.bytesPerSecond), ...roundTrip]
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    const [said] = (await once(child.stdout!, 'data')) as [Buffer]
    return new LineProcess(child, Number(String(said)))
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }
}

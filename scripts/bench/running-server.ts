import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, untilOpen } from './nginx-server.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/weightvault.js', import.meta.url))
/** Of the kernel's clock in /proc, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
const READY_WITHIN_MS = 60_000

/** A server that is measured while others ask it. Disposing ends it. */
export class RunningServer implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  /** `weightvault serve` for the archive of a folder. */
  static async weightvault(folder: string): Promise<RunningServer> {
    const port = await freePort()
    const config = join(folder, 'serve.yaml')
    await writeFile(config, `archive: ./archive\nserve: { dashboard: off, mirror: "127.0.0.1:${port}" }\n`)
    const env = { PATH: process.env['PATH'], HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') }
    const child = spawn(process.execPath, [PROGRAM, 'serve', '--config', config], { stdio: 'ignore', env })
    await within(READY_WITHIN_MS, () => untilOpen(port))
    return new RunningServer(child, `http://127.0.0.1:${port}`)
  }

  /** nginx with sendfile and two workers over a folder of files. */
  static async nginx(folder: string, root: string): Promise<RunningServer> {
    const port = await freePort()
    await mkdir(folder, { recursive: true })
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    )
    // Its workers would run as another user, who may not read a private folder.
    const user = process.getuid?.() === 0 ? 'user root;' : ''
    const text = `${user} worker_processes 2; pid ${folder}/nginx.pid; error_log ${folder}/error.log warn;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type application/octet-stream;
  ${temporary.join(' ')}
  server { listen 127.0.0.1:${port}; root ${root}; }
}
`
    await writeFile(join(folder, 'nginx.conf'), text)
    const child = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder, '-g', 'daemon off;'], {
      stdio: 'ignore',
    })
    await untilOpen(port)
    return new RunningServer(child, `http://127.0.0.1:${port}`)
  }

  /** CPU seconds of the process so far, all threads; undefined where the system does not tell. */
  async cpuSeconds(): Promise<number | undefined> {
    const text = await readFile(`/proc/${this.#child.pid}/stat`, 'utf8').catch(() => undefined)
    const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields && (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  }

  /** Most memory it had at once. */
  async peakRssBytes(): Promise<number | undefined> {
    const text = await readFile(`/proc/${this.#child.pid}/status`, 'utf8').catch(() => '')
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
  }
}

async function within(ms: number, work: () => Promise<void>): Promise<void> {
  const endMs = performance.now() + ms
  for (;;) {
    try {
      await work()
      return
    } catch (error) {
      if (performance.now() > endMs) throw error
    }
  }
}

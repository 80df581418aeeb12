import { spawn, type ChildProcess } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { createServer, connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'

/** A file that the server has, of bytes that cannot be compressed. */
export interface ServedFile {
  readonly path: string
  readonly size: number
  readonly sha256: string
}

const CHUNK = Buffer.alloc(4 * 1024 * 1024)

/**
 * nginx as a CDN, and as a Hub that redirects to it, over HTTP and over TLS with a certificate made for this run. Ends when
 * disposed.
 */
export class NginxServer implements AsyncDisposable {
  readonly folder: string
  readonly certificate: string
  readonly ports: { readonly http: number; readonly https: number }
  readonly #child: ChildProcess

  private constructor(folder: string, child: ChildProcess, ports: { http: number; https: number }) {
    this.folder = folder
    this.certificate = join(folder, 'cert.pem')
    this.ports = ports
    this.#child = child
  }

  static async start(folder: string): Promise<NginxServer> {
    await mkdir(join(folder, 'files'), { recursive: true })
    await makeCertificate(folder)
    const [http, https, hub, tlsHub] = [await freePort(), await freePort(), await freePort(), await freePort()]
    const config = join(folder, 'nginx.conf')
    await writeFile(config, configText(folder, { http, https, hub, tlsHub }))
    const child = spawn('nginx', ['-c', config, '-p', folder, '-g', 'daemon off;'], { stdio: 'ignore' })
    const server = new NginxServer(folder, child, { http, https })
    server.#hubs = { http: `http://127.0.0.1:${hub}`, https: `https://127.0.0.1:${tlsHub}` }
    for (const port of [http, https, hub, tlsHub]) await untilOpen(port)
    return server
  }

  #hubs = { http: '', https: '' }

  /** Base address of the Hub. Below `/far/<port>` it redirects to that port instead of this server. */
  hub(scheme: 'http' | 'https'): string {
    return this.#hubs[scheme]
  }

  url(scheme: 'http' | 'https', file: ServedFile): string {
    return `${scheme}://127.0.0.1:${this.ports[scheme]}/${file.path}`
  }

  /** Writes a file for it to serve. */
  async add(path: string, size: number): Promise<ServedFile> {
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, path), Buffer.alloc(16))
    const hash = createHash('sha256')
    await using handle = await open(join(this.folder, 'files', path), 'w')
    for (let at = 0; at < size; at += CHUNK.length) {
      const bytes = cipher.update(CHUNK.subarray(0, Math.min(CHUNK.length, size - at)))
      hash.update(bytes)
      await handle.write(bytes)
    }
    return { path, size, sha256: hash.digest('hex') }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
  }
}

function configText(folder: string, ports: { http: number; https: number; hub: number; tlsHub: number }): string {
  const resolve = (target: string): string => `location ~ ^/Qwen/Bench/resolve/[^/]+/(.*)$ { return 302 ${target}/$1; }`
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path tmp;`)
  // Started by root it would read as somebody who may not look into our folder.
  const user = process.getuid?.() === 0 ? 'user root; ' : ''
  return `${user}worker_processes 2; pid nginx.pid; error_log error.log warn;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; sendfile_max_chunk 2m; keepalive_requests 100000;
  ${temporary.join(' ')}
  default_type application/octet-stream;
  ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem; ssl_buffer_size 16k;
  server { listen 127.0.0.1:${ports.http}; root ${folder}/files; }
  server { listen 127.0.0.1:${ports.https} ssl; root ${folder}/files; }
  server { listen 127.0.0.1:${ports.hub};
    location ~ ^/far/(\\d+)/Qwen/Bench/resolve/[^/]+/(.*)$ { return 302 http://127.0.0.1:$1/$2; }
    ${resolve(`http://127.0.0.1:${ports.http}`)} }
  server { listen 127.0.0.1:${ports.tlsHub} ssl;
    location ~ ^/far/(\\d+)/Qwen/Bench/resolve/[^/]+/(.*)$ { return 302 https://127.0.0.1:$1/$2; }
    ${resolve(`https://127.0.0.1:${ports.https}`)} }
}
`
}

/** A certificate for this machine, `cert.pem` and `key.pem` in the folder. */
export async function makeCertificate(folder: string): Promise<void> {
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  const args = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '30',
    '-subj',
    '/CN=localhost',
    '-addext',
    names,
  ]
  const child = spawn('openssl', [...args, '-keyout', 'key.pem', '-out', 'cert.pem'], { cwd: folder, stdio: 'ignore' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error('openssl made no certificate')
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** @throws when nobody listens there within ten seconds */
export async function untilOpen(port: number): Promise<void> {
  const endMs = performance.now() + 10_000
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch (error) {
      if (performance.now() > endMs) throw error
      await new Promise<void>((resolve) => setTimeout(resolve, 50))
    } finally {
      socket.destroy()
    }
  }
}

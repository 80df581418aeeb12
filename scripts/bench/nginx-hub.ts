import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isInstalled } from './measured-process.ts'
import { freePort, makeCertificate, untilOpen } from './nginx-server.ts'

const COMMIT = 'c'.repeat(40)
const FILES_PER_PAGE = 1000

/** A repository of equal files, as nginx serves it. */
export interface ServedRepo {
  /** `owner/name`. */
  readonly id: string
  readonly files: number
  readonly bytesEach: number
}

/**
 * nginx as a Hub of one repository over TLS with a certificate of its own: listings are prepared answers, and every file
 * is answered directly. The fastest Hub there is, so that a client's own cost is what is measured.
 */
export class NginxHub implements AsyncDisposable {
  readonly url: string
  /** The certificate to trust. */
  readonly certificate: string
  readonly repo: ServedRepo
  readonly #stop: () => Promise<void>

  private constructor(url: string, certificate: string, repo: ServedRepo, stop: () => Promise<void>) {
    this.url = url
    this.certificate = certificate
    this.repo = repo
    this.#stop = stop
  }

  /** Why it cannot be started here; undefined when it can. */
  static async whyNot(): Promise<string | undefined> {
    for (const command of ['nginx', 'openssl']) {
      if (!(await isInstalled(command))) return `${command} is not installed (Debian: apt-get install ${command})`
    }
    return undefined
  }

  static async start(folder: string, repo: ServedRepo): Promise<NginxHub> {
    await mkdir(join(folder, 'srv'), { recursive: true })
    await writeRepo(join(folder, 'srv'), repo)
    await makeCertificate(folder)
    const port = await freePort()
    await writeFile(join(folder, 'nginx.conf'), configuration(folder, port, repo))
    const nginx = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder, '-g', 'daemon off;'], {
      stdio: 'ignore',
    })
    const url = `https://127.0.0.1:${port}`
    await untilOpen(port)
    return new NginxHub(url, join(folder, 'cert.pem'), repo, async () => {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    })
  }

  /** Addresses of all files. */
  fileUrls(): string[] {
    const { id, files } = this.repo
    return Array.from({ length: files }, (_, at) => `${this.url}/${id}/resolve/${COMMIT}/${fileName(at)}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop()
  }
}

/** Name of a file of the repository. */
export function fileName(at: number): string {
  return `f${String(at).padStart(6, '0')}.txt`
}

async function writeRepo(root: string, repo: ServedRepo): Promise<void> {
  const entries: object[] = []
  for (let at = 0; at < repo.files; at += 1) {
    const bytes = randomBytes(repo.bytesEach)
    await writeFile(join(root, fileName(at)), bytes)
    const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
    entries.push({ type: 'file', oid, size: bytes.length, path: fileName(at) })
  }
  const pages = Math.ceil(entries.length / FILES_PER_PAGE)
  for (let page = 0; page < pages; page += 1) {
    const rows = entries.slice(page * FILES_PER_PAGE, (page + 1) * FILES_PER_PAGE)
    await writeFile(join(root, `tree-${page}.json`), JSON.stringify(rows))
  }
  const facts = {
    _id: 'a'.repeat(24),
    id: repo.id,
    modelId: repo.id,
    sha: COMMIT,
    createdAt: '2026-01-01T00:00:00.000Z',
    lastModified: '2026-01-01T00:00:00.000Z',
    private: false,
    disabled: false,
    gated: false,
    downloads: 0,
    likes: 0,
    tags: [],
    cardData: {},
    updatedAt: '2026-01-01T00:00:00.000Z',
  }
  const refs = { branches: [{ name: 'main', ref: 'refs/heads/main', targetCommit: COMMIT }], tags: [], converts: [] }
  await writeFile(join(root, 'refs.json'), JSON.stringify(refs))
  await writeFile(join(root, 'list.json'), JSON.stringify([facts]))
  await writeFile(join(root, 'info.json'), JSON.stringify(facts))
}

/** Pages of the tree follow each other by a `Link`, as the Hub's do. */
function configuration(folder: string, port: number, { id, files }: ServedRepo): string {
  const pages = Math.ceil(files / FILES_PER_PAGE)
  const treePath = `/api/models/${id}/tree/${COMMIT}`
  const maps = Array.from({ length: pages }, (_, page) => {
    const next =
      page + 1 < pages ? `'<https://127.0.0.1:${port}${treePath}?recursive=true&cursor=${page + 1}>; rel="next"'` : "''"
    return `${page === 0 ? 'default' : page} ${next};`
  })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  // Its workers would run as another user, who may not read a private folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `${user} worker_processes 2; pid ${folder}/nginx.pid; error_log ${folder}/error.log warn;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/octet-stream;
  ${temporary.join(' ')}
  ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
  map $arg_cursor $next_page { ${maps.join(' ')} }
  map $arg_cursor $page { default 0; ~^(?<number>[0-9]+)$ $number; }
  server {
    listen 127.0.0.1:${port} ssl;
    root ${folder}/srv;
    location = /api/models { default_type application/json; try_files /list.json =404; }
    location = /api/models/${id} { default_type application/json; try_files /info.json =404; }
    location = /api/models/${id}/refs { default_type application/json; try_files /refs.json =404; }
    location = ${treePath} { default_type application/json; add_header Link $next_page; try_files /tree-$page.json =404; }
    location ~ ^/${id}/resolve/${COMMIT}/(.*)$ { add_header X-Repo-Commit ${COMMIT}; try_files /$1 =404; }
  }
}
`
}

/** A port that nobody listened on a moment ago. */

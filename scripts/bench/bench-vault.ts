import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { measureNode, type Measured } from './measured-process.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/weightvault.js', import.meta.url))

/** A temporary folder, removed at the end with all that is in it. */
export class BenchFolder implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async make(): Promise<BenchFolder> {
    return new BenchFolder(await mkdtemp(join(tmpdir(), 'weightvault-bench-')))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

/** What the benchmarks read of `sync --json`; other commands have none of it. */
export interface CommandJson {
  readonly newEvents?: number
  readonly fetchedFiles?: number
  readonly sealed?: readonly unknown[]
  readonly failed?: readonly unknown[]
}

/** The real program with a configuration and an archive in a folder of its own; every call is a measured process. */
export class BenchVault {
  readonly folder: string
  readonly #environment: Readonly<Record<string, string>>

  private constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.folder = folder
    this.#environment = environment
  }

  /** @param environment variables of every call, such as a certificate to trust */
  static async make(
    folder: string,
    hubUrl: string,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<BenchVault> {
    const yaml = `archive: ./archive
serve: { dashboard: off, mirror: off }
hub: { endpoint: "${hubUrl}" }
budget: { total: 1TB, reserve: 100MB }
watch:
  - { org: Qwen, every: 1s }
`
    await writeFile(join(folder, 'weightvault.yaml'), yaml)
    return new BenchVault(folder, environment)
  }

  /** @param nodeFlags flags for Node itself, such as --cpu-prof */
  async run(args: readonly string[], nodeFlags: readonly string[] = []): Promise<Measured> {
    const config = ['--config', join(this.folder, 'weightvault.yaml')]
    return measureNode([...nodeFlags, PROGRAM, ...args, ...config], this.folder, this.#environment)
  }

  /** A call that must end with one of `exitCodes`: a benchmark of something that failed would say nothing. */
  async runJson(args: readonly string[], exitCodes = [0]): Promise<Measured & { readonly json: CommandJson }> {
    const measured = await this.run([...args, '--json'])
    if (!exitCodes.includes(measured.exitCode)) {
      throw new Error(
        `weightvault ${args.join(' ')} ended with ${measured.exitCode}: ${measured.stdout.slice(0, 2000)} ${measured.stderr.slice(-2000)}`,
      )
    }
    return { ...measured, json: JSON.parse(measured.stdout) as CommandJson }
  }
}

import { createHash } from 'node:crypto'
import { parseSha256, type Sha256 } from '../domain/digest.ts'
import { BoundedCache } from './bounded-cache.ts'
import { chatFormatOf } from './chat-format.ts'
import { chooseGguf, tagsOf, type GgufChoice } from './choose-gguf.ts'
import { readGgufFacts } from './gguf-header.ts'
import type { HeldBytes } from './held-bytes.ts'
import { MirrorError } from './mirror-error.ts'
import { siblingsJson } from './repo-json.ts'
import type { SnapshotView, ViewFile } from './snapshot-view.ts'

const MEDIA = 'application/vnd.ollama.image.'
/** Characters of made blobs that are kept. */
const MOST_MADE = 8_000_000
/** Files of a repository that stand in for what is made, as on the Hub. */
const OWN_FILES = ['template', 'system', 'params'] as const

interface Layer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

interface Made {
  readonly manifest: Record<string, unknown>
  /** Blobs that are no files of the repository, by digest. */
  readonly blobs: ReadonlyMap<Sha256, Buffer>
}

/**
 * GGUF repositories as an image registry shows them: what `ollama pull host/owner/name:quant` asks for, and what llama.cpp
 * asked for before it read trees.
 */
export class OllamaDoor {
  readonly #held: HeldBytes
  readonly #made = new BoundedCache<string, Promise<Made>>(MOST_MADE)

  constructor(held: HeldBytes) {
    this.#held = held
  }

  /** @throws MirrorError BadRequest for a tag that means no held file, or one in parts, which Ollama cannot read */
  async manifest(snapshot: SnapshotView, tag: string, isLlamaCpp: boolean): Promise<Record<string, unknown>> {
    const choice = chooseGguf(snapshot, tag)
    if (choice === undefined) {
      const tags = tagsOf(snapshot)
      const known = tags.length === 0 ? 'no GGUF file of it is held here' : `known here: latest, ${tags.join(', ')}`
      throw new MirrorError(400, 'BadRequest', `The tag is no quantization or file of this repository; ${known}`)
    }
    if (choice.parts > 1 && !isLlamaCpp) {
      throw new MirrorError(400, 'BadRequest', 'This model is cut into several GGUF files, which Ollama cannot pull')
    }
    const { manifest } = await this.#make(snapshot, choice)
    return isLlamaCpp ? { ...manifest, ...llamaCppFields(choice) } : manifest
  }

  /** A blob that some manifest of this commit names and that is no file of it. */
  async madeBlob(snapshot: SnapshotView, digest: Sha256): Promise<Buffer | undefined> {
    for (const tag of ['latest', ...tagsOf(snapshot)]) {
      const choice = chooseGguf(snapshot, tag)
      const blob = choice === undefined ? undefined : (await this.#make(snapshot, choice)).blobs.get(digest)
      if (blob !== undefined) return blob
    }
    return undefined
  }

  #make(snapshot: SnapshotView, choice: GgufChoice): Promise<Made> {
    const key = `${snapshot.commit} ${snapshot.row.manifestRevision} ${choice.model.path}`
    const cached = this.#made.get(key)
    if (cached !== undefined) return cached
    const made = this.#makeNow(snapshot, choice)
    this.#made.set(key, made)
    void made
      .then(({ blobs }) => this.#made.set(key, made, 1000 + sum([...blobs.values()].map((blob) => blob.length))))
      .catch(() => this.#made.delete(key))
    return made
  }

  async #makeNow(snapshot: SnapshotView, choice: GgufChoice): Promise<Made> {
    const { model, projector, quant } = choice
    await using blob = await this.#held.open(model, snapshot)
    const facts = await readGgufFacts(blob)
    const format = chatFormatOf(facts.chatTemplate)
    const blobs = new Map<Sha256, Buffer>()
    const layers = [fileLayer('model', model), ...(projector === undefined ? [] : [fileLayer('projector', projector)])]
    for (const name of OWN_FILES) {
      const own = snapshot.files.get(name)
      const text = own?.held === true && !own.isLfs ? await this.#held.check(own, snapshot) : undefined
      const bytes = text ?? madeText(name, format)
      if (bytes !== undefined) layers.push(madeLayer(`${MEDIA}${name}`, bytes, blobs))
    }
    const family = facts.architecture ?? 'unknown'
    const config = {
      model_format: 'gguf',
      model_family: family,
      model_families: [family],
      model_type: facts.sizeLabel ?? 'unknown',
      file_type: quant ?? 'unknown',
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
    }
    return {
      blobs,
      manifest: {
        schemaVersion: 2,
        mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
        config: madeLayer('application/vnd.docker.container.image.v1+json', Buffer.from(JSON.stringify(config)), blobs),
        layers,
      },
    }
  }
}

function madeText(name: (typeof OWN_FILES)[number], format: ReturnType<typeof chatFormatOf>): Buffer | undefined {
  if (format === undefined || name === 'system') return undefined
  return Buffer.from(name === 'template' ? format.template : JSON.stringify({ stop: format.stop }))
}

function fileLayer(kind: string, file: ViewFile): Layer {
  return { mediaType: `${MEDIA}${kind}`, digest: `sha256:${file.sha256 ?? ''}`, size: file.size }
}

function madeLayer(mediaType: string, bytes: Buffer, blobs: Map<Sha256, Buffer>): Layer {
  const sha256 = parseSha256(createHash('sha256').update(bytes).digest('hex'))!
  blobs.set(sha256, bytes)
  return { mediaType, digest: `sha256:${sha256}`, size: bytes.length }
}

/** Older llama.cpp looks up the file to fetch here. */
function llamaCppFields({ model, projector }: GgufChoice): Record<string, unknown> {
  const [ggufFile, mmprojFile] = siblingsJson(projector === undefined ? [model] : [model, projector], true)
  return { ggufFile, ...(mmprojFile === undefined ? {} : { mmprojFile }) }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

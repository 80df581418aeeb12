import type { Content } from '../content/content.ts'
import { gitBlobId, gitBlobIdOf, lfsPointerText, sha256Of, xetHashOf } from './git-ids.ts'
import type { FileSpec } from './types.ts'

const LFS_FROM_BYTES = 10 * 1024 * 1024
const LFS_NAMES =
  /(^|\/)tokenizer\.json$|\.(safetensors|gguf|bin|pt|pth|onnx|h5|msgpack|ckpt|npy|npz|parquet|arrow|zip|tar|gz|7z|model|ot|pb|tflite|mlmodel|joblib|pkl|xz|zst)$/i

/** A file as the Hub holds it. */
export interface StoredFile {
  readonly path: string
  readonly content: Content
  readonly isLfs: boolean
  readonly knownSha256: string | undefined
  readonly treeOverride: Record<string, unknown> | undefined
}

/** The ids of a stored file. */
export interface FileIds {
  /** What the tree gives as `oid`. */
  gitOid: string
  lfs: { sha256: string; pointer: Buffer; xetHash: string } | undefined
}

/** Content over literal bytes. */
export function bytesContent(bytes: Uint8Array): Content {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) }
}

/** Takes a test's description as the Hub would store it. */
export function storeFile(spec: FileSpec): StoredFile {
  const content = toContent(spec.content)
  const isLfs = spec.lfs ?? (content.size > 0 && (content.size >= LFS_FROM_BYTES || LFS_NAMES.test(spec.path)))
  return { path: spec.path, content, isLfs, knownSha256: spec.sha256, treeOverride: spec.treeOverride }
}

function toContent(content: FileSpec['content']): Content {
  if (typeof content === 'string') return bytesContent(Buffer.from(content))
  return content instanceof Uint8Array ? bytesContent(content) : content
}

/** SHA-256 of the bytes, given or computed. */
export async function fileSha256(file: StoredFile): Promise<string> {
  return file.knownSha256 ?? (await sha256Of(file.content))
}

/** Computes what the tree, the info and resolve say about a file. */
export async function fileIds(file: StoredFile): Promise<FileIds> {
  if (!file.isLfs) return { gitOid: await gitBlobIdOf(file.content), lfs: undefined }
  const sha256 = await fileSha256(file)
  const pointer = Buffer.from(lfsPointerText(sha256, file.content.size))
  return { gitOid: gitBlobId(pointer), lfs: { sha256, pointer, xetHash: xetHashOf(sha256) } }
}

/** All bytes of a small file. */
export function fileBytes(file: StoredFile): Buffer {
  return Buffer.from(file.content.read(0, file.content.size))
}

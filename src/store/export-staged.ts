import { readdir, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Survey } from './export-survey.ts'
import type { Staging } from './export-target.ts'

/** Removes what an interrupted call built for another plan: it must not be shown with this one. */
export async function pruneStaged(staging: Staging, { absent }: Survey): Promise<void> {
  const files = new Set(absent.flatMap(({ entries }) => entries.map(({ entry }) => entry.path)))
  const folders = new Set<string>()
  for (const { parts } of absent) {
    for (let depth = parts.length; depth > 0; depth -= 1) folders.add(parts.slice(0, depth).join('/'))
  }
  for (const found of await readdir(staging.treePath, { recursive: true, withFileTypes: true })) {
    const path = relative(staging.treePath, join(found.parentPath, found.name))
    if (found.isDirectory() ? folders.has(path) : files.has(path)) continue
    await rm(join(staging.treePath, path), { recursive: true, force: true })
  }
}

/** Whether an interrupted call left anything. */
export async function hasStaged(staging: Staging): Promise<boolean> {
  return (await readdir(staging.treePath)).length > 0
}

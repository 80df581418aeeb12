import { contradictionsOf, matchText } from '../domain/license-compare.ts'
import type { LicenseFile } from '../domain/license-entry.ts'
import type { LicenseFacts } from '../domain/repo.ts'
import type { OpenedArchive } from '../opened-archive.ts'
import type { LicenseRow } from '../license-port.ts'

/** One commit's licence in `licenses --json` and `show --json`. Scripts depend on the names: fields are only added. */
export async function licenseJson(
  archive: Pick<OpenedArchive, 'catalog'>,
  row: LicenseRow,
): Promise<Record<string, unknown>> {
  const bases: Record<string, unknown>[] = []
  for (const repo of row.baseModels) {
    bases.push({ repo, spdx: (await archive.catalog.licenses.formAt(repo, row.at)) ?? null })
  }
  return {
    seenAt: row.at,
    commit: row.commit,
    ...factsJson(row.stated),
    statedBy: row.statedBy,
    spdx: row.form?.expression ?? null,
    kind: row.form?.kind ?? 'unknown',
    tags: row.tags,
    baseModels: bases,
    gateTerms: gateTermsJson(row.gateTerms),
    texts: row.files.filter(({ role }) => role !== 'card').map(textJson),
    card: cardJson(row.files),
    contradictions: contradictionsOf(row).map(({ path, reading }) => ({ path, reads: matchText(reading.match) })),
  }
}

function factsJson({ license, license_name, license_link }: LicenseFacts): Record<string, string | null> {
  return { license: license ?? null, license_name: license_name ?? null, license_link: license_link ?? null }
}

function textJson(file: LicenseFile): Record<string, unknown> {
  const { path, role, size, sha256, reading } = file
  const read = reading === undefined || reading.role === 'card' ? undefined : reading
  return {
    path,
    role,
    size,
    sha256: sha256 ?? null,
    match: read?.match.kind ?? null,
    ids: read !== undefined && 'ids' in read.match ? read.match.ids : [],
    similarity: read?.match.kind === 'altered' ? read.match.similarity : null,
    wordsSha256: read?.wordsSha256 ?? null,
  }
}

/** What README.md of this very commit states; null while it is not held, or where it has no front matter. */
function cardJson(files: readonly LicenseFile[]): Record<string, unknown> | null {
  const card = files.find((file) => file.role === 'card')
  if (card?.reading?.role !== 'card' || card.reading.stated === undefined) return null
  return { sha256: card.sha256 ?? null, ...factsJson(card.reading.stated) }
}

/** The card's `extra_gated_…` fields; text that was cut stays text. */
function gateTermsJson(text: string | undefined): unknown {
  if (text === undefined) return null
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

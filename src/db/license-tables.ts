import type { Generated } from 'kysely'

/** What each commit's card says of its licence; see license-ledger.ts. */
export interface LicensesTable {
  snapshot_id: number
  repo_id: number
  /** As `repos.license`. */
  stated: string
  tags: string
  spdx: string | null
  kind: string | null
  base_models: string
  /** JSON text: of the card, so it may hold what SQL text cannot. */
  gate_terms: string | null
  /** 0 new, -1 passed over; from 1 on it counts the comparisons of the repository. */
  compared: number
}

/** What was read in a licence text or card, once for each content. */
export interface LicenseReadingsTable {
  id: Generated<number>
  sha256: Buffer
  role: string
  reading: string
}

/** Licence texts and cards of each commit. */
export interface LicenseFilesTable {
  snapshot_id: number
  path_key: Buffer
  role: string
  reading_id: number | null
}

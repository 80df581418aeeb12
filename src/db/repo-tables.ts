import type { Generated } from 'kysely'
import type { Flag } from './codec.ts'

/** One row for each watch or pass over one repository, and its last poll. */
export interface WatchesTable {
  id: Generated<number>
  key: string
  last_poll_at: string | null
  last_ok_at: string | null
  last_error_code: string | null
  last_error_message: string | null
}

/** One row for each repository, by its permanent id. */
export interface ReposTable {
  id: Generated<number>
  /** 12 bytes. */
  hub_id: Buffer
  type: string
  /** As the Hub spells it now. */
  name: string
  /** `name` in lower case. */
  name_key: string
  /** Another hub id has this name now. */
  name_taken: Flag
  head: Buffer | null
  /** Whether `head` has a snapshot. */
  head_listed: Flag
  gated: string | null
  private: Flag
  disabled: Flag
  /** JSON `[license, license_name, license_link]`: text of the card may hold what SQL text cannot. */
  license: string
  /** Effective licence in lower case, for filters. */
  license_key: string | null
  created_at: string | null
  last_modified: string | null
  first_seen_at: string
  upstream: string
  upstream_evidence: string | null
  misses: number
  first_miss_at: string | null
  watch_id: number
  is_new_release: Flag
  newest_snapshot_id: number | null
  /** Copies of the newest snapshot's columns: what `list` filters by. */
  state: string | null
  bytes_listed: number
  formats: string
  quants: string
}

/** Apart from `repos`: large, and read only when a head is listed. */
export interface CardsTable {
  repo_id: number
  tags: string
  card_data: string | null
}

/** Apart from `repos`: written for every repository of every poll. */
export interface SightingsTable {
  repo_id: number
  seen_at: string
}

/** Every change of a repository's state, with what proves it. */
export interface TransitionsTable {
  id: Generated<number>
  repo_id: number
  at: string
  from_state: string
  to_state: string
  evidence: string | null
}

/** Branches and tags as last read, and the head of that look. */
export interface RefStatesTable {
  repo_id: number
  head: Buffer
  read_at: string
  /** JSON: names may hold what SQL text cannot. */
  refs: string
}

/** Repositories whose old commits are looked for. */
export interface RescuesTable {
  repo_id: number
  cause: string
  asked_at: string
  commits_tried: number
  commits_found: number
  done_at: string | null
}

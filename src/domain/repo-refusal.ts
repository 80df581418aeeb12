import type { ErrorCode } from './errors.ts'

const SENTENCES: Partial<Record<ErrorCode, string>> = {
  REPO_GATED: 'the repository is gated: ask for access on its page, and set a token of that account',
  REPO_DISABLED: 'the Hub has disabled the repository; what is archived stays',
  REPO_UNAVAILABLE:
    'the repository is missing, private or gone (the Hub answers the same for all three): if it is private, set a token that may read it',
}

/** What a refusal of a repository as a whole means and what to do about it; undefined for one of a single file or commit. */
export function repoRefusal(code: ErrorCode): string | undefined {
  return SENTENCES[code]
}

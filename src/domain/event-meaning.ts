import type { EventType } from './events.ts'

/** What an event means to a person who keeps an archive. Fixed text: nothing of it comes from upstream. */
export interface EventMeaning {
  /** A few words that follow the repository's name. */
  readonly title: string
  readonly means: string
  readonly todo: string
}

const NOTHING = 'Nothing.'

const MEANINGS: Readonly<Record<EventType, EventMeaning>> = {
  'repo-published': {
    title: 'published',
    means: 'A repository that is watched is new on the Hub, or became visible.',
    todo: 'Nothing; what the policy wants of it is fetched by itself. "weightvault plan" shows what that is.',
  },
  'repo-updated': {
    title: 'updated',
    means: 'The repository has another head commit than before. Commits archived earlier stay as they are.',
    todo: 'Nothing; the new commit is listed and fetched by itself.',
  },
  'repo-unavailable': {
    title: 'not available on the Hub any more',
    means: 'The Hub answers as if it did not exist: it was deleted, made private, or hidden from your token.',
    todo: 'Keep the archive safe: it may now be the only copy you can reach. "weightvault show" lists what it has.',
  },
  'repo-restored': {
    title: 'available again',
    means: 'The Hub shows the repository again. Its head may differ from what was archived.',
    todo: 'Nothing; differences are reported and fetched by themselves.',
  },
  'repo-renamed': {
    title: 'renamed',
    means: 'The same repository has another name now. The archive knows it by its permanent id, so nothing splits.',
    todo: 'Change scripts and watch entries that use the old name.',
  },
  'repo-recreated': {
    title: 'replaced by another repository of the same name',
    means: 'The name belongs to another repository now. That can be a new start, or a hijacked name.',
    todo: 'Do not trust new content under this name before you know who made it; the old archive is kept apart.',
  },
  'gate-changed': {
    title: 'gate changed',
    means: 'Who may download it changed. A gate asks for an account and consent to terms.',
    todo: 'If it is gated now and you want later commits, accept the terms on the Hub and set HF_TOKEN.',
  },
  'repo-disabled': {
    title: 'disabled by the Hub',
    means: 'The Hub blocks access to the repository, for instance after a complaint.',
    todo: 'Read the notice on the Hub, and judge what it means for your use.',
  },
  'history-rewritten': {
    title: 'history rewritten',
    means: 'The head is no descendant of the commit seen before: squashed or force-pushed. Old commits may vanish.',
    todo: 'Pin the commits you rely on. What was archived of the old history stays.',
  },
  'ref-moved': {
    title: 'branch or tag moved',
    means: 'A name of a revision points to another commit than before.',
    todo: 'If you pin this branch or tag, pin the commit instead.',
  },
  'ref-deleted': {
    title: 'branch or tag deleted',
    means: 'A name of a revision is gone. Its commit may still be reachable by its id.',
    todo: 'If you use this branch or tag, use the commit instead.',
  },
  'files-replaced': {
    title: 'weights replaced under the same name',
    means: 'Files that hold weights have other bytes than before, under the same names.',
    todo: 'Do not mix versions: pin a commit. Both versions are kept.',
  },
  'license-changed': {
    title: 'licence changed',
    means:
      'What the repository says of its licence differs from before, or from its own licence file. Copies taken earlier were offered under what it said then.',
    todo: 'Have someone who may judge it read the new licence before you use later commits.',
  },
  'license-text-changed': {
    title: 'licence text changed',
    means: 'The text of the licence differs from before, whatever its name says.',
    todo: 'Read the difference before you use later commits: "weightvault licenses REPO --diff" shows it.',
  },
  'bytes-purged': {
    title: 'listed bytes are gone',
    means: 'The Hub lists files whose bytes it does not serve any more.',
    todo: 'Nothing for what is held. For what is missing look for another source with the same SHA-256.',
  },
  'upstream-damaged': {
    title: 'upstream bytes do not match',
    means: 'What the Hub sends or promises differs from what it, or an independent record, said these bytes are.',
    todo: 'Do not use files from the Hub under these names; the archive keeps only what was proven.',
  },
  'listing-conflict': {
    title: 'one commit listed in two ways',
    means: 'A commit never changes, yet the Hub listed other content for it. One of the two answers was wrong.',
    todo: 'Compare both listings beside each other in the archive before you trust either.',
  },
  'org-silent': {
    title: 'silent',
    means: 'An owner publishes less than its own past would suggest, or shows nothing any more. Teams end like this.',
    todo: 'Make sure that what you need of this owner is archived: "weightvault list" shows it.',
  },
  'hub-unreachable': {
    title: 'the Hub cannot be reached',
    means: 'No watch can be polled. Silence is never read as a loss; nothing is concluded from it.',
    todo: 'If it lasts, check network, proxy and hub.endpoint: "weightvault doctor".',
  },
  'hub-reachable': {
    title: 'the Hub can be reached again',
    means: 'The outage is over; watching goes on where it stopped.',
    todo: NOTHING,
  },
  'snapshot-sealed': {
    title: 'sealed',
    means: 'Every wanted file of this commit is held, and its digests are verified.',
    todo: NOTHING,
  },
  'download-failed': {
    title: 'a download failed',
    means: 'Bytes could not be fetched or were not what was promised. Bad bytes are set aside, never published.',
    todo: 'Nothing at first: it is tried again by itself, later and later. "weightvault queue" shows what waits.',
  },
  'fixity-failed': {
    title: 'archived bytes are damaged',
    means:
      'Bytes in the archive are gone or no longer match their SHA-256: a failing disk, memory or controller, or tampering.',
    todo: 'Check the disk now. The next pass fetches them again where they are still offered; what "weightvault verify" names after that has to come from a backup.',
  },
  'fixity-repaired': {
    title: 'archived bytes are good again',
    means: 'Damaged bytes were replaced by bytes that match the SHA-256.',
    todo: 'Find out what damaged them; "weightvault verify" checks the rest.',
  },
  'budget-reached': {
    title: 'budget reached',
    means: 'What is wanted next does not fit into budget.total. Smaller work goes on.',
    todo: 'Raise budget.total, or want less: "weightvault plan" shows what waits.',
  },
  'disk-low': {
    title: 'disk takes no more',
    means: 'The disk of the archive is full, at its reserve, read-only or failing. Downloads wait; nothing is deleted.',
    todo: 'Free space, or look at the mount and the disk; downloads go on by themselves.',
  },
  'unsafe-name': {
    title: 'unsafe file names',
    means: 'Some files have names that cannot be made on every disk, or were meant to mislead.',
    todo: 'Nothing; their bytes are archived under their digests.',
  },
  'watch-failed': {
    title: 'a watch failed',
    means: 'A watch could not be polled or a commit not be listed. Changes there go unnoticed until it works again.',
    todo: '"weightvault status" has the reason; a wrong name or a missing token is the usual one.',
  },
}

/** What an event of this type means, and what to do about it. */
export function eventMeaning(type: EventType): EventMeaning {
  return MEANINGS[type]
}

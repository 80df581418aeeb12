import type { ChangeEvent, EventType } from './events.ts'
import {
  because,
  brief,
  changedParts,
  changes,
  gate,
  headerWords,
  licenseReads,
  reference,
  silence,
  totals,
} from './event-words.ts'
import { printWatch } from './watch.ts'

type Sentence = (event: ChangeEvent) => string

const SENTENCES: Readonly<Record<EventType, Sentence>> = {
  'repo-published': ({ detail }) => (detail['backlog'] === true ? 'was found in the first poll' : 'was published'),
  'repo-updated': (event) =>
    event.detail['cardOnly'] === true
      ? `changed its card only (${change(event)})`
      : `has a new commit${changes(event.detail)}${changedParts(event.detail)} (${change(event)})`,
  'repo-unavailable': ({ detail }) => `is not available on the Hub any more${because(detail)}; what is archived stays`,
  'repo-restored': (event) => `is available on the Hub again (${change(event)})`,
  'repo-renamed': (event) => `was renamed: ${change(event)}`,
  'repo-recreated': (event) =>
    `was taken by another repository of the same name (${change(event)}); what is archived is kept apart`,
  'gate-changed': ({ after, before }) => `gate changed: ${gate(before)} → ${gate(after)}`,
  'repo-disabled': ({ after }) => (after === false ? 'is enabled on the Hub again' : 'was disabled on the Hub'),
  'history-rewritten': (event) => `rewrote its history (${change(event)})${because(event.detail)}`,
  'ref-moved': (event) => `moved ${reference(event.detail)} (${change(event)})`,
  'ref-deleted': ({ before, detail }) => `lost ${reference(detail)} (it was ${brief(before)})`,
  'files-replaced': (event) =>
    `replaced weights under the same name${changes(event.detail)}${headerWords(event.detail)} (${change(event)})`,
  'license-changed': (event) =>
    event.detail['contradiction'] === true
      ? `states ${brief(event.detail['stated'])} on its card, but ${brief(event.detail['path'])} reads ${brief(event.detail['reads'])}`
      : `changed its licence: ${change(event)}`,
  'license-text-changed': (event) => licenseText(event),
  'bytes-purged': ({ detail }) => `does not offer bytes any more that it listed${changes(detail)}${because(detail)}`,
  'upstream-damaged': ({ detail }) => {
    if (detail['isRemark'] === true) {
      return `differs from an independent record of some other revision; usually the files were replaced since${changes(detail)}`
    }
    return detail['witness'] === undefined
      ? `sends bytes that do not match what it promises${changes(detail)}${because(detail)}`
      : `promises other bytes than another source recorded${changes(detail)}${because(detail)}`
  },
  'listing-conflict': ({ detail }) => `listed the same commit in two ways; both are kept${because(detail)}`,
  'org-silent': ({ detail }) => silence(detail),
  'hub-unreachable': ({ detail }) => `the Hub cannot be reached${because(detail)}`,
  'hub-reachable': () => 'the Hub can be reached again',
  'snapshot-sealed': ({ after, detail }) =>
    `is sealed: every wanted file is verified${totals(detail)} (${brief(after)})`,
  'download-failed': ({ detail }) => `a download failed${changes(detail)}${because(detail)}`,
  'fixity-failed': ({ detail }) =>
    `archived bytes${typeof detail['repo'] === 'string' ? ` of ${brief(detail['repo'])}` : ''} ${detail['found'] === 'missing' ? 'are gone from the disk' : 'do not match their SHA-256 any more'}${changes(detail)}${because(detail)}`,
  'fixity-repaired': ({ detail }) => `archived bytes are good again${changes(detail)}`,
  'budget-reached': ({ detail }) => `the budget is reached; larger work waits${because(detail)}`,
  'disk-low': ({ detail }) => `the disk takes no more; downloads wait${because(detail)}`,
  'unsafe-name': ({ detail }) =>
    `has names that cannot be made on every disk; they are archived under their digest${changes(detail)}`,
  'watch-failed': ({ detail }) =>
    `a poll${typeof detail['watch'] === 'string' ? ` of ${brief(printWatch(detail['watch']))}` : ''} failed${because(detail)}`,
}

/** What one event means, as a sentence without the repository's name. Everything in it is safe to print. */
export function eventSentence(event: ChangeEvent): string {
  return SENTENCES[event.type](event)
}

function licenseText({ before, after, detail }: ChangeEvent): string {
  const file = detail['path'] === undefined ? 'its licence file' : brief(detail['path'])
  if (before === null && after !== null) return `has a new licence text, ${file}: ${licenseReads(after)}`
  if (after === null && before !== null) return `removed its licence text ${file}, which read ${licenseReads(before)}`
  return `changed the text of its licence ${file}: ${licenseReads(before)} → ${licenseReads(after)}`
}

function change({ before, after }: ChangeEvent): string {
  return `${brief(before)} → ${brief(after)}`
}

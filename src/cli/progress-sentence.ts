import type { CommitId } from '../domain/digest.ts'
import { displayName } from '../domain/file-name.ts'
import { printRepo, type RepoRef } from '../domain/repo.ts'
import { printWatch } from '../domain/watch.ts'
import type { HubFile } from '../hub-port.ts'
import { formatDuration, formatRate, formatSize } from '../lib/units.ts'
import { counted, formatCount } from './ago.ts'
import type { Palette } from './palette.ts'
import type { TransferState } from './transfer-state.ts'

// One sentence for each thing that both displays report as a line.

export function polledLine(watch: string, repos: number, changed: number, palette: Palette): string {
  return `${palette.faint('polled')}    ${displayName(printWatch(watch))}: ${counted(repos, 'repository', 'repositories')}, ${formatCount(changed)} new or changed`
}

export function listedLine(
  of: { ref: RepoRef; commit: CommitId; files: number; bytes: number },
  palette: Palette,
): string {
  return `${palette.faint('listed')}    ${repoText(of.ref, of.commit, palette)}: ${counted(of.files, 'file')}, ${formatSize(of.bytes)}`
}

export function sealedLine(
  of: { ref: RepoRef; commit: CommitId; files: number; bytes: number },
  palette: Palette,
): string {
  return `${palette.good('sealed')}    ${repoText(of.ref, of.commit, palette)}: ${counted(of.files, 'file')}, ${formatSize(of.bytes)}`
}

export function finishedLine(file: HubFile, size: number, palette: Palette): string {
  return `${palette.faint('fetched')}   ${fileText(file, palette)}, ${formatSize(size)}`
}

export function failedLine(file: HubFile, code: string, message: string, palette: Palette): string {
  return `${palette.bad('failed')}    ${fileText(file, palette)}: ${displayName(message)} (${displayName(code)})`
}

export function waitingLine(reason: string, untilMs: number | undefined, nowMs: number, palette: Palette): string {
  const leftMs = untilMs === undefined ? 0 : untilMs - nowMs
  const until = leftMs <= 0 ? '' : `; next try in ${formatDuration(Math.ceil(leftMs / 1000) * 1000)}`
  return `${palette.attention('waiting')}   ${displayName(reason)}${until}`
}

/** `12 of 340 files, 3.20 GB, 38.1 MB/s, 18m left`. */
export function summaryText(state: TransferState, nowMs: number): string {
  const left = state.leftMs(nowMs)
  const parts = [
    `${formatCount(state.doneFiles)} of ${counted(state.doneFiles + state.leftFiles, 'file')}`,
    `${formatSize(state.doneBytes)} fetched, ${formatSize(state.leftBytes)} to go`,
    formatRate(state.rate.bytesPerSecond(nowMs)),
    left === undefined || state.leftBytes === 0 ? '' : `${leftText(left)} left`,
    state.failedFiles === 0 ? '' : `${formatCount(state.failedFiles)} failed`,
  ]
  return parts.filter((part) => part !== '').join(', ')
}

/** Time left: `18m 20s`; below a second nobody wants digits. */
export function leftText(ms: number): string {
  return ms < 1000 ? '<1s' : formatDuration(ms)
}

function repoText(ref: RepoRef, commit: CommitId, palette: Palette): string {
  return `${palette.name(printRepo(ref))} @ ${commit.slice(0, 10)}`
}

function fileText(file: HubFile, palette: Palette): string {
  return `${palette.name(printRepo(file.ref))} ${displayName(file.path)}`
}

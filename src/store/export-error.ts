import { ArchiveError } from '../domain/errors.ts'
import { displayName } from '../domain/file-name.ts'
import { isErrno } from '../lib/fs-durable.ts'

const SHOWN = 20
const RESUMES = 'Nothing is shown of what was not finished. Run the same command again: it goes on where it was.'

/** Nothing was made, because of what is there already. */
export function refused(message: string, conflicts: readonly string[] = []): ArchiveError {
  const more = conflicts.length > SHOWN ? [`… and ${conflicts.length - SHOWN} more`] : []
  const list = [...conflicts.slice(0, SHOWN), ...more].map((line) => `\n  ${displayName(line)}`)
  return new ArchiveError('RESTORE_REFUSED', `${message}${list.join('')}`, {
    hint: 'Nothing was changed, and nothing there is ever replaced. Name another folder, or move away what is in the way.',
    details: { conflicts: conflicts.slice(0, 1000) },
  })
}

/** What the operating system said of the folder that is written to. */
export function targetError(error: unknown, to: string): unknown {
  if (!isErrno(error)) return error
  const what = `${error.code ?? 'an error'}${error.syscall === undefined ? '' : ` in ${error.syscall}`}`
  const options = { cause: error, hint: RESUMES, details: { path: to, errno: error.code } }
  if (isErrno(error, 'ENOSPC', 'EDQUOT', 'EFBIG')) {
    return new ArchiveError('DISK_FULL', `${to}: its disk is full (${what})`, options)
  }
  if (isErrno(error, 'EROFS', 'EACCES', 'EPERM')) {
    return new ArchiveError('RESTORE_REFUSED', `${to}: may not be written (${what})`, {
      ...options,
      hint: 'Nothing was changed. Name a folder that you may write to.',
    })
  }
  if (isErrno(error, 'EXDEV', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) {
    return new ArchiveError('RESTORE_REFUSED', `${to}: no blob can be linked to there (${what})`, {
      ...options,
      hint: 'Nothing was changed. Name a folder on the archive’s own disk, or let the files be copied.',
    })
  }
  if (isErrno(error, 'EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'ELOOP')) {
    return new ArchiveError('RESTORE_REFUSED', `${to}: something appeared there meanwhile (${what})`, options)
  }
  return new ArchiveError('DISK_FAILED', `${to}: its disk failed (${what})`, options)
}

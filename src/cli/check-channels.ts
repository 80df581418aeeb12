import type { OpenedArchive } from '../opened-archive.ts'
import { counted } from './ago.ts'
import { readChannelRows } from './channel-rows.ts'
import type { Check } from './doctor-checks.ts'

/** The alert channels, as far as it shows without sending anything; nothing where none is configured. */
export async function checkChannels(archive: Pick<OpenedArchive, 'catalog' | 'channels'>): Promise<Check[]> {
  const rows = await readChannelRows(archive)
  if (rows.length === 0) return []
  const failing = rows.flatMap(({ channel, state }): Check[] =>
    state?.failingSinceMs === undefined
      ? []
      : [
          {
            name: 'notify',
            status: 'warn',
            message: `${channel.label} takes no alerts: ${state.lastMessage ?? ''} (${state.lastCode ?? ''})`,
            advice: 'correct the channel under "notify:", then prove it with "weightvault notify test"',
          },
        ],
  )
  if (failing.length > 0) return failing
  const message = `${counted(rows.length, 'channel')}; "weightvault notify test" proves each`
  return [{ name: 'notify', status: 'ok', message }]
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog } from '../../src/db/open-catalog.ts'
import { catalogContract } from '../contracts/catalog.contract.ts'
import { quietLog } from './catalog-fixtures.ts'

catalogContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weightvault-catalog-'))
  const catalog = await openCatalog({
    path: join(folder, 'catalog.db'),
    archiveId: '0123456789ab',
    mode: 'write',
    log: quietLog,
  })
  const close = catalog[Symbol.asyncDispose].bind(catalog)
  return Object.assign(catalog, {
    async [Symbol.asyncDispose](): Promise<void> {
      await close()
      await rm(folder, { recursive: true, force: true })
    },
  })
})

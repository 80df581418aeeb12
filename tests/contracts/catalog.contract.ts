import type { Catalog } from '../../src/catalog-port.ts'
import { catalogAdoptContract } from './catalog-adopt.contract.ts'
import { alertOutboxContract } from './alert-outbox.contract.ts'
import { catalogBatchesContract } from './catalog-batches.contract.ts'
import { catalogJobsContract } from './catalog-jobs.contract.ts'
import { catalogLicensesContract } from './catalog-licenses.contract.ts'
import { catalogListingsContract } from './catalog-listings.contract.ts'
import { catalogPollsContract } from './catalog-polls.contract.ts'
import { catalogReadingContract } from './catalog-reading.contract.ts'

/** A fresh, empty catalog of archive `0123456789ab`, removed with everything it wrote when it is disposed. */
export type OpenEmptyCatalog = () => Promise<Catalog & AsyncDisposable>

/** What every adapter of the catalog port promises. `name` says which one is tested. */
export function catalogContract(name: string, open: OpenEmptyCatalog): void {
  catalogPollsContract(name, open)
  catalogListingsContract(name, open)
  catalogLicensesContract(name, open)
  catalogJobsContract(name, open)
  catalogBatchesContract(name, open)
  catalogReadingContract(name, open)
  alertOutboxContract(name, open)
  catalogAdoptContract(name, open)
}

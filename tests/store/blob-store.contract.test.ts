import { blobStoreContract } from '../contracts/blob-store.contract.ts'
import { makeStore, PIECE_BYTES } from './store-fixture.ts'

blobStoreContract('folder', async (t) => ({ ...(await makeStore(t)), pieceBytes: PIECE_BYTES }))

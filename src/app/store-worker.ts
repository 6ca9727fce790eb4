/** Entry of the store thread. */
import { runStoreWorker } from '#store/drivers/sqlite/worker.ts';

runStoreWorker();

/** Entry of the store thread. */
import { tidyAfterStart } from '#platform/memory.ts';
import { runStoreWorker } from '#store/drivers/sqlite/worker.ts';

runStoreWorker();
tidyAfterStart();

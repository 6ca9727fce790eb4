import { runStoreWorker } from './worker.ts';

/** The store thread's entry file when k3ts runs from its sources; the bundle calls runStoreWorker itself. */
runStoreWorker();

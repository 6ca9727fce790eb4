import type { StoreStats } from './contract.ts';

/** The figures of a store that has none. */
export const noStats: StoreStats = {
  revision: 0,
  compactedRevision: 0,
  pendingWrites: 0,
  pendingBytes: 0,
  unflushedWrites: 0,
  commits: 0,
  committedWrites: 0,
  failedCommits: 0,
  lastBatchWrites: 0,
  commitSecondsSum: 0,
  lastCommitSeconds: 0,
  databaseBytes: 0,
  freeBytes: 0,
  walBytes: 0,
};

import type Database from 'better-sqlite3';

/** Pages given back at a time. */
const vacuumPages = 64;
/** Free pages kept in the file, so that writes find room when the disk is full. */
const slackPages = 256;

const count = (db: Database.Database, name: 'freelist_count' | 'page_count'): number => Number(db.pragma(name, { simple: true }));

/** True when the file holds more free pages than it should keep: 256, or an eighth of a large file. */
export const hasSparePages = (db: Database.Database): boolean =>
  count(db, 'freelist_count') > Math.max(slackPages, count(db, 'page_count') / 8);

/** Inside a transaction: gives a little of what is spare back to the file system. */
export function giveBackPages(db: Database.Database): void {
  if (hasSparePages(db)) db.exec(`PRAGMA incremental_vacuum(${vacuumPages})`);
}

import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { StoreError } from '#store/contract.ts';
import { toStoreError } from './errors.ts';

/** 'k3ts' in ASCII: tells our files from other SQLite databases. */
const applicationId = 0x6b337473;
const schemaVersion = 2;

/**
 * `log` has one row per write and holds every value once, so that a write touches few pages; `current` points to the row
 * that is a key's value now. `previous` is the revision that a row replaced, 0 for none: the chain that compaction and
 * events follow. `gap` keeps the revisions that crashes may have lost (see History in the contract), `mark` when which revision
 * was reached (see marks.ts).
 */
const schema = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    create_revision INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    value BLOB
  ) STRICT;
  CREATE TABLE current (key TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TABLE gap (after INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;
  CREATE TABLE mark (revision INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
  INSERT INTO meta VALUES ('reserved', 1), ('clean', 1), ('compacted', 1), ('compact_done', 1);
`;

/** What makes a database of version n, the index plus one, into one of the next version. */
const upgrades = ['CREATE TABLE mark (revision INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT'];

export interface OpenOptions {
  readonly file: string;
  /** Path of better_sqlite3's .node file, where it does not lie beside its package. */
  readonly nativeBinding?: string;
  /** The file may not grow beyond this many pages; default: as far as the disk allows. */
  readonly maxPages?: number;
}

/**
 * Opens the database file, making it and its directory (readable by the owner only) when they are missing.
 *
 * @throws StoreError
 */
export function openDatabase(options: OpenOptions): Database.Database {
  try {
    mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 });
    closeSync(openSync(options.file, 'a', 0o600));
    const db = new Database(options.file, {
      timeout: 250,
      ...(options.nativeBinding === undefined ? {} : { nativeBinding: options.nativeBinding }),
    });
    try {
      configure(db, options);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    const known = toStoreError(error);
    throw new StoreError(known.code, `${options.file}: ${known.message}`, { cause: error });
  }
}

function configure(db: Database.Database, options: OpenOptions): void {
  // One process, one connection: the index of the log then lives in memory and a second server is refused.
  db.pragma('locking_mode = EXCLUSIVE');
  db.pragma('auto_vacuum = INCREMENTAL');
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  // Checkpoints are made between commits (engine.ts), not inside them.
  db.pragma('wal_autocheckpoint = 0');
  db.pragma(`journal_size_limit = ${walKeepBytes}`);
  db.pragma('cache_size = -8000');
  db.pragma('temp_store = MEMORY');
  if (options.maxPages !== undefined) db.pragma(`max_page_count = ${options.maxPages}`);
  const id = db.pragma('application_id', { simple: true });
  const version = db.pragma('user_version', { simple: true });
  const tables = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM sqlite_schema').get()?.n ?? 0;
  if (tables === 0) {
    db.transaction(() => {
      db.exec(schema);
      db.pragma(`application_id = ${applicationId}`);
      db.pragma(`user_version = ${schemaVersion}`);
    })();
    return;
  }
  if (id !== applicationId) throw new StoreError('corrupt', 'this is not a database of k3ts');
  if (typeof version !== 'number' || version < 1 || version > schemaVersion) {
    throw new StoreError('io', `the database has schema version ${String(version)}, this k3ts knows ${schemaVersion}`);
  }
  db.transaction(() => {
    for (const upgrade of upgrades.slice(version - 1)) db.exec(upgrade);
    db.pragma(`user_version = ${schemaVersion}`);
  })();
}

/** A checkpointed write-ahead log keeps this much disk space, which lets writes go on for a while when the disk is full. */
export const walKeepBytes = 16 * 1024 * 1024;

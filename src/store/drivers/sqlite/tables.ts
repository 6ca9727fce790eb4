import type Database from 'better-sqlite3';
import type { Entry, Revision, StoreEvent } from '#store/contract.ts';
import { prefixEnd } from '#store/keys.ts';
import type { Mark } from './marks.ts';
import type { Row } from './pending.ts';

interface EntryRow {
  readonly key: string;
  readonly revision: number;
  readonly create_revision: number;
  readonly value: Buffer;
}

interface EventRow extends Omit<EntryRow, 'value'> {
  readonly value: Buffer | null;
  readonly deleted: number;
  readonly previous: number;
  readonly previous_value: Buffer | null;
}

export type MetaName = 'reserved' | 'clean' | 'compacted' | 'compact_done' | 'opened';

/** The statements on the schema, prepared once. */
export type Tables = ReturnType<typeof prepareTables>;

export function prepareTables(db: Database.Database) {
  const entry = 'l.key, l.revision, l.create_revision, l.value FROM current c JOIN log l ON l.revision = c.revision';
  // Two statements, because a join on a bound key is planned anew for each execution (SQLITE_ENABLE_STAT4), which takes longer than both.
  const findRevision = db.prepare<[string], number>('SELECT revision FROM current WHERE key = ?').pluck();
  const findRow = db
    .prepare<[number], [createRevision: number, value: Buffer]>('SELECT create_revision, value FROM log WHERE revision = ?')
    .raw();
  const page = db.prepare<[string, string, number], EntryRow>(`SELECT ${entry} WHERE c.key >= ? AND c.key < ? ORDER BY c.key LIMIT ?`);
  const count = db.prepare<[string, string], { n: number }>('SELECT count(*) AS n FROM current WHERE key >= ? AND key < ?');
  const insert = db.prepare<[number, string, number, number, number, Uint8Array | null]>('INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)');
  const point = db.prepare<[string, number]>(
    'INSERT INTO current VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET revision = excluded.revision',
  );
  const unpoint = db.prepare<[string]>('DELETE FROM current WHERE key = ?');
  const events = db.prepare<[number, number, number], EventRow>(
    `SELECT l.key, l.revision, l.deleted, l.create_revision, l.previous, l.value, p.value AS previous_value
     FROM log l LEFT JOIN log p ON p.revision = l.previous
     WHERE l.revision > ? AND l.revision <= ? ORDER BY l.revision LIMIT ?`,
  );
  const steps = db.prepare<[number, number, number], { revision: number; deleted: number; previous: number }>(
    'SELECT revision, deleted, previous FROM log WHERE revision > ? AND revision <= ? ORDER BY revision LIMIT ?',
  );
  const drop = db.prepare<[number]>('DELETE FROM log WHERE revision = ?');
  const last = db.prepare<[], { n: number }>('SELECT coalesce(max(revision), 0) AS n FROM log');
  const meta = db.prepare<[string], { value: number }>('SELECT value FROM meta WHERE name = ?');
  const setMeta = db.prepare<[number, string]>(
    'INSERT INTO meta (value, name) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  const gaps = db.prepare<[], { after: number; until: number }>('SELECT after, until FROM gap ORDER BY after');
  const addGap = db.prepare<[number, number]>('INSERT OR REPLACE INTO gap VALUES (?, ?)');
  const dropGaps = db.prepare<[number]>('DELETE FROM gap WHERE until <= ?');
  const marks = db.prepare<[], Mark>('SELECT revision, at FROM mark ORDER BY revision');
  const addMark = db.prepare<[number, number]>('INSERT OR REPLACE INTO mark VALUES (?, ?)');
  const dropMarks = db.prepare<[number]>('DELETE FROM mark WHERE revision < ?');
  const end = (prefix: string): string => prefixEnd(prefix) ?? '\u{10ffff}';

  return {
    find: (key: string): Entry | undefined => {
      const revision = findRevision.get(key);
      const row = revision === undefined ? undefined : findRow.get(revision);
      if (revision === undefined || row === undefined) return undefined;
      return { key, value: row[1], revision, createRevision: row[0] };
    },
    page: (prefix: string, from: string, limit: number): Entry[] => page.all(from, end(prefix), limit).map(toEntry),
    count: (prefix: string, from: string): number => count.get(from, end(prefix))?.n ?? 0,
    write: (row: Row): void => {
      insert.run(row.revision, row.key, row.deleted ? 1 : 0, row.createRevision, row.previous, row.value ?? null);
      if (row.deleted) unpoint.run(row.key);
      else point.run(row.key, row.revision);
    },
    events: (after: Revision, upTo: Revision, limit: number): StoreEvent[] => events.all(after, upTo, limit).map(toEvent),
    /** Rows that compaction has to look at, oldest first. */
    steps: (after: Revision, upTo: Revision, limit: number) => steps.all(after, upTo, limit),
    drop: (revision: Revision): void => {
      drop.run(revision);
    },
    lastRevision: (): Revision => last.get()?.n ?? 0,
    meta: (name: MetaName): number => meta.get(name)?.value ?? 0,
    setMeta: (name: MetaName, value: number): void => {
      setMeta.run(value, name);
    },
    marks: (): Mark[] => marks.all(),
    addMark: ({ revision, at }: Mark): void => {
      addMark.run(revision, at);
    },
    dropMarks: (before: Revision): void => {
      dropMarks.run(before);
    },
    gaps: () => gaps.all(),
    addGap: (after: Revision, until: Revision): void => {
      addGap.run(after, until);
    },
    dropGaps: (upTo: Revision): void => {
      dropGaps.run(upTo);
    },
  };
}

function toEntry(row: EntryRow): Entry {
  return { key: row.key, value: row.value, revision: row.revision, createRevision: row.create_revision };
}

function toEvent(row: EventRow): StoreEvent {
  const { key, revision, create_revision: createRevision } = row;
  const previous = row.previous_value === null ? undefined : { key, value: row.previous_value, revision: row.previous, createRevision };
  if (row.deleted === 0) {
    const entry = { key, value: row.value ?? new Uint8Array(0), revision, createRevision };
    return previous === undefined ? { type: 'put', entry } : { type: 'put', entry, previous };
  }
  const entry = { key, value: row.previous_value ?? new Uint8Array(0), revision, createRevision };
  return previous === undefined ? { type: 'delete', entry } : { type: 'delete', entry, previous };
}

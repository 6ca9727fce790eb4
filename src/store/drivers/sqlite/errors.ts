import { StoreError } from '#store/contract.ts';

/** What SQLite's error codes mean to a caller of the store. See https://www.sqlite.org/rescode.html */
export function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = codeOf(error);
  const cause = error instanceof Error ? error.message : String(error);
  const text = `${cause}${code === '' ? '' : ` (${code})`}`;
  if (code === 'SQLITE_FULL' || code === 'ENOSPC')
    return new StoreError('full', `the disk or its quota is full: ${text}`, { cause: error });
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new StoreError('corrupt', `the database file is damaged: ${text}`, { cause: error });
  }
  if (code.startsWith('SQLITE_BUSY')) return new StoreError('io', `another process uses the database file: ${text}`, { cause: error });
  if (code.startsWith('SQLITE_READONLY') || code === 'EROFS' || code === 'EACCES') {
    return new StoreError('io', `the database file cannot be written: ${text}`, { cause: error });
  }
  return new StoreError('io', `the database failed: ${text}`, { cause: error });
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

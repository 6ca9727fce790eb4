import type { StoreError } from '#store/contract.ts';
import { openStore } from './fixture.ts';

/**
 * A process for limits.test.ts, which forbids it to make files beyond a size: writes until that fails, goes on for a while, and
 * says how it went as JSON.
 */
const store = await openStore(process.argv[2] ?? '');
const codes: string[] = [];
let stored = 0;
for (let i = 0; i < 200; i++) {
  try {
    await store.create(`/a/${i}`, new Uint8Array(20_000));
    stored++;
  } catch (error) {
    codes.push((error as StoreError).code);
  }
}
const readable = (await store.list('/a/', { limit: 1 })).remaining + 1;
process.stdout.write(JSON.stringify({ stored, readable, codes: [...new Set(codes)] }));
process.exit(0);

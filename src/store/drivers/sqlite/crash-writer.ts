import { openStore } from './fixture.ts';

/**
 * A process for crash.test.ts to kill: several clients write concurrently without end, each its own keys, and say on
 * standard output what was acknowledged: `<client> <turn> <revision> <sync|lazy>`.
 */
const [file = '', startTurn = '0'] = process.argv.slice(2);
const clients = 16;
// Nobody listens any more: the test is over.
process.stdout.on('error', () => process.exit(1));
const store = await openStore(file, { lazyMs: 20, lazyRewriteMs: 20, historyMs: 300 });
process.stdout.write(`open ${await store.revision()}\n`);

async function client(id: number): Promise<void> {
  const key = `/registry/core/configmaps/default/c${id}`;
  const lazyKey = `/registry/coordination.k8s.io/leases/default/c${id}`;
  let entry = await store.get(key);
  let lease = await store.get(lazyKey);
  for (let turn = Number(startTurn); ; turn++) {
    const value = Buffer.from(`${turn} ${'x'.repeat((turn * 37) % 5000)}`);
    entry = entry === undefined ? await store.create(key, value) : await store.update(key, value, entry.revision);
    process.stdout.write(`${id} ${turn} ${entry.revision} sync\n`);
    const lazy = { durability: 'lazy' as const };
    lease = lease === undefined ? await store.create(lazyKey, value, lazy) : await store.update(lazyKey, value, lease.revision, lazy);
    process.stdout.write(`${id} ${turn} ${lease.revision} lazy\n`);
    const extra = await store.create(`${key}-${turn}`, value);
    if (turn % 3 === 0) await store.delete(extra.key, extra.revision);
    process.stdout.write(`${id} ${turn} ${extra.revision} ${turn % 3 === 0 ? 'gone' : 'extra'}\n`);
  }
}

await Promise.all(Array.from({ length: clients }, (_, id) => client(id)));

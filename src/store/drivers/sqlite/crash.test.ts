import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { realClock } from '#platform/clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { Revision } from '#store/contract.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import { openStore, temporaryDirectory } from './fixture.ts';

interface Acknowledged {
  /** The last turn whose write of its key each client saw acknowledged. */
  readonly turns: Map<string, number>;
  readonly present: Set<string>;
  readonly gone: Set<string>;
  /** The greatest revision that anybody was given. */
  greatest: Revision;
  turn: number;
}

/** Lets a process write until it has said `lines` lines, kills it, and takes down what it had said. */
async function writeAndKill(file: string, lines: number, said: Acknowledged): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-writer.ts'), file, String(said.turn)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let count = 0;
  using killed = { [Symbol.dispose]: () => child.kill('SIGKILL') };
  void killed;
  for await (const line of createInterface({ input: child.stdout })) {
    const [id = '', turn = '', revision = '', kind] = line.split(' ');
    if (id === 'open') {
      expect(Number(turn)).toBeGreaterThanOrEqual(said.greatest);
      continue;
    }
    said.greatest = Math.max(said.greatest, Number(revision));
    said.turn = Math.max(said.turn, Number(turn) + 1);
    const key = `/registry/core/configmaps/default/c${id}`;
    if (kind === 'sync') said.turns.set(key, Number(turn));
    else if (kind === 'extra') said.present.add(`${key}-${turn}`);
    else if (kind === 'gone') said.gone.add(`${key}-${turn}`);
    if (++count === lines) child.kill('SIGKILL');
  }
  await closed;
}

test('a process killed in the middle of concurrent writes loses none that it acknowledged, and no revision comes twice', async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, 'state.db');
  const said: Acknowledged = { turns: new Map(), present: new Set(), gone: new Set(), greatest: 0, turn: 0 };
  for (const lines of [300, 50, 701, 1, 400]) {
    await writeAndKill(file, lines, said);
    const store = await openStore(file);
    const cache = await createWatchCache(store, {}, { clock: realClock, log: memoryLogger() });
    expect(cache.revision()).toBeGreaterThanOrEqual(said.greatest);
    const turnOf = (key: string): number => Number.parseInt(Buffer.from(cache.get(key)?.value ?? []).toString(), 10);
    for (const [key, turn] of said.turns) expect(turnOf(key)).toBeGreaterThanOrEqual(turn);
    expect([...said.present].filter((key) => cache.get(key) === undefined)).toEqual([]);
    expect([...said.gone].filter((key) => cache.get(key) !== undefined)).toEqual([]);
    expect(await store.check()).toEqual([]);
    await cache.close();
    await store.close();
  }
}, 60_000);

import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '#platform/log.ts';
import { serveHttp2 } from './tunnel.ts';

test('a session ends at once also while a write hangs, as when the server has stopped reading', async () => {
  let hanging: (() => void) | undefined;
  const written = new Promise<void>((resolve) => {
    hanging = resolve;
  });
  // The first write, of the settings, is never done.
  const connection = new Duplex({ read: () => undefined, write: () => hanging?.() });
  const session = serveHttp2(connection, { serve: () => undefined, log: createLogger({ debug: false }) });
  await written;
  session.end();
  await session.closed;
  session.end();
  expect(connection.destroyed).toBe(true);
});

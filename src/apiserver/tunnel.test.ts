import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '#platform/log.ts';
import { linkOver } from './tunnel.ts';

test('the way to a node ends at once also while a write to it hangs', async () => {
  const { promise: written, resolve: hanging } = Promise.withResolvers<void>();
  // The first write, of HTTP/2's preface, is never done.
  const connection = new Duplex({ read: () => undefined, write: () => hanging() });
  const link = linkOver(connection, createLogger({ debug: false }), 'node-1');
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  link.session.on('close', () => close());
  await written;
  link.end('no answer to a ping');
  await closed;
  expect(connection.destroyed).toBe(true);
  expect(link.session.destroyed).toBe(true);
});

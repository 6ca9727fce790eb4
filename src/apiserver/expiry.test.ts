import { expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { Event } from '#kube/generated/core-v1.ts';
import { events1 } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import { startTestServer } from './testing.ts';

test('events are forgotten an hour after their last write', async () => {
  const { clock, server, transport } = await startTestServer(builtinKinds);
  const client = createKubeClient(transport);
  const event = (name: string): Event => ({
    kind: 'Event',
    apiVersion: 'v1',
    metadata: { name, namespace: 'default' },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
    reason: 'r',
    message: 'm',
    type: 'Normal',
  });
  const names = async () => (await client.list(events1)).items.map((e) => e.metadata.name);
  await clock.advance(1000);
  await client.create(events1, event('a'));
  await client.create(events1, event('b'));
  for (let i = 0; i < 30; i++) await clock.advance(60_000);
  await client.patch(events1, { namespace: 'default', name: 'b' }, 'merge', { count: 2 });
  for (let i = 0; i < 29; i++) await clock.advance(60_000);
  expect(await names()).toEqual(['a', 'b']);
  for (let i = 0; i < 5; i++) await clock.advance(60_000);
  expect(await names()).toEqual(['b']);
  for (let i = 0; i < 30; i++) await clock.advance(60_000);
  expect(await names()).toEqual([]);
  await server.close();
});

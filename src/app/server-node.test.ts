import { expect, test } from 'vitest';
import { startTestServer } from '#apiserver/testing.ts';
import { createKubeClient } from '#client/kube-client.ts';
import type { Node } from '#kube/generated/core-v1.ts';
import { nodes } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import { createServerNode } from './server-node.ts';

const role = 'node-role.kubernetes.io/control-plane';
const node = (name: string): Node => ({ kind: 'Node', apiVersion: 'v1', metadata: { name, labels: { zone: 'a' } } });

async function started() {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  const running = createServerNode('one', { cache: t.cache, objects: t.server.objects, log: t.log });
  await running.start();
  const labels = async (name: string) => (await client.get(nodes, { name })).metadata.labels;
  /** Resolves when the node has the label, or has been written to `times` times. */
  const labelled = async (name: string): Promise<void> => {
    const watch = t.cache.watch(`/registry/core/nodes/${name}`, t.cache.revision());
    if ((await labels(name))?.[role] !== undefined) return;
    for await (const events of watch) if (events.length > 0 && (await labels(name))?.[role] !== undefined) return;
  };
  const stop = async (): Promise<void> => {
    await running.stop();
    await t.server.close();
  };
  return { client, labels, labelled, stop };
}

test('the node of the server gets the role of the control plane, other nodes do not', async () => {
  const { client, labels, labelled, stop } = await started();
  await client.create(nodes, node('one-more'));
  await client.create(nodes, node('one'));
  await labelled('one');
  expect(await labels('one')).toEqual({ zone: 'a', [role]: 'true' });
  expect(await labels('one-more')).toEqual({ zone: 'a' });
  await stop();
});

test('whoever takes the role away keeps it so, until the node registers anew', async () => {
  const { client, labels, labelled, stop } = await started();
  await client.create(nodes, node('one'));
  await labelled('one');
  await client.patch(nodes, { name: 'one' }, 'merge', { metadata: { labels: { [role]: null } } });
  await client.patch(nodes, { name: 'one' }, 'merge', { metadata: { labels: { zone: 'b' } } });
  expect(await labels('one')).toEqual({ zone: 'b' });
  await client.delete(nodes, { name: 'one' });
  await client.create(nodes, node('one'));
  await labelled('one');
  expect(await labels('one')).toEqual({ zone: 'a', [role]: 'true' });
  await stop();
});

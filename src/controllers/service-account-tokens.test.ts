import { expect, test } from 'vitest';
import { secrets, serviceAccounts } from '#kube/refs.ts';
import { tokensController } from './service-account-tokens.ts';
import { startCluster, testConfig } from './testing.ts';

const config = { legacyToken: async (r: { serviceAccount: string; secret: string }) => `token of ${r.serviceAccount} in ${r.secret}` };
const secret = (name: string, account: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'kubernetes.io/service-account-token',
  metadata: { name, namespace: 'default', annotations: { 'kubernetes.io/service-account.name': account } },
});
const account = (name: string) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'default' } });

test('a token secret is filled for its account and deleted with it', async () => {
  await using cluster = await startCluster([tokensController], config);
  const robot = await cluster.client.create(serviceAccounts, account('robot'));
  await cluster.client.create(secrets, secret('robot-token', 'robot'));
  await cluster.settle();
  const filled = await cluster.get(secrets, 'robot-token');
  const text = (key: string) => Buffer.from(filled?.data?.[key] ?? '', 'base64').toString();
  expect([text('token'), text('namespace'), text('ca.crt')]).toEqual(['token of robot in robot-token', 'default', testConfig.rootCa]);
  expect(filled?.metadata.annotations?.['kubernetes.io/service-account.uid']).toBe(robot.metadata.uid);
  await cluster.client.delete(serviceAccounts, { namespace: 'default', name: 'robot' });
  await cluster.pass(11_000);
  expect(await cluster.names(secrets)).toEqual([]);
});

test('a secret may come shortly before its account', async () => {
  await using cluster = await startCluster([tokensController], config);
  await cluster.client.create(secrets, secret('early', 'late'));
  await cluster.pass(3000);
  await cluster.client.create(serviceAccounts, account('late'));
  await cluster.settle();
  expect((await cluster.get(secrets, 'early'))?.data?.['token']).toBeDefined();
});

test('an account made anew under the same name does not get the old one’s secret', async () => {
  await using cluster = await startCluster([tokensController], config);
  await cluster.client.create(serviceAccounts, account('robot'));
  await cluster.client.create(secrets, secret('robot-token', 'robot'));
  await cluster.settle();
  await cluster.client.delete(serviceAccounts, { namespace: 'default', name: 'robot' });
  await cluster.client.create(serviceAccounts, account('robot'));
  await cluster.settle();
  expect(await cluster.names(secrets)).toEqual([]);
});

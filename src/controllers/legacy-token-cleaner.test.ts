import { expect, test } from 'vitest';
import { dayOf, invalidSinceLabel, lastUsedLabel, trackingConfigMap } from '#kube/legacy-token.ts';
import { configMaps, pods, secrets, serviceAccounts } from '#kube/refs.ts';
import { legacyTokenCleaner } from './legacy-token-cleaner.ts';
import { startCluster, type TestCluster } from './testing.ts';

const hour = 3600_000;
const day = 24 * hour;
const meta = (name: string) => ({ name, namespace: 'default' });

interface Setup {
  readonly trackedDaysAgo?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly listed?: boolean;
  readonly mounted?: boolean;
}

/** A token `old` of the account `robot`, as controllers of old made them; unused tokens go after two days. */
async function withToken(
  { trackedDaysAgo = 30, labels = {}, listed = true, mounted = false }: Setup,
  body: (cluster: TestCluster, look: () => Promise<Readonly<Record<string, string>> | undefined>) => Promise<void>,
): Promise<void> {
  await using cluster = await startCluster([legacyTokenCleaner], { legacyTokenCleanUpMs: 2 * day });
  const { client, clock } = cluster;
  await client.create(configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: trackingConfigMap, namespace: 'kube-system' },
    data: { since: dayOf(clock.now() - trackedDaysAgo * day) },
  });
  const account = await client.create(serviceAccounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: meta('robot'),
    ...(listed ? { secrets: [{ name: 'old' }] } : {}),
  });
  const annotations = { 'kubernetes.io/service-account.name': 'robot', 'kubernetes.io/service-account.uid': account.metadata.uid };
  await client.create(secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/service-account-token',
    metadata: { ...meta('old'), annotations, labels },
  });
  if (mounted)
    await client.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: meta('p'),
      spec: { containers: [{ name: 'c', image: 'i' }], volumes: [{ name: 'v', secret: { secretName: 'old' } }] },
    });
  await cluster.settle();
  await body(cluster, async () => {
    const found = await cluster.get(secrets, 'old');
    return found === undefined ? undefined : (found.metadata.labels ?? {});
  });
}

test('a token that nobody uses is marked invalid after a while, and deleted after another', async () => {
  await withToken({}, async (cluster, look) => {
    await cluster.pass(day);
    expect(await look()).toEqual({});
    await cluster.pass(2 * day);
    expect(await look()).toEqual({ [invalidSinceLabel]: expect.stringMatching(/^2026-01-0[34]$/) });
    await cluster.pass(day);
    expect(await look()).toBeDefined();
    await cluster.pass(3 * day);
    expect(await look()).toBeUndefined();
    expect(cluster.log.filter((line) => line.startsWith('error'))).toEqual([]);
  });
});

test.each<[string, Setup]>([
  ['that was used not long ago', { labels: { [lastUsedLabel]: '2026-01-03' } }],
  ['of whose use a day is on record that is none', { labels: { [lastUsedLabel]: 'yesterday' } }],
  ['that its account does not list, so that somebody made it by hand', { listed: false }],
  ['that a pod mounts', { mounted: true }],
  ['whose use has not been tracked for long enough', { trackedDaysAgo: -2 }],
])('a token %s stays good', async (_what, setup) => {
  await withToken(setup, async (cluster, look) => {
    await cluster.pass(4 * day - hour);
    expect(await look()).toEqual(setup.labels ?? {});
  });
});

test('a token that was used after it was marked invalid is not deleted', async () => {
  await withToken({ labels: { [invalidSinceLabel]: '2025-06-01', [lastUsedLabel]: '2026-01-02' } }, async (cluster, look) => {
    await cluster.pass(3 * day);
    expect(await look()).toBeDefined();
    await cluster.pass(3 * day);
    expect(await look()).toBeUndefined();
  });
});

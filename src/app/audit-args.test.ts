import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { auditArgs, auditSettings } from './audit-args.ts';

const dir = mkdtempSync(join(tmpdir(), 'audit-args-'));
afterAll(() => rmSync(dir, { recursive: true }));
const policy = join(dir, 'policy.yaml');
writeFileSync(policy, 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n');
const hook = join(dir, 'hook.yaml');
writeFileSync(hook, 'clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}]\ncontexts: [{name: x, context: {cluster: c}}]\n');

const settings = (args: Readonly<Record<string, string>>) =>
  auditSettings(
    new Map(Object.entries({ 'audit-policy-file': policy, 'audit-log-path': '/x', 'audit-webhook-config-file': hook, ...args })),
  );

test('log and webhook are delivered to as upstream does by default', async () => {
  const read = await settings({});
  expect(read?.log?.delivery).toEqual({ mode: 'blocking', batch: { bufferSize: 10_000, maxBatch: 1, maxWaitMs: 0 } });
  expect(read?.webhook?.delivery).toEqual({
    mode: 'batch',
    batch: { bufferSize: 10_000, maxBatch: 400, maxWaitMs: 30_000, throttle: { qps: 10, burst: 15 } },
  });
});

test('each setting counts', async () => {
  const read = await settings({
    'audit-log-mode': 'blocking-strict',
    'audit-log-format': 'legacy',
    'audit-log-truncate-enabled': 'true',
    'audit-log-truncate-max-event-size': '500',
    'audit-webhook-batch-buffer-size': '50',
    'audit-webhook-batch-max-size': '5',
    'audit-webhook-batch-max-wait': '2s',
    'audit-webhook-batch-throttle-qps': '0.5',
    'audit-webhook-batch-throttle-burst': '1',
    'audit-webhook-initial-backoff': '1s',
  });
  expect(read?.log).toMatchObject({
    file: { format: 'legacy' },
    delivery: { mode: 'blocking-strict', truncate: { maxEvent: 500, maxBatch: 10_485_760 } },
  });
  expect(read?.webhook).toMatchObject({
    endpoint: { initialBackoffMs: 1000 },
    delivery: { batch: { bufferSize: 50, maxBatch: 5, maxWaitMs: 2000, throttle: { qps: 0.5, burst: 1 } } },
  });
  expect((await settings({ 'audit-webhook-batch-throttle-enable': 'false' }))?.webhook?.delivery.batch).not.toHaveProperty('throttle');
});

test.each([
  [{ 'audit-log-mode': 'eventual' }, 'invalid audit mode eventual, allowed modes are "batch,blocking,blocking-strict"'],
  [{ 'audit-log-format': 'xml' }, 'invalid audit log format xml, allowed formats are "legacy,json"'],
  [{ 'audit-log-version': 'audit.k8s.io/v1beta1' }, 'invalid audit log group version audit.k8s.io/v1beta1'],
  [{ 'audit-webhook-batch-buffer-size': '5' }, "audit-webhook-batch-max-size: 400 can't be greater than batch-buffer-size 5"],
  [{ 'audit-webhook-batch-throttle-qps': '0' }, 'audit-webhook-batch-throttle-qps: 0 must be positive'],
  [
    { 'audit-log-truncate-max-batch-size': '10' },
    "audit-log-truncate-max-event-size: 102400 can't be greater than truncate-max-batch-size 10",
  ],
  [{ 'audit-log-truncate-enabled': 'yes' }, 'audit-log-truncate-enabled: "yes" is neither true nor false'],
])('%j is refused with the name of the setting', async (args, message) => {
  await expect(settings(args)).rejects.toThrow(message);
});

test('every setting is known by upstream’s name', () => {
  expect(auditArgs).toEqual(expect.arrayContaining(['audit-log-batch-throttle-enable', 'audit-webhook-truncate-max-event-size']));
});

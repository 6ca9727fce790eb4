import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { encodeProtobuf } from '#kube/protobuf.ts';
import { StatusError } from '#kube/status-error.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { HttpsFetch } from '../authn/https-json.ts';
import type { ApiRequest, ApiResponse, UserInfo } from '../contract.ts';
import { parseRequestInfo } from '../request-info.ts';
import { createAudit } from './audit.ts';
import { openAuditLog } from './log-file.ts';
import { auditDecision, parseAuditPolicy } from './policy.ts';
import { createAuditFigures } from './sink.ts';
import { type AuditWebhookOptions, auditWebhook } from './webhook.ts';

const policy = (rules: string, more = '') => parseAuditPolicy(`apiVersion: audit.k8s.io/v1\nkind: Policy\n${more}\nrules:\n${rules}`);
const alice: UserInfo = { name: 'alice', groups: ['dev'] };

describe('policy', () => {
  const chosen = policy(`
- {level: None, users: [system:kube-proxy]}
- {level: None, nonResourceURLs: [/healthz*, /version]}
- {level: Metadata, resources: [{group: "", resources: [secrets, "pods/log"]}]}
- {level: Request, verbs: [create], namespaces: [prod], resources: [{group: apps, resources: ["deployments/*"]}]}
- {level: RequestResponse, userGroups: [admins]}
- {level: Metadata, omitStages: [RequestReceived]}
`);
  test.each([
    ['system:kube-proxy', 'GET', '/api/v1/pods', 'None'],
    ['alice', 'GET', '/healthz/etcd', 'None'],
    ['alice', 'GET', '/api/v1/namespaces/a/secrets/s', 'Metadata'],
    ['alice', 'GET', '/api/v1/namespaces/a/pods/p/log', 'Metadata'],
    ['alice', 'POST', '/apis/apps/v1/namespaces/prod/deployments', 'Request'],
    ['root', 'POST', '/apis/apps/v1/namespaces/test/deployments', 'RequestResponse'],
    ['alice', 'GET', '/metrics', 'Metadata'],
  ])('%s %s %s is recorded at %s', (name, method, path, level) => {
    const user = { name, groups: name === 'root' ? ['admins'] : [] };
    expect(auditDecision(chosen, user, parseRequestInfo(method, path, new URLSearchParams()), path).level).toBe(level);
  });
  test.each([
    ['- {level: Everything}', 'rules[0].level'],
    ['- {level: Metadata, omitStages: [Soon]}', 'rules[0].omitStages[0]'],
    ['- {level: Metadata, nonResourceURLs: [/x], namespaces: [a]}', 'rules[0].nonResourceURLs'],
    [' []', '0 rules'],
  ])('%s is refused', (rules, message) => {
    expect(() => policy(rules)).toThrow(message);
  });
});

function recording(rules: string, more = '') {
  const events: Record<string, unknown>[] = [];
  const sink = { write: (event: object) => void events.push(event as Record<string, unknown>), close: async () => await Promise.resolve() };
  return { events, audit: createAudit(policy(rules, more), { sink, clock: fakeClock(), figures: createAuditFigures() }) };
}

const request = (more: Partial<ApiRequest> = {}): ApiRequest => ({
  method: 'POST',
  path: '/api/v1/namespaces/ns/pods',
  query: new URLSearchParams('dryRun=All'),
  headers: { 'user-agent': 'kubectl', 'content-type': 'application/json' },
  body: Buffer.from('{"metadata":{"name":"p","managedFields":[{}]}}'),
  user: alice,
  signal: new AbortController().signal,
  remoteAddress: '10.0.0.7',
  ...more,
});
const created: ApiResponse = { type: 'object', status: 201, object: { kind: 'Pod', metadata: { name: 'p', managedFields: [{}] } } };

describe('events', () => {
  test('say who did what with which outcome, and why it was allowed', async () => {
    const { events, audit } = recording('- {level: RequestResponse}', 'omitManagedFields: true');
    const authorize = audit.authorize(() => ({ decision: 'allow', reason: 'RBAC: yes' }));
    const asked = request();
    await audit.handle(async (r) => {
      await authorize({ user: alice } as never, r.signal);
      return created;
    })(asked);
    expect(events.map((e) => e['stage'])).toEqual(['RequestReceived', 'ResponseComplete']);
    expect(events[1]).toMatchObject({
      level: 'RequestResponse',
      requestURI: '/api/v1/namespaces/ns/pods?dryRun=All',
      verb: 'create',
      user: { username: 'alice', groups: ['dev'] },
      sourceIPs: ['10.0.0.7'],
      userAgent: 'kubectl',
      objectRef: { resource: 'pods', namespace: 'ns', name: 'p', apiVersion: 'v1' },
      responseStatus: { code: 201 },
      requestObject: { metadata: { name: 'p' } },
      responseObject: { kind: 'Pod', metadata: { name: 'p' } },
      annotations: { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': 'RBAC: yes' },
    });
    expect(JSON.stringify(events)).not.toContain('managedFields');
    expect(events[0]?.['auditID']).toBe(events[1]?.['auditID']);
  });
  test('bodies appear only at the levels that want them', async () => {
    const { events, audit } = recording('- {level: Metadata}');
    const body = Buffer.from('{"metadata":{"name":"p"},"data":{"password":"x"}}');
    await audit.handle(async () => await Promise.resolve(created))(request({ body }));
    expect(JSON.stringify(events)).not.toContain('password');
    expect(events[0]?.['objectRef']).toMatchObject({ name: 'p' });
  });
  test('nothing is written for level None', async () => {
    const { events, audit } = recording('- {level: None}');
    await audit.handle(async () => await Promise.resolve(created))(request());
    expect(events).toEqual([]);
  });
  test('a watch has a start and an end', async () => {
    const { events, audit } = recording('- {level: Metadata, omitStages: [RequestReceived]}');
    async function* none() {}
    const response = await audit.handle(
      async () => await Promise.resolve({ type: 'watch', status: 200, def: {} as never, messages: none() }),
    )(request({ method: 'GET', body: undefined }));
    expect(events.map((e) => e['stage'])).toEqual(['ResponseStarted']);
    if (response.type === 'watch') for await (const _ of response.messages);
    expect(events.map((e) => e['stage'])).toEqual(['ResponseStarted', 'ResponseComplete']);
  });
  test('the impersonator is the user, whom it acts as stands beside', async () => {
    const { events, audit } = recording('- {level: Metadata}');
    const user = { name: 'bob', groups: [], impersonator: { name: 'root', groups: [] } };
    await audit.handle(async () => await Promise.resolve(created))(request({ user }));
    expect(events[0]).toMatchObject({ user: { username: 'root' }, impersonatedUser: { username: 'bob' } });
  });
  test('refused credentials are recorded', async () => {
    const { events, audit } = recording('- {level: Metadata}');
    const authenticate = audit.authenticate(() => Promise.reject(new StatusError('Unauthorized', 'Unauthorized')));
    const query = new URLSearchParams();
    const asked = {
      method: 'GET',
      path: '/api/v1/pods',
      query,
      headers: {},
      rawHeaders: [],
      peer: undefined,
      connection: {},
      remoteAddress: '10.0.0.7',
    };
    await expect(authenticate(asked, new AbortController().signal)).rejects.toMatchObject({ code: 401 });
    expect(events).toMatchObject([{ stage: 'ResponseStarted', verb: 'list', responseStatus: { code: 401 } }]);
  });
});

test('the policy is asked about who asks, not about whom they act as', async () => {
  const { events, audit } = recording('- {level: None, users: [bob]}\n- {level: Metadata, users: [root]}');
  const user = { name: 'bob', groups: [], impersonator: { name: 'root', groups: [] } };
  await audit.handle(async () => await Promise.resolve(created))(request({ user }));
  expect(events).toHaveLength(2);
});

test('bodies in protobuf and YAML appear as objects, and no managed fields of the items of a list', async () => {
  const { events, audit } = recording('- {level: RequestResponse, omitManagedFields: true}');
  const handle = (more: Partial<ApiRequest>, response: ApiResponse = created) =>
    audit.handle(async () => await Promise.resolve(response))(request(more));
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', labels: { a: 'b' } },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  };
  await handle({ body: encodeProtobuf(pod), headers: { 'content-type': 'application/vnd.kubernetes.protobuf' } });
  expect(events.at(-1)?.['requestObject']).toMatchObject(pod);
  await handle({ body: Buffer.from('metadata: {name: p}'), headers: { 'content-type': 'application/apply-patch+yaml' } });
  expect(events.at(-1)?.['requestObject']).toEqual({ metadata: { name: 'p' } });
  await handle({ body: Buffer.from('rubbish'), headers: { 'content-type': 'application/vnd.kubernetes.protobuf' } });
  expect(events.at(-1)).not.toHaveProperty('requestObject');
  const items = [{ metadata: { name: 'a', managedFields: [{}] } }];
  await handle({ body: undefined }, { type: 'object', status: 200, object: { kind: 'PodList', metadata: {}, items } });
  expect(events.at(-1)?.['responseObject']).toEqual({ kind: 'PodList', metadata: {}, items: [{ metadata: { name: 'a' } }] });
});

test("answers carry the id of their events: the client's, cut where it is too long", async () => {
  const { events, audit } = recording('- {level: Metadata}');
  const answer = await audit.handle(async () => await Promise.resolve(created))(request({ headers: { 'audit-id': 'x'.repeat(100) } }));
  expect(answer.headers).toEqual({ 'audit-id': 'x'.repeat(64) });
  expect(events[0]?.['auditID']).toBe('x'.repeat(64));
});

describe('the webhook', () => {
  const setUp = (answer: () => Response, more: Partial<AuditWebhookOptions> = {}) => {
    const sent: { readonly kind: string; readonly items: readonly object[] }[] = [];
    const clock = fakeClock();
    const figures = createAuditFigures();
    const registry = new Registry();
    figures.register(registry);
    const fetch: HttpsFetch = async (r) => {
      sent.push(JSON.parse(r.body ?? '') as (typeof sent)[number]);
      return await Promise.resolve(answer());
    };
    const sink = auditWebhook(
      { server: { url: 'https://audit' }, maxBatch: 3, maxWaitMs: 1000, ...more },
      { clock, log: memoryLogger(), fetch, figures },
    );
    const failed = async (): Promise<number> =>
      (await registry.getSingleMetric('apiserver_audit_error_total')?.get())?.values[0]?.value ?? 0;
    return { sent, clock, sink, failed };
  };
  const ok = (): Response => new Response('');
  test('gets events in batches: full ones at once, others when their time has come, the rest at the end', async () => {
    const { sent, clock, sink } = setUp(ok);
    for (let i = 0; i < 4; i++) sink.write({ i });
    await clock.advance(1);
    expect(sent.map((s) => [s.kind, s.items.length])).toEqual([['EventList', 3]]);
    await clock.advance(1001);
    expect(sent.map((s) => s.items.length)).toEqual([3, 1]);
    sink.write({ i: 5 });
    await sink.close();
    expect(sent.map((s) => s.items.length)).toEqual([3, 1, 1]);
  });
  test('gets a batch again after a failure; what fails for good is counted', async () => {
    let failures = 0;
    const { sent, clock, sink, failed } = setUp(() => new Response('', { status: failures++ < 1 ? 500 : 200 }), { initialBackoffMs: 100 });
    for (let i = 0; i < 3; i++) sink.write({ i });
    await clock.advance(200);
    expect(sent).toHaveLength(2);
    expect(await failed()).toBe(0);
    failures = -100;
    for (let i = 0; i < 3; i++) sink.write({ i });
    for (let i = 0; i < 10; i++) await clock.advance(1000);
    expect(await failed()).toBe(3);
  });
  test('that does not answer holds up nobody: what the buffer cannot hold is dropped and counted', async () => {
    const { clock, sink, failed } = setUp(() => new Response('', { status: 500 }), { bufferSize: 5, initialBackoffMs: 1e9 });
    for (let i = 0; i < 3; i++) sink.write({ i });
    await clock.advance(1);
    for (let i = 0; i < 7; i++) sink.write({ i });
    expect(await failed()).toBe(2);
  });
});

test('old files go after so many days', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'audit-'));
  const clock = fakeClock(Date.UTC(2026, 0, 10));
  for (const day of ['2026-01-01', '2026-01-09']) writeFileSync(join(dir, `audit-${day}T00-00-00.000.log`), '');
  writeFileSync(join(dir, 'audit-notes.log'), '');
  const sink = await openAuditLog(
    { path: join(dir, 'audit.log'), maxAgeDays: 3 },
    { clock, log: memoryLogger(), figures: createAuditFigures() },
  );
  await sink.close();
  expect(readdirSync(dir).sort()).toEqual(['audit-2026-01-09T00-00-00.000.log', 'audit-notes.log', 'audit.log']);
  rmSync(dir, { recursive: true });
});

test('the log is rotated by size and old files go', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'audit-'));
  const clock = fakeClock();
  const deps = { clock, log: memoryLogger(), figures: createAuditFigures() };
  const sink = await openAuditLog({ path: join(dir, 'audit.log'), maxSizeMb: 0.001, maxBackups: 2 }, deps);
  for (let i = 0; i < 10; i++) {
    sink.write({ i, text: 'x'.repeat(600) });
  }
  await sink.close();
  const names = readdirSync(dir).sort();
  expect(names).toHaveLength(3);
  expect(JSON.parse(readFileSync(join(dir, 'audit.log'), 'utf8').trim().split('\n').at(-1) ?? '')).toMatchObject({ i: 9 });
  rmSync(dir, { recursive: true });
});

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { encodeProtobuf } from '#kube/protobuf.ts';
import { StatusError } from '#kube/status-error.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { ApiRequest, ApiResponse, UserInfo } from '../contract.ts';
import { parseRequestInfo } from '../request-info.ts';
import { createAudit } from './audit.ts';
import { openAuditLog } from './log-file.ts';
import { auditDecision, parseAuditPolicy } from './policy.ts';
import { createAuditFigures } from './sink.ts';

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

function recording(rules: string, more = '', stored?: (event: Record<string, unknown>) => Promise<boolean>) {
  const events: Record<string, unknown>[] = [];
  const write = (event: object): Promise<boolean> | undefined => {
    events.push(event as Record<string, unknown>);
    return stored?.(event as Record<string, unknown>);
  };
  const sink = { write, close: async () => await Promise.resolve() };
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

describe('a sink that requests wait for', () => {
  test('refuses those whose first event it could not store, before anything is done', async () => {
    const { audit } = recording('- {level: Metadata}', '', async () => await Promise.resolve(false));
    let done = false;
    const answer = await audit.handle(async () => {
      done = true;
      return await Promise.resolve(created);
    })(request());
    expect(done).toBe(false);
    expect(answer).toMatchObject({
      status: 500,
      contentType: 'text/plain; charset=utf-8',
      body: 'Internal Server Error: "/api/v1/namespaces/ns/pods?dryRun=All": failed to store audit event\n',
    });
  });
  test('holds the answer until it has the event, whatever becomes of it', async () => {
    const last = Promise.withResolvers<boolean>();
    const { events, audit } = recording('- {level: Metadata}', '', async (event) =>
      event['stage'] === 'ResponseComplete' ? await last.promise : true,
    );
    let answered = false;
    const answer = audit
      .handle(async () => await Promise.resolve(created))(request())
      .then((a) => {
        answered = true;
        return a;
      });
    await vi.waitUntil(() => events.length === 2);
    expect(answered).toBe(false);
    last.resolve(false);
    expect(await answer).toMatchObject({ status: 201 });
  });
});

test('a file that cannot be written is told, and written again when it can be', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'audit-'));
  const log = memoryLogger();
  const figures = createAuditFigures();
  const backend = await openAuditLog({ path: join(dir, 'logs/audit.log'), maxSizeMb: 0.0001 }, { clock: fakeClock(), log, figures });
  const { signal } = new AbortController();
  const long = { text: 'x'.repeat(200) };
  expect(await backend.process([long], signal)).toBe(true);
  // What is to be put aside has gone.
  rmSync(join(dir, 'logs'), { recursive: true });
  expect(await backend.process([long, long], signal)).toBe(false);
  expect(log.lines).toEqual([expect.stringContaining('the audit log cannot be written')]);
  mkdirSync(join(dir, 'logs'));
  expect(await backend.process([long], signal)).toBe(true);
  await backend.close();
  rmSync(dir, { recursive: true });
});

test('the log may have the legacy format', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'audit-'));
  const deps = { clock: fakeClock(), log: memoryLogger(), figures: createAuditFigures() };
  const backend = await openAuditLog({ path: join(dir, 'audit.log'), format: 'legacy' }, deps);
  const event = {
    requestReceivedTimestamp: '2026-01-01T00:00:00.120000Z',
    auditID: 'id',
    stage: 'RequestReceived',
    verb: 'get',
    user: { username: 'alice', groups: ['a', 'b'] },
    sourceIPs: ['10.0.0.7', '10.0.0.8'],
    userAgent: 'kubectl',
    objectRef: { namespace: 'ns' },
    requestURI: '/api/v1/namespaces/ns/pods/p',
  };
  const acting = { ...event, impersonatedUser: { username: 'bob', groups: ['c'] }, responseStatus: { code: 200 } };
  await backend.process([event, acting, {}], new AbortController().signal);
  await backend.close();
  const start =
    '2026-01-01T00:00:00.12Z AUDIT: id="id" stage="RequestReceived" ip="10.0.0.7" method="get" user="alice" groups="\\"a\\",\\"b\\""';
  expect(readFileSync(join(dir, 'audit.log'), 'utf8').split('\n')).toEqual([
    `${start} as="<self>" asgroups="<lookup>" user-agent="kubectl" namespace="ns" uri="/api/v1/namespaces/ns/pods/p" response="<deferred>"`,
    `${start} as="bob" asgroups="\\"c\\"" user-agent="kubectl" namespace="ns" uri="/api/v1/namespaces/ns/pods/p" response="200"`,
    expect.stringContaining('user="<none>" groups="<none>"'),
    '',
  ]);
  rmSync(dir, { recursive: true });
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
  const text = 'x'.repeat(600);
  const stored = await Promise.all(Array.from({ length: 10 }, (_, i) => sink.process([{ i, text }], new AbortController().signal)));
  expect(stored).not.toContain(false);
  await sink.close();
  const names = readdirSync(dir).sort();
  expect(names).toHaveLength(3);
  expect(JSON.parse(readFileSync(join(dir, 'audit.log'), 'utf8').trim().split('\n').at(-1) ?? '')).toMatchObject({ i: 9 });
  rmSync(dir, { recursive: true });
});

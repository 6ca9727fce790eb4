import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { StatusError } from '#kube/status-error.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import type { ApiRequest, ApiResponse, UserInfo } from '../contract.ts';
import { parseRequestInfo } from '../request-info.ts';
import { createAudit } from './audit.ts';
import { openAuditLog } from './log-file.ts';
import { auditDecision, parseAuditPolicy } from './policy.ts';

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
  return { events, audit: createAudit(policy(rules, more), sink, fakeClock()) };
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
      objectRef: { resource: 'pods', namespace: 'ns', apiVersion: 'v1' },
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
    await audit.handle(async () => await Promise.resolve(created))(request());
    expect(JSON.stringify(events)).not.toContain('"p"');
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

test('the log is rotated by size and old files go', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'audit-'));
  const clock = fakeClock();
  const sink = await openAuditLog({ path: join(dir, 'audit.log'), maxSizeMb: 0.001, maxBackups: 2 }, { clock, log: memoryLogger() });
  for (let i = 0; i < 10; i++) {
    sink.write({ i, text: 'x'.repeat(600) });
    await clock.advance(1000);
  }
  await sink.close();
  const names = readdirSync(dir).sort();
  expect(names).toHaveLength(3);
  expect(JSON.parse(readFileSync(join(dir, 'audit.log'), 'utf8').trim().split('\n').at(-1) ?? '')).toMatchObject({ i: 9 });
  rmSync(dir, { recursive: true });
});

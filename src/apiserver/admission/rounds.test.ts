import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pods } from '#kube/refs.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import { builtinKinds } from '#resources/index.ts';
import type { Authorize, SubresourceDef } from '../contract.ts';
import { admin, startTestServer, type TestServer, testTls } from '../testing.ts';
import { viewOf } from '../view.ts';
import { createAdmissionPlugins } from './index.ts';

/** All plugins in a real API server, with a real webhook server on this machine. */

interface ReviewRequest {
  readonly uid: string;
  readonly object: { readonly spec: Record<string, unknown>; readonly metadata: { readonly labels?: Record<string, string> } };
  readonly [field: string]: unknown;
}
type Answer = (request: ReviewRequest, path: string) => object;

const { ca, server: material } = testTls();
const caBundle = Buffer.from(ca).toString('base64');
const asked: { readonly path: string; readonly request: ReviewRequest }[] = [];
let answer: Answer = () => ({ allowed: true });
let connections = 0;
let webhookServer: Server;
let port = 0;
let t: TestServer;
let authorize: Authorize = () => ({ decision: 'allow', reason: '' });

beforeAll(async () => {
  webhookServer = createServer({ cert: material.cert, key: material.key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (c: Buffer) => chunks.push(c));
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { readonly request: ReviewRequest };
      const path = (request.url ?? '').split('?')[0] ?? '';
      asked.push({ path, request: review.request });
      const made = { uid: review.request.uid, ...answer(review.request, path) };
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: made }));
    });
  });
  webhookServer.on('secureConnection', () => connections++);
  await new Promise<void>((resolve) => {
    webhookServer.listen(0, '127.0.0.1', resolve);
  });
  port = (webhookServer.address() as AddressInfo).port;
});

afterAll(() => {
  webhookServer.closeAllConnections();
  webhookServer.close();
});

beforeEach(async () => {
  asked.length = 0;
  connections = 0;
  answer = () => ({ allowed: true });
  authorize = () => ({ decision: 'allow', reason: '' });
  const exec: SubresourceDef = {
    resource: pods,
    name: 'exec',
    kind: { group: '', version: 'v1', kind: 'PodExecOptions' },
    verbs: ['create'],
    handle: async (r) => {
      await r.admit('CONNECT', undefined, { kind: 'PodExecOptions', apiVersion: 'v1', container: 'c' });
      return { type: 'object', status: 200, object: {} };
    },
  };
  t = await startTestServer(builtinKinds, {
    subresources: [exec],
    admission: (objects, metrics) =>
      createAdmissionPlugins({
        objects,
        metrics,
        clock: fakeClock(),
        random: seededRandom(1),
        log: memoryLogger(),
        authorize: (a, s) => authorize(a, s),
        dialService: () => Promise.reject(new Error('no services here')),
        others: [],
      }),
  });
  await create('/api/v1/namespaces', { metadata: { name: 'default' } });
  await create('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
});

afterEach(async () => {
  await t.server.close();
});

/** Any object, as far as the tests look into it. */
interface Answered {
  readonly metadata: { readonly labels?: Record<string, string> };
  readonly spec: { readonly containers: readonly { readonly resources: object; readonly volumeMounts: readonly object[] }[] };
  readonly message: string;
}

/** The answer's object and its code. */
async function call(method: string, path: string, body?: object, contentType?: string) {
  const response = await t.call(method, path, body, contentType === undefined ? {} : { 'content-type': contentType });
  const object =
    response.type === 'entry' ? viewOf(response.def).object(response.entry) : response.type === 'object' ? response.object : undefined;
  return {
    code: 'status' in response ? response.status : 0,
    object: object as Answered,
    warnings: response.warnings ?? [],
  };
}

async function create(path: string, object: object) {
  const result = await call('POST', path, object);
  if (result.code !== 201) throw new Error(JSON.stringify(result.object));
  return result.object;
}

const registration = '/apis/admissionregistration.k8s.io/v1';
const podsPath = '/api/v1/namespaces/default/pods';
const everyPod = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] };
const pod = (more: object = {}): object => ({ metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] }, ...more });
const patch = (...operations: object[]): object => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});

const webhook = (name: string, more: object = {}): object => ({
  name: `${name}.example.com`,
  clientConfig: { url: `https://127.0.0.1:${port}/${name}`, caBundle },
  rules: [everyPod],
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  ...more,
});
const register = (kind: 'mutating' | 'validating', ...webhooks: object[]) =>
  create(`${registration}/${kind}webhookconfigurations`, { metadata: { name: kind }, webhooks });

async function mutatingPolicy(name: string, spec: object): Promise<void> {
  const matchConstraints = { resourceRules: [everyPod] };
  await create(`${registration}/mutatingadmissionpolicies`, {
    metadata: { name },
    spec: { matchConstraints, reinvocationPolicy: 'Never', ...spec },
  });
  await create(`${registration}/mutatingadmissionpolicybindings`, { metadata: { name }, spec: { policyName: name } });
}
const applying = (expression: string): object => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } });
const patching = (expression: string): object => ({ patchType: 'JSONPatch', jsonPatch: { expression } });

describe('the second round', () => {
  test('lets in-tree plugins see what a webhook has added', async () => {
    await create('/api/v1/namespaces/default/limitranges', {
      metadata: { name: 'l' },
      spec: { limits: [{ type: 'Container', default: { cpu: '1' } }] },
    });
    await register('mutating', webhook('sidecar'));
    answer = ({ object }) =>
      object.spec['containers'] !== undefined && (object.spec['containers'] as object[]).length === 1
        ? patch({ op: 'add', path: '/spec/containers/-', value: { name: 'sidecar', image: 'i' } })
        : { allowed: true };
    const made = await create(podsPath, pod());
    const { containers } = made.spec;
    expect(containers.map((c) => c.resources)).toEqual([
      { limits: { cpu: '1' }, requests: { cpu: '1' } },
      { limits: { cpu: '1' }, requests: { cpu: '1' } },
    ]);
    expect(containers[1]?.volumeMounts).toHaveLength(1);
  });

  test('asks webhooks again that want it, when in-tree plugins or others have changed the object', async () => {
    await register(
      'mutating',
      webhook('first', { reinvocationPolicy: 'IfNeeded' }),
      webhook('second'),
      webhook('third', { reinvocationPolicy: 'IfNeeded' }),
    );
    answer = (_request, path) =>
      path === '/second' ? patch({ op: 'add', path: '/metadata/labels', value: { second: 'was-here' } }) : { allowed: true };
    await create(podsPath, pod());
    expect(asked.map((a) => a.path)).toEqual(['/first', '/second', '/third', '/first']);
    expect(asked.at(-1)?.request.object.metadata.labels).toEqual({ second: 'was-here' });
  });

  test('does not come when nothing has changed', async () => {
    await register('mutating', webhook('first', { reinvocationPolicy: 'IfNeeded' }), webhook('second', { reinvocationPolicy: 'IfNeeded' }));
    await create(podsPath, pod());
    expect(asked.map((a) => a.path)).toEqual(['/first', '/second']);
  });

  test('asks policies again that want it, after webhooks', async () => {
    const label = (name: string): string =>
      `Object{metadata: Object.metadata{labels: {"${name}": has(object.metadata.labels) && "hook" in object.metadata.labels ? "after" : "before"}}}`;
    await mutatingPolicy('again', { reinvocationPolicy: 'IfNeeded', mutations: [applying(label('again'))] });
    await mutatingPolicy('once', { mutations: [applying(label('once'))] });
    await register('mutating', webhook('hook'));
    answer = () => patch({ op: 'add', path: '/metadata/labels/hook', value: '1' });
    expect((await create(podsPath, pod())).metadata.labels).toEqual({ again: 'after', once: 'before', hook: '1' });
  });
});

describe('other versions of a resource', () => {
  const hpas = (version: string): string => `/apis/autoscaling/${version}/namespaces/default/horizontalpodautoscalers`;
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' };
  const rule = (...apiVersions: string[]): object => ({
    operations: ['CREATE'],
    apiGroups: ['autoscaling'],
    apiVersions,
    resources: ['horizontalpodautoscalers'],
  });
  const v1 = { metadata: { name: 'h' }, spec: { scaleTargetRef, maxReplicas: 3, targetCPUUtilizationPercentage: 70 } };

  test('are matched, and webhooks get the object as their rule wants it', async () => {
    await register('mutating', webhook('w', { rules: [rule('v2')] }));
    answer = () => patch({ op: 'replace', path: '/spec/metrics/0/resource/target/averageUtilization', value: 55 });
    const made = await create(hpas('v1'), v1);
    expect(made).toMatchObject({ apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 55 } });
    expect(asked[0]?.request).toMatchObject({
      kind: { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' },
      resource: { group: 'autoscaling', version: 'v2', resource: 'horizontalpodautoscalers' },
      requestKind: { group: 'autoscaling', version: 'v1', kind: 'HorizontalPodAutoscaler' },
      requestResource: { group: 'autoscaling', version: 'v1', resource: 'horizontalpodautoscalers' },
      object: { apiVersion: 'autoscaling/v2', spec: { metrics: [{ type: 'Resource' }] } },
    });
  });

  test('are not matched where the match is to be exact', async () => {
    await register('mutating', webhook('w', { rules: [rule('v2')], matchPolicy: 'Exact' }));
    await create(hpas('v1'), v1);
    expect(asked).toEqual([]);
  });

  test('are seen by policies, too', async () => {
    await create(`${registration}/validatingadmissionpolicies`, {
      metadata: { name: 'p' },
      spec: {
        matchConstraints: { resourceRules: [rule('v2')] },
        validations: [
          { expression: "object.spec.metrics[0].resource.target.averageUtilization < 60 && request.requestKind.version == 'v1'" },
        ],
      },
    });
    await create(`${registration}/validatingadmissionpolicybindings`, {
      metadata: { name: 'b' },
      spec: { policyName: 'p', validationActions: ['Deny'] },
    });
    expect(await call('POST', hpas('v1'), v1)).toMatchObject({ code: 422, object: { reason: 'Invalid' } });
    expect((await call('POST', hpas('v1'), { ...v1, spec: { ...v1.spec, targetCPUUtilizationPercentage: 50 } })).code).toBe(201);
  });
});

describe('MutatingAdmissionPolicy', () => {
  test('counts its mutations, those that fail too', async () => {
    await mutatingPolicy('m', { mutations: [applying('Object{metadata: Object.metadata{labels: {"a": "b"}}}')] });
    await call('POST', podsPath, pod());
    await mutatingPolicy('n', {
      failurePolicy: 'Ignore',
      mutations: [applying('Object{metadata: Object.metadata{labels: {"a": object.none}}}')],
    });
    await call('POST', podsPath, pod({ metadata: { name: 'other' } }));
    const metrics = await t.server.metrics.metrics();
    const counted = 'apiserver_mutating_admission_policy_check_total{policy=';
    expect(metrics).toContain(`${counted}"m",policy_binding="m",error_type="no_error"} 2`);
    expect(metrics).toContain(`${counted}"n",policy_binding="n",error_type="invalid_error"} 1`);
    expect(metrics).toContain(
      'apiserver_mutating_admission_policy_check_duration_seconds_count{policy="m",policy_binding="m",error_type="no_error"} 2',
    );
  });

  test.each<[string, object, string]>([
    [
      'an atomic list',
      applying('Object{spec: Object.spec{containers: [Object.spec.containers{name: "c", command: ["sh"]}]}}'),
      'error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[0].command',
    ],
    [
      'a field that is none',
      applying('Object{spec: Object.spec{nothing: 1}}'),
      'error applying patch: failed to convert patch object to typed object: .spec.nothing: field not declared in schema',
    ],
    [
      'a field under the wrong type',
      applying('Object{spec: Object.spec{securityContext: Object.spec.security{runAsUser: 1}}}'),
      'type mismatch: unexpected type name "Object.spec.security", expected "Object.spec.securityContext", which matches field name path from root Object type',
    ],
    [
      'a path that is not there',
      patching('[JSONPatch{op: "remove", path: "/metadata/labels/x"}]'),
      'JSONPath: unable to get nonexistent key: labels',
    ],
  ])('refuses a request whose policy changes %s, unless its failures are ignored', async (_what, mutation, why) => {
    await mutatingPolicy('m', { mutations: [mutation] });
    const message = `policy 'm' with binding 'm' denied request: ${why}`;
    expect(await call('POST', podsPath, pod())).toMatchObject({
      code: 403,
      object: { reason: 'Invalid', message, details: { name: 'p', kind: 'pods', causes: [{ message }] } },
    });
    await call(
      'PATCH',
      `${registration}/mutatingadmissionpolicies/m`,
      { spec: { failurePolicy: 'Ignore' } },
      'application/merge-patch+json',
    );
    expect((await call('POST', podsPath, pod())).code).toBe(201);
  });

  test('leaves the object alone when a test of its JSON patch fails', async () => {
    const expression = '[JSONPatch{op: "test", path: "/spec/containers/0/name", value: "x"}, JSONPatch{op: "remove", path: "/spec"}]';
    await mutatingPolicy('m', { mutations: [patching(expression)] });
    expect((await create(podsPath, pod())).spec.containers).toHaveLength(1);
  });

  test('sees each of its parameters in turn', async () => {
    for (const name of ['one', 'two'])
      await create('/api/v1/namespaces/default/configmaps', { metadata: { name, labels: { params: 'yes' } }, data: { label: name } });
    await create(`${registration}/mutatingadmissionpolicies`, {
      metadata: { name: 'm' },
      spec: {
        paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
        matchConstraints: { resourceRules: [everyPod] },
        reinvocationPolicy: 'Never',
        variables: [{ name: 'labels', expression: '{params.data.label: "set"}' }],
        mutations: [applying('Object{metadata: Object.metadata{labels: variables.labels}}')],
      },
    });
    await create(`${registration}/mutatingadmissionpolicybindings`, {
      metadata: { name: 'b' },
      spec: { policyName: 'm', paramRef: { selector: { matchLabels: { params: 'yes' } }, parameterNotFoundAction: 'Deny' } },
    });
    expect((await create(podsPath, pod())).metadata.labels).toEqual({ one: 'set', two: 'set' });
  });

  test('is refused with mutations that give no object or no list', async () => {
    const policy = (mutation: object): object => ({
      metadata: { name: 'm' },
      spec: { matchConstraints: { resourceRules: [everyPod] }, reinvocationPolicy: 'Never', mutations: [mutation] },
    });
    const path = `${registration}/mutatingadmissionpolicies`;
    expect((await call('POST', path, policy(applying('1')))).object.message).toContain(
      'spec.mutations[0].applyConfiguration.expression: Invalid value: "1": must evaluate to Object but got int',
    );
    expect((await call('POST', path, policy(patching('"x"')))).object.message).toContain(
      'spec.mutations[0].jsonPatch.expression: Invalid value: "\\"x\\"": must evaluate to list(JSONPatch) but got string',
    );
  });
});

describe('expressions', () => {
  async function validatingPolicy(spec: object): Promise<void> {
    await create(`${registration}/validatingadmissionpolicies`, {
      metadata: { name: 'p' },
      spec: { matchConstraints: { resourceRules: [everyPod] }, ...spec },
    });
    await create(`${registration}/validatingadmissionpolicybindings`, {
      metadata: { name: 'b' },
      spec: { policyName: 'p', validationActions: ['Deny', 'Audit'] },
    });
  }

  test('wait for an authorizer that does not answer at once', async () => {
    const questions: string[] = [];
    authorize = async (a) => {
      questions.push(`${a.verb} ${a.resource}`);
      return await Promise.resolve({ decision: a.verb === 'get' ? ('allow' as const) : ('deny' as const), reason: 'so' });
    };
    const check = (verb: string): string => `authorizer.group('').resource('secrets').check('${verb}').allowed()`;
    await validatingPolicy({
      variables: [{ name: 'reads', expression: check('get') }],
      validations: [{ expression: 'variables.reads' }, { expression: `variables.reads && !${check('list')}` }],
    });
    expect((await call('POST', podsPath, pod())).code).toBe(201);
    expect(questions).toEqual(['get secrets', 'list secrets']);
  });

  test('stop when they cost too much', async () => {
    const loop = (n: number): string => `[${Array.from({ length: n }, (_, i) => i).join()}]`;
    const expression = `${loop(200)}.all(a, ${loop(200)}.all(b, ${loop(200)}.all(c, a + b + c >= 0)))`;
    await validatingPolicy({ validations: [{ expression }] });
    expect((await call('POST', podsPath, pod())).object.message).toContain(
      'resulted in error: operation cancelled: actual cost limit exceeded',
    );
  });

  test('that fail and are ignored are counted as allowed', async () => {
    await validatingPolicy({ failurePolicy: 'Ignore', validations: [{ expression: 'object.none == 1' }] });
    expect((await call('POST', podsPath, pod())).code).toBe(201);
    expect(await t.server.metrics.metrics()).toContain(
      'apiserver_validating_admission_policy_check_total{policy="p",policy_binding="b",error_type="invalid_error",enforcement_action="allow"} 1',
    );
  });

  test('and what webhooks did are noted for the audit log', async () => {
    await validatingPolicy({
      validations: [{ expression: 'false', message: 'never' }],
      auditAnnotations: [{ key: 'name', valueExpression: "'pod ' + object.metadata.name" }],
    });
    await register('mutating', webhook('one'), webhook('two', { failurePolicy: 'Ignore', clientConfig: { url: 'https://127.0.0.1:1/' } }));
    answer = () => ({ ...patch({ op: 'add', path: '/metadata/labels', value: { a: 'b' } }), auditAnnotations: { note: 'seen' } });
    const notes = new Map<string, unknown>();
    await call('POST', podsPath, pod({ metadata: { name: 'other' } }));
    expect(await t.server.metrics.metrics()).toContain(
      'apiserver_validating_admission_policy_check_total{policy="p",policy_binding="b",error_type="no_error",enforcement_action="deny"} 1',
    );
    await t.server.handle({
      method: 'POST',
      path: podsPath,
      query: new URLSearchParams(),
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(pod())),
      user: admin,
      signal: new AbortController().signal,
      annotate: (key, value) => notes.set(key, value),
    });
    const first = { configuration: 'mutating', webhook: 'one.example.com' };
    expect(Object.fromEntries(notes)).toEqual({
      'one.example.com/note': 'seen',
      'mutation.webhook.admission.k8s.io/round_0_index_0': JSON.stringify({ ...first, mutated: true }),
      'patch.webhook.admission.k8s.io/round_0_index_0': JSON.stringify({
        ...first,
        patch: [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }],
        patchType: 'JSONPatch',
      }),
      'mutation.webhook.admission.k8s.io/round_0_index_1': JSON.stringify({
        configuration: 'mutating',
        webhook: 'two.example.com',
        mutated: false,
      }),
      'failed-open.mutation.webhook.admission.k8s.io/round_0_index_1': 'two.example.com',
      'p/name': 'pod p',
      'pod-security.kubernetes.io/enforce-policy': 'privileged:latest',
      'validation.policy.admission.k8s.io/validation_failure': JSON.stringify([
        { message: 'never', policy: 'p', binding: 'b', expressionIndex: 0, validationActions: ['Deny', 'Audit'] },
      ]),
    });
  });
});

describe('what webhooks are told', () => {
  test('has the options of the write', async () => {
    await register('validating', webhook('w'));
    await create(`${podsPath}?fieldManager=me&fieldValidation=Strict`, pod());
    expect(asked[0]?.request).toMatchObject({
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'me', fieldValidation: 'Strict' },
    });
  });

  test('has the namespace itself for requests about a namespace', async () => {
    const rule = { operations: ['UPDATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['namespaces'] };
    await register('validating', webhook('w', { rules: [rule] }));
    await call('PATCH', '/api/v1/namespaces/default', { metadata: { labels: { a: 'b' } } }, 'application/merge-patch+json');
    expect(asked[0]?.request).toMatchObject({
      name: 'default',
      namespace: 'default',
      operation: 'UPDATE',
      options: { kind: 'UpdateOptions' },
    });
  });

  test('has the binding when a pod is bound, which they may change', async () => {
    await create(podsPath, pod());
    const rule = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods/binding'] };
    await register('mutating', webhook('w', { rules: [rule] }));
    answer = () => patch({ op: 'replace', path: '/target/name', value: 'other' });
    await create(`${podsPath}/p/binding`, { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } });
    expect(asked[0]?.request).toMatchObject({ kind: { kind: 'Binding' }, resource: { resource: 'pods' }, subResource: 'binding' });
    expect((await call('GET', `${podsPath}/p`)).object.spec).toMatchObject({ nodeName: 'other' });
  });
});

test('a scale is seen as a Scale, which webhooks may change', async () => {
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  await create(deployments, { metadata: { name: 'd' }, spec: { replicas: 2, selector: { matchLabels: { a: 'b' } }, template } });
  const rule = { operations: ['UPDATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments/scale'] };
  await register('mutating', webhook('w', { rules: [rule] }));
  answer = () => patch({ op: 'replace', path: '/spec/replicas', value: 3 });
  await call('PATCH', `${deployments}/d/scale`, { spec: { replicas: 9 } }, 'application/merge-patch+json');
  expect(asked[0]?.request).toMatchObject({
    kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
    resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    subResource: 'scale',
    object: { kind: 'Scale', spec: { replicas: 9 } },
    oldObject: { kind: 'Scale', spec: { replicas: 2 } },
  });
  expect((await call('GET', `${deployments}/d`)).object.spec).toMatchObject({ replicas: 3, template: {} });
});

test('a connection is refused by webhooks and policies that see its options', async () => {
  await create(podsPath, pod());
  const rule = { operations: ['CONNECT'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods/exec'] };
  await register(
    'validating',
    webhook('w', { rules: [rule], objectSelector: { matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] } }),
  );
  expect((await call('POST', `${podsPath}/p/exec`)).code).toBe(200);
  expect(asked[0]?.request).toMatchObject({
    kind: { group: '', version: 'v1', kind: 'PodExecOptions' },
    object: { kind: 'PodExecOptions', container: 'c' },
    oldObject: null,
    options: null,
  });
  answer = () => ({ allowed: false, status: { message: 'no' } });
  expect((await call('POST', `${podsPath}/p/exec`)).object.message).toBe('admission webhook "w.example.com" denied the request: no');
});

describe('webhook calls', () => {
  test('use a connection again', async () => {
    await register('validating', webhook('w'));
    for (const name of ['a', 'b', 'c']) await create(podsPath, pod({ metadata: { name } }));
    expect(asked).toHaveLength(3);
    expect(connections).toBe(1);
  });

  test('that fail are told in Go’s words, and counted', async () => {
    await register('validating', webhook('w', { clientConfig: { url: 'https://127.0.0.1:1/x' }, timeoutSeconds: 3 }));
    const why =
      'failed calling webhook "w.example.com": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=3s": dial tcp 127.0.0.1:1: connect: connection refused';
    expect(await call('POST', podsPath, pod())).toMatchObject({
      code: 500,
      object: { reason: 'InternalError', message: `Internal error occurred: ${why}`, details: { causes: [{ message: why }] } },
    });
    const text = await t.server.metrics.metrics();
    expect(text).toContain(
      'apiserver_admission_webhook_rejection_count{name="w.example.com",type="validating",operation="CREATE",error_type="calling_webhook_error",rejection_code="503"} 1',
    );
    expect(text).toContain('apiserver_admission_controller_admission_duration_seconds_count{name="ValidatingAdmissionWebhook"');
  });
});

describe('the status of a ValidatingAdmissionPolicy', () => {
  const path = `${registration}/validatingadmissionpolicies`;
  const policy = (spec: object): object => ({
    metadata: { name: 'p' },
    spec: {
      matchConstraints: {
        resourceRules: [{ operations: ['*'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments', 'daemonsets'] }],
      },
      ...spec,
    },
  });
  /** The status once it has been written for the policy's generation. */
  async function checked(): Promise<unknown> {
    for (;;) {
      const { object } = await call('GET', `${path}/p`);
      const { metadata, status } = object as unknown as { metadata: { generation: number }; status?: { observedGeneration?: number } };
      if (status?.observedGeneration === metadata.generation) return status;
      await new Promise((resolve) => void setImmediate(resolve));
    }
  }

  test('tells what does not fit the types of what the policy matches', async () => {
    await create(
      path,
      policy({
        variables: [{ name: 'n', expression: 'object.spec.replicas' }],
        validations: [
          { expression: 'object.metadata.labels.size() > 0 && object.spec.template.spec.containers.all(c, c.image != "")' },
          { expression: 'object.spec.replicas > 1', messageExpression: "'only ' + string(variables.n)" },
        ],
      }),
    );
    expect(await checked()).toEqual({
      observedGeneration: 1,
      typeChecking: {
        expressionWarnings: [
          {
            fieldRef: 'spec.validations[1].expression',
            warning:
              "apps/v1, Kind=DaemonSet: ERROR: <input>:1:12: undefined field 'replicas'\n | object.spec.replicas > 1\n | ...........^\n",
          },
        ],
      },
    });
  });

  test('follows a change, and is empty where all fits', async () => {
    await create(path, policy({ validations: [{ expression: 'object.spec.nothing == 1' }] }));
    await checked();
    await call(
      'PATCH',
      `${path}/p`,
      policy({ validations: [{ expression: 'object.spec.minReadySeconds == 1' }] }),
      'application/merge-patch+json',
    );
    expect(await checked()).toEqual({ observedGeneration: 2, typeChecking: {} });
  });

  test('follows the definition of a custom resource that the policy matches', async () => {
    const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    const definition = (properties: object): object => ({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'things', kind: 'Thing' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } } },
          },
        ],
      },
    });
    const rule = { operations: ['*'], apiGroups: ['example.com'], apiVersions: ['v1'], resources: ['things'] };
    await create(path, policy({ matchConstraints: { resourceRules: [rule] }, validations: [{ expression: 'object.spec.size > 1' }] }));
    const warning = (text: string): object => ({
      observedGeneration: 1,
      typeChecking: {
        expressionWarnings: [
          {
            fieldRef: 'spec.validations[0].expression',
            warning: `example.com/v1, Kind=Thing: ERROR: <input>:1:12: ${text}\n | object.spec.size > 1\n | ...........^\n`,
          },
        ],
      },
    });
    const becomes = async (wanted: object): Promise<void> => {
      while (!isDeepStrictEqual(await checked(), wanted)) await new Promise((resolve) => void setImmediate(resolve));
    };
    await becomes({ observedGeneration: 1, typeChecking: {} });
    await create(definitions, definition({ name: { type: 'string' } }));
    await becomes(warning("undefined field 'size'"));
    const { object } = await call('GET', `${definitions}/things.example.com`);
    const changed = { ...definition({ size: { type: 'integer' } }), metadata: object.metadata };
    expect((await call('PUT', `${definitions}/things.example.com`, changed)).code).toBe(200);
    await becomes({ observedGeneration: 1, typeChecking: {} });
  });
});

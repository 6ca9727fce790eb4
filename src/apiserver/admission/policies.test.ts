import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createCel } from '#kube/cel.ts';
import type { KindDef } from '#kube/kind.ts';
import { configMaps, deployments, namespaces, pods, validatingAdmissionPolicies, validatingWebhookConfigurations } from '#kube/refs.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { seededRandom } from '#platform/random.ts';
import { builtinKinds } from '#resources/index.ts';
import type { AdmissionRequest, Authorize } from '../contract.ts';
import { testObjects } from '../test-objects.ts';
import { createAdmissionMetrics } from './admission-metrics.ts';
import { type MatchRule, matchesRule, matchingVersion } from './match.ts';
import { createMutatingAdmissionPolicy } from './mutating-policy.ts';
import { createMutatingWebhooks } from './mutating-webhooks.ts';
import { createPolicyExpressions } from './policy-expressions.ts';
import { ask, onlyConfigMaps } from './testing.ts';
import { createValidatingAdmissionPolicy } from './validating-policy.ts';
import { createValidatingWebhooks } from './validating-webhooks.ts';
import type { WebhookCall } from './webhook-client.ts';

const cel = createCel();
const allowAll: Authorize = () => ({ decision: 'allow', reason: '' });
const group = { apiVersion: 'admissionregistration.k8s.io/v1' };
const everything = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] };
const deployment = (replicas: number, metadata: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', namespace: 'default', ...metadata },
  spec: { replicas },
});

describe('rules', () => {
  const request = (ref: typeof pods, subresource = ''): AdmissionRequest =>
    ({ def: { ref }, subresource, operation: 'CREATE', name: 'n' }) as unknown as AdmissionRequest;
  const rule = (resources: string[], more: MatchRule = {}): MatchRule => ({ ...everything, resources, ...more });

  test.each<[MatchRule, AdmissionRequest, boolean]>([
    [rule(['pods']), request(pods), true],
    [rule(['pods']), request(pods, 'status'), false],
    [rule(['*']), request(pods), true],
    [rule(['*']), request(pods, 'status'), false],
    [rule(['*/*']), request(pods, 'status'), true],
    [rule(['pods/*']), request(pods), true],
    [rule(['pods/status']), request(pods, 'status'), true],
    [rule(['*/status']), request(pods, 'status'), true],
    [rule(['*/status']), request(pods), false],
    [rule(['pods'], { scope: 'Cluster' }), request(pods), false],
    [rule(['namespaces'], { scope: 'Cluster' }), request(namespaces as never), true],
    [rule(['pods'], { operations: ['UPDATE'] }), request(pods), false],
    [rule(['pods'], { apiGroups: ['apps'] }), request(pods), false],
    [rule(['pods'], { resourceNames: ['other'] }), request(pods), false],
  ])('%j', (r, q, expected) => {
    expect(matchesRule(r, q, q.def)).toBe(expected);
  });

  test('another version of the resource counts unless the match is to be exact, but its own comes first', async () => {
    const v2 = { ref: { ...pods, version: 'v2' } } as unknown as KindDef;
    const v3 = { ref: { ...pods, version: 'v3' } } as unknown as KindDef;
    const objects = { ...(await testObjects(builtinKinds)), equivalents: () => [v2, v3] };
    const q = request(pods);
    const versions = (...apiVersions: string[]): MatchRule => rule(['pods'], { apiVersions });
    expect(matchingVersion([versions('v3'), versions('v2')], 'Equivalent', q, objects)).toBe(v3);
    expect(matchingVersion([versions('v2'), versions('v1')], 'Equivalent', q, objects)).toBe(q.def);
    expect(matchingVersion([versions('v2')], 'Exact', q, objects)).toBeUndefined();
    expect(matchingVersion([versions('v9')], 'Equivalent', q, objects)).toBeUndefined();
  });
});

describe('ValidatingAdmissionPolicy', () => {
  const setup = async (spec: object, binding: object = {}, authorize: Authorize = allowAll) => {
    const objects = await testObjects(builtinKinds);
    await objects.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels: { env: 'prod' } } });
    await objects.put({
      ...group,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'p' },
      spec: { matchConstraints: { resourceRules: [everything] }, ...spec },
    });
    await objects.put({
      ...group,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'b' },
      spec: { policyName: 'p', validationActions: ['Deny'], ...binding },
    });
    const withKinds = { ...objects, kindOf: onlyConfigMaps };
    return {
      objects,
      plugins: [
        createValidatingAdmissionPolicy({
          cel,
          objects: withKinds,
          authorize,
          clock: fakeClock(),
          metrics: createAdmissionMetrics(new Registry()),
        }),
      ],
    };
  };
  const limit = { validations: [{ expression: 'object.spec.replicas <= 5' }] };

  test('denies with upstream’s message and reason', async () => {
    const { plugins } = await setup(limit);
    await expect(ask(plugins, deployments, { object: deployment(5) })).resolves.toBeDefined();
    const message =
      "deployments.apps \"d\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: object.spec.replicas <= 5";
    await expect(ask(plugins, deployments, { object: deployment(6) })).rejects.toMatchObject({ code: 422, reason: 'Invalid', message });
  });

  test.each<[string, object, string]>([
    ['message', { message: 'too many' }, 'too many'],
    ['messageExpression', { message: 'x', messageExpression: "'at most 5, not ' + string(object.spec.replicas)" }, 'at most 5, not 6'],
    ['a messageExpression that fails', { message: 'x', messageExpression: "'not ' + object.nothing" }, 'x'],
  ])('tells its %s', async (_what, more, text) => {
    const { plugins } = await setup({ validations: [{ expression: 'object.spec.replicas <= 5', ...more }] });
    await expect(ask(plugins, deployments, { object: deployment(6) })).rejects.toThrow(`denied request: ${text}`);
  });

  test('a reason sets the code', async () => {
    const { plugins } = await setup({ validations: [{ expression: 'false', reason: 'Forbidden' }] });
    await expect(ask(plugins, deployments, { object: deployment(1) })).rejects.toMatchObject({ code: 403, reason: 'Forbidden' });
  });

  test('sees the request, the namespace, the old object, its variables and its parameters', async () => {
    const { plugins, objects } = await setup(
      {
        paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
        variables: [
          { name: 'max', expression: 'int(params.data.max)' },
          { name: 'twice', expression: 'variables.max * 2' },
        ],
        validations: [
          {
            expression:
              "request.operation == 'UPDATE' && request.userInfo.username == 'alice' && request.resource.resource == 'deployments'",
          },
          { expression: "namespaceObject.metadata.labels.env == 'prod'" },
          { expression: 'object.spec.replicas >= oldObject.spec.replicas' },
          { expression: 'object.spec.replicas < variables.twice' },
        ],
      },
      { paramRef: { name: 'limits', namespace: 'default', parameterNotFoundAction: 'Deny' } },
    );
    const update = (replicas: number) =>
      ask(plugins, deployments, { operation: 'UPDATE', object: deployment(replicas), oldObject: deployment(1) });
    await expect(update(1)).rejects.toThrow(
      'failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction',
    );
    await objects.put({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'limits', namespace: 'default' },
      data: { max: '3' },
    } as never);
    await expect(update(5)).resolves.toBeDefined();
    await expect(update(6)).rejects.toThrow('failed expression: object.spec.replicas < variables.twice');
    await expect(update(0)).rejects.toThrow('object.spec.replicas >= oldObject.spec.replicas');
  });

  test('may ask the authorizer', async () => {
    const authorize: Authorize = (a) => ({
      decision: a.verb === 'scale' && a.resource === 'deployments' && a.name === 'd' ? 'allow' : 'deny',
      reason: 'because',
    });
    const expression =
      "authorizer.requestResource.check('scale').allowed() && !authorizer.group('').resource('pods').check('get').allowed()";
    const { plugins } = await setup({ validations: [{ expression }] }, {}, authorize);
    await expect(ask(plugins, deployments, { object: deployment(1) })).resolves.toBeDefined();
  });

  test('may warn instead, or only where its conditions and selectors say so', async () => {
    const warnings: string[] = [];
    await ask((await setup(limit, { validationActions: ['Warn'] })).plugins, deployments, { object: deployment(6), warnings });
    expect(warnings).toEqual([
      "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression: object.spec.replicas <= 5",
    ]);
    const conditional = await setup({ ...limit, matchConditions: [{ name: 'c', expression: "object.metadata.name != 'd'" }] });
    await expect(ask(conditional.plugins, deployments, { object: deployment(6) })).resolves.toBeDefined();
    const elsewhere = await setup(limit, { matchResources: { namespaceSelector: { matchLabels: { env: 'dev' } } } });
    await expect(ask(elsewhere.plugins, deployments, { object: deployment(6) })).resolves.toBeDefined();
    const labelled = await setup({
      ...limit,
      matchConstraints: { resourceRules: [everything], objectSelector: { matchLabels: { a: 'b' } } },
    });
    await expect(ask(labelled.plugins, deployments, { object: deployment(6) })).resolves.toBeDefined();
    await expect(ask(labelled.plugins, deployments, { object: deployment(6, { labels: { a: 'b' } }) })).rejects.toThrow('denied request');
  });

  test('that fails to evaluate or compile denies, unless it may be ignored', async () => {
    const broken = { validations: [{ expression: 'object.spec.nothing > 1' }] };
    await expect(ask((await setup(broken)).plugins, deployments, { object: deployment(1) })).rejects.toThrow(
      "expression 'object.spec.nothing > 1' resulted in error: no such key: nothing",
    );
    await expect(
      ask((await setup({ ...broken, failurePolicy: 'Ignore' })).plugins, deployments, { object: deployment(1) }),
    ).resolves.toBeDefined();
    await expect(
      ask((await setup({ validations: [{ expression: '1 +' }] })).plugins, deployments, { object: deployment(1) }),
    ).rejects.toThrow('compilation failed');
    const circle = {
      variables: [
        { name: 'a', expression: 'variables.b' },
        { name: 'b', expression: 'variables.a' },
      ],
      validations: [{ expression: 'variables.a == 1' }],
    };
    await expect(ask((await setup(circle)).plugins, deployments, { object: deployment(1) })).rejects.toThrow(
      "ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: compilation error: compilation failed: ERROR: <input>:1:10: undefined field 'b'",
    );
  });
});

describe('MutatingAdmissionPolicy', () => {
  const setup = async (spec: object) => {
    const objects = await testObjects(builtinKinds);
    await objects.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
    await objects.put({
      ...group,
      kind: 'MutatingAdmissionPolicy',
      metadata: { name: 'p' },
      spec: { matchConstraints: { resourceRules: [everything] }, ...spec },
    } as never);
    await objects.put({ ...group, kind: 'MutatingAdmissionPolicyBinding', metadata: { name: 'b' }, spec: { policyName: 'p' } } as never);
    const metrics = createAdmissionMetrics(new Registry());
    return [
      createMutatingAdmissionPolicy({
        cel,
        objects: { ...objects, kindOf: onlyConfigMaps },
        authorize: allowAll,
        clock: fakeClock(),
        metrics,
      }),
    ];
  };
  const applying = (expression: string): object => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } });
  const patching = (expression: string): object => ({ patchType: 'JSONPatch', jsonPatch: { expression } });

  test('merges apply configurations and applies JSON patches, each on what the one before made', async () => {
    const plugins = await setup({
      variables: [{ name: 'n', expression: 'object.spec.replicas + 1' }],
      mutations: [
        applying('Object{spec: Object.spec{replicas: variables.n}, metadata: Object.metadata{labels: {"a": "1"}}}'),
        patching(
          '[JSONPatch{op: "test", path: "/metadata/labels/a", value: "1"}, JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("x/y"), value: string(object.spec.replicas)}]',
        ),
      ],
    });
    const draft = await ask(plugins, deployments, { object: deployment(1, { labels: { own: 'x' } }) });
    expect(draft).toMatchObject({ spec: { replicas: 2 }, metadata: { labels: { own: 'x', a: '1', 'x/y': '2' } } });
  });

  test('changes what its conditions choose, and denies what it cannot change', async () => {
    const mutations = [applying('Object{spec: Object.spec{replicas: 9}}')];
    const chosen = await setup({ mutations, matchConditions: [{ name: 'c', expression: 'object.spec.replicas > 5' }] });
    expect(await ask(chosen, deployments, { object: deployment(1) })).toMatchObject({ spec: { replicas: 1 } });
    const broken = [applying('Object{spec: Object.spec{replicas: object.spec.nothing}}')];
    await expect(ask(await setup({ mutations: broken }), deployments, { object: deployment(1) })).rejects.toThrow(
      "policy 'p' with binding 'b' denied request: expression 'Object{spec: Object.spec{replicas: object.spec.nothing}}' resulted in error: no such key: nothing",
    );
    await expect(
      ask(await setup({ mutations: broken, failurePolicy: 'Ignore' }), deployments, { object: deployment(1) }),
    ).resolves.toBeDefined();
  });
});

test('policies and webhooks whose expressions do not compile are refused when they are written', async () => {
  const plugins = [createPolicyExpressions({ cel, objects: await testObjects(builtinKinds), authorize: allowAll })];
  const policy = (spec: object): object => ({ metadata: { name: 'p' }, spec });
  await expect(
    ask(plugins, validatingAdmissionPolicies, {
      object: policy({ variables: [{ name: 'a', expression: 'object.x' }], validations: [{ expression: 'variables.a == 1' }] }),
    }),
  ).resolves.toBeDefined();
  await expect(ask(plugins, validatingAdmissionPolicies, { object: policy({ validations: [{ expression: 'object.' }] }) })).rejects.toThrow(
    'ValidatingAdmissionPolicy.admissionregistration.k8s.io "p" is invalid: spec.validations[0].expression: Invalid value: "object.": compilation failed',
  );
  const variables = [
    { name: 'a', expression: 'variables.b' },
    { name: 'b', expression: 'nothing' },
  ];
  await expect(ask(plugins, validatingAdmissionPolicies, { object: policy({ variables }) })).rejects.toThrow(
    'spec.variables[1].expression: Invalid value: "nothing": compilation failed: ERROR: <input>:1:1: undeclared reference to \'nothing\'',
  );
  const webhooks = [{ matchConditions: [{ name: 'c', expression: '"x"' }] }];
  await expect(ask(plugins, validatingWebhookConfigurations, { object: { metadata: { name: 'w' }, webhooks } })).rejects.toThrow(
    'webhooks[0].matchConditions[0].expression: Invalid value: "\\"x\\"": must evaluate to bool',
  );
});

describe('webhooks', () => {
  const setup = async (kind: 'Validating' | 'Mutating', webhooks: readonly object[], answer: (call: WebhookCall) => unknown) => {
    const objects = await testObjects(builtinKinds);
    await objects.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
    const full = webhooks.map((w) => ({
      name: 'w.example.com',
      clientConfig: { url: 'https://w' },
      rules: [everything],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      ...w,
    }));
    await objects.put({ ...group, kind: `${kind}WebhookConfiguration`, metadata: { name: 'c' }, webhooks: full } as never);
    const calls: WebhookCall[] = [];
    const call = async (c: WebhookCall): Promise<unknown> => {
      calls.push({ ...c, body: structuredClone(c.body) });
      const response = (await Promise.resolve(answer(c))) as object;
      const { uid } = (c.body as { request: { uid: string } }).request;
      return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, ...response } };
    };
    const metrics = createAdmissionMetrics(new Registry());
    const deps = { cel, objects, call, clock: fakeClock(), random: seededRandom(1), log: memoryLogger(), authorize: allowAll, metrics };
    return { calls, plugins: [kind === 'Mutating' ? createMutatingWebhooks(deps) : createValidatingWebhooks(deps)] };
  };
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', namespace: 'default' }, data: { a: '1' } };
  const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
  const adding = (path: string, value: unknown): object => ({
    allowed: true,
    patchType: 'JSONPatch',
    patch: base64([{ op: 'add', path, value }]),
  });

  test('are asked with an AdmissionReview', async () => {
    const { calls, plugins } = await setup('Validating', [{}], () => ({ allowed: true, warnings: ['careful'] }));
    const warnings: string[] = [];
    await ask(plugins, configMaps, { object: configMap, warnings });
    expect(warnings).toEqual(['careful']);
    expect(calls[0]?.body).toMatchObject({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        kind: { group: '', version: 'v1', kind: 'ConfigMap' },
        resource: { group: '', version: 'v1', resource: 'configmaps' },
        name: 'm',
        namespace: 'default',
        operation: 'CREATE',
        userInfo: { username: 'alice', groups: ['system:authenticated'] },
        object: configMap,
        oldObject: null,
        dryRun: false,
      },
    });
  });

  test.each<[object, number, string]>([
    [{ allowed: false }, 400, 'admission webhook "w.example.com" denied the request without explanation'],
    [{ allowed: false, status: { message: 'no' } }, 400, 'admission webhook "w.example.com" denied the request: no'],
    [
      { allowed: false, status: { code: 403, reason: 'Forbidden', message: 'no' } },
      403,
      'admission webhook "w.example.com" denied the request: no',
    ],
  ])('that answer %j refuse', async (answer, code, message) => {
    const { plugins } = await setup('Validating', [{}], () => answer);
    await expect(ask(plugins, configMaps, { object: configMap })).rejects.toMatchObject({ code, message });
  });

  test('that know only v1beta1 are asked with it', async () => {
    const { calls, plugins } = await setup('Mutating', [{ admissionReviewVersions: ['v2', 'v1beta1', 'v1'] }], () =>
      adding('/data/b', '2'),
    );
    const answering = plugins.map((p) => p);
    await expect(ask(answering, configMaps, { object: configMap })).rejects.toThrow(
      'received invalid webhook response: expected webhook response of admission.k8s.io/v1beta1, Kind=AdmissionReview, got admission.k8s.io/v1, Kind=AdmissionReview',
    );
    expect(calls[0]?.body).toMatchObject({ apiVersion: 'admission.k8s.io/v1beta1' });
  });

  test.each<[object, string]>([
    [{ patch: base64([]) }, 'webhook returned response.patch but not response.patchType'],
    [{ patchType: 'JSONPatch' }, 'webhook returned response.patchType but not response.patch'],
    [{ patch: base64([{}]), patchType: 'Other' }, 'unsupported patch type "Other"'],
    [{ patch: base64({}), patchType: 'JSONPatch' }, 'received undecodable patch in webhook response'],
    [
      { patch: base64([{ op: 'remove', path: '/nothing' }]), patchType: 'JSONPatch' },
      'Internal error occurred: unable to get nonexistent key: nothing',
    ],
  ])('that answer with a bad patch, %j, fail the request', async (bad, why) => {
    const { plugins } = await setup('Mutating', [{}], () => ({ allowed: true, ...bad }));
    await expect(ask(plugins, configMaps, { object: configMap })).rejects.toMatchObject({ code: 500 });
    await expect(ask(plugins, configMaps, { object: configMap })).rejects.toThrow(why);
  });

  test('that only validate may not patch', async () => {
    const { plugins } = await setup('Validating', [{}], () => adding('/data/b', '2'));
    await expect(ask(plugins, configMaps, { object: configMap })).rejects.toThrow('validating webhook may not return response.patch');
  });

  test('that cannot be called fail the request, unless they may be ignored', async () => {
    const broken = (): never => {
      throw new Error('connection refused');
    };
    await expect(ask((await setup('Validating', [{}], broken)).plugins, configMaps, { object: configMap })).rejects.toMatchObject({
      code: 500,
      message: 'Internal error occurred: failed calling webhook "w.example.com": connection refused',
    });
    await expect(
      ask((await setup('Validating', [{ failurePolicy: 'Ignore' }], broken)).plugins, configMaps, { object: configMap }),
    ).resolves.toBeDefined();
    const wrongUid = await setup('Validating', [{}], () => ({ allowed: true, uid: 'other' }));
    await expect(ask(wrongUid.plugins, configMaps, { object: configMap })).rejects.toThrow('expected response.uid=');
  });

  test('change the object, one after another, and see what those before them did', async () => {
    const { calls, plugins } = await setup('Mutating', [{ name: 'one' }, { name: 'two' }], (c) => {
      const { data } = (c.body as { request: { object: { data: Record<string, string> } } }).request.object;
      return adding(`/data/k${Object.keys(data).length}`, 'x');
    });
    const draft = await ask(plugins, configMaps, { object: configMap });
    expect(draft['data']).toEqual({ a: '1', k1: 'x', k2: 'x' });
    expect(calls).toHaveLength(2);
  });

  test('that ask for it are called again when another changed the object after them', async () => {
    const order: string[] = [];
    const { plugins } = await setup('Mutating', [{ name: 'one', reinvocationPolicy: 'IfNeeded' }, { name: 'two' }], (c) => {
      const { data } = (c.body as { request: { object: { data: Record<string, string> } } }).request.object;
      order.push(Object.keys(data).join());
      return order.length === 2 ? adding('/data/b', '2') : { allowed: true };
    });
    await ask(plugins, configMaps, { object: configMap });
    expect(order).toEqual(['a', 'a', 'a,b']);
  });

  test('are chosen by conditions and selectors, never for their own configuration', async () => {
    const { calls, plugins } = await setup(
      'Validating',
      [{ matchConditions: [{ name: 'c', expression: "object.metadata.name == 'x'" }] }],
      () => ({ allowed: true }),
    );
    await ask(plugins, configMaps, { object: configMap });
    expect(calls).toHaveLength(0);
    await ask(plugins, configMaps, { object: { ...configMap, metadata: { name: 'x' } } });
    expect(calls).toHaveLength(1);
  });

  test('with side effects refuse a dry run', async () => {
    const { plugins } = await setup('Validating', [{ sideEffects: 'Some' }], () => ({ allowed: true }));
    await expect(ask(plugins, configMaps, { object: configMap, dryRun: true })).rejects.toThrow(
      'admission webhook "w.example.com" does not support dry run',
    );
  });
});

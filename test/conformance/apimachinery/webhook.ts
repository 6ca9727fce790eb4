/** test/e2e/apimachinery/webhook.go */
import { describe, expect, test } from 'vitest';
import { type Cluster, crds, definition, unique } from '../cluster.ts';
import type { Hooks } from '../hooks.ts';
import { configMap, pod } from './objects.ts';

const group = '/apis/admissionregistration.k8s.io/v1';

interface Rule {
  readonly operations?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly resources?: readonly string[];
}

export function admissionWebhooks({ api, namespace, define }: Cluster, hooks: Hooks): void {
  /** One webhook, asked about one namespace only (cluster-wide ones by an object label). */
  const webhook = (ns: string | undefined, path: string, rule: Rule, more: Readonly<Record<string, unknown>> = {}) => ({
    name: `${unique('hook')}.k8s.io`,
    clientConfig: hooks.config(path),
    rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], ...rule }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1', 'v1beta1'],
    ...(ns === undefined ? {} : { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': ns } } }),
    ...more,
  });
  const kinds = { mutating: 'MutatingWebhookConfiguration', validating: 'ValidatingWebhookConfiguration' } as const;
  const collection = (kind: keyof typeof kinds): string => `${group}/${kind}webhookconfigurations`;
  const configuration = (kind: keyof typeof kinds, webhooks: readonly object[], labels: Readonly<Record<string, string>> = {}) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: kinds[kind],
    metadata: { name: unique('config'), labels },
    webhooks,
  });
  const register = async (kind: keyof typeof kinds, ...webhooks: readonly object[]): Promise<string> => {
    const object = configuration(kind, webhooks);
    await api.post(collection(kind), object);
    return `${collection(kind)}/${object.metadata.name}`;
  };
  // The webhooks give no code: then it is 400, and no reason.
  const denied = (message: string) => ({
    code: 400,
    body: { message: expect.stringMatching(/^admission webhook ".*" denied the request: /) as string, code: 400 },
    text: expect.stringContaining(message) as string,
  });
  const disallowed = { data: { 'webhook-e2e-test': 'webhook-disallow' } };
  const all = { operations: ['CREATE', 'UPDATE', 'DELETE'] };

  describe('AdmissionWebhook', () => {
    test('should include webhook resources in discovery documents', async () => {
      const { groups } = await api.get<{ groups: readonly { name: string; versions: readonly { version: string }[] }[] }>('/apis');
      expect(groups.find((g) => g.name === 'admissionregistration.k8s.io')?.versions.map((v) => v.version)).toContain('v1');
      const { resources } = await api.get<{ resources: readonly { name: string; kind: string }[] }>(group);
      expect(resources).toEqual(
        expect.arrayContaining(
          (['mutating', 'validating'] as const).map(
            (kind) => expect.objectContaining({ name: `${kind}webhookconfigurations`, kind: kinds[kind] }) as unknown,
          ),
        ),
      );
    });

    test('should be able to deny pod and configmap creation', async () => {
      const ns = await namespace();
      await register(
        'validating',
        webhook(ns.name, '/pods', { resources: ['pods'] }, { timeoutSeconds: 1 }),
        webhook(ns.name, '/configmaps', { operations: ['CREATE', 'UPDATE', 'DELETE'] }),
        // Nobody answers this one, which does not matter.
        {
          ...webhook(ns.name, '/configmaps', {}, { failurePolicy: 'Ignore' }),
          clientConfig: { ...hooks.config('/configmaps'), caBundle: '' },
        },
      );
      const bad = pod(
        'disallowed-pod',
        { containers: [{ name: 'webhook-disallow', image: 'i' }] },
        { labels: { 'webhook-e2e-test': 'webhook-disallow' } },
      );
      const answer = await api.call('POST', ns.in('pods'), { body: bad });
      expect(answer).toMatchObject(denied('the pod contains unwanted container name'));
      expect(answer).toMatchObject(denied('the pod contains unwanted label'));
      const hanging = pod('hanging-pod', {}, { labels: { 'webhook-e2e-test': 'wait-forever' } });
      expect(await api.call('POST', ns.in('pods'), { body: hanging })).toMatchObject({
        code: 500,
        body: { reason: 'InternalError', message: expect.stringMatching(/deadline|timeout/) as string },
      });
      const message = 'the configmap contains unwanted key and value';
      const maps = ns.in('configmaps');
      expect(await api.call('POST', maps, { body: configMap('disallowed-configmap', disallowed) })).toMatchObject(denied(message));
      const allowed = await api.post(maps, configMap('allowed-configmap', { data: { admit: 'this' } }));
      const path = `${maps}/allowed-configmap`;
      expect(await api.call('PUT', path, { body: { ...allowed, ...disallowed } })).toMatchObject(denied(message));
      const type = 'application/strategic-merge-patch+json';
      expect(await api.call('PATCH', path, { body: disallowed, type })).toMatchObject(denied(message));
      const exempt = await namespace();
      expect(await api.call('POST', exempt.in('configmaps'), { body: configMap('disallowed-configmap', disallowed) })).toMatchObject({
        code: 201,
      });
    });

    test('should be able to deny attaching pod', async () => {
      const ns = await namespace();
      await register('validating', webhook(ns.name, '/pods/attach', { operations: ['CONNECT'], resources: ['pods/attach'] }));
      await api.post(ns.in('pods'), pod('to-be-attached-pod'));
      const answer = await api.call('POST', `${ns.in('pods', 'to-be-attached-pod', 'attach')}?stdout=true`);
      expect(answer).toMatchObject(denied("attaching to pod 'to-be-attached-pod' is not allowed"));
    });

    test('should be able to deny custom resource creation, update and deletion', async () => {
      const ns = await namespace();
      const custom = await define({});
      const hook = await register(
        'validating',
        webhook(ns.name, '/custom-resource', { ...all, apiGroups: [custom.group], resources: [custom.plural] }),
      );
      const at = (name = ''): string => custom.path('v1', name, ns.name);
      const message = 'the custom resource contains unwanted data';
      expect(await api.call('POST', at(), { body: custom.object('v1', 'cr-1', disallowed) })).toMatchObject(denied(message));
      await api.post(at(), custom.object('v1', 'cr-2', { data: { 'webhook-e2e-test': 'webhook-allow' } }));
      expect(await api.call('PATCH', at('cr-2'), { body: disallowed, type: 'application/merge-patch+json' })).toMatchObject(
        denied(message),
      );
      // What is there already cannot be deleted while its data are unwanted.
      await api.del(hook);
      await expect
        .poll(async () => (await api.call('PATCH', at('cr-2'), { body: disallowed, type: 'application/merge-patch+json' })).code)
        .toBe(200);
      await register('validating', webhook(ns.name, '/custom-resource', { ...all, apiGroups: [custom.group], resources: [custom.plural] }));
      expect(await api.call('DELETE', at('cr-2'))).toMatchObject(denied(message));
    });

    test('should unconditionally reject operations on fail closed webhook', async () => {
      const ns = await namespace();
      await register('validating', {
        ...webhook(ns.name, '/configmaps', {}, { failurePolicy: 'Fail' }),
        clientConfig: { ...hooks.config('/configmaps'), caBundle: '' },
      });
      expect(await api.call('POST', ns.in('configmaps'), { body: configMap('foo') })).toMatchObject({
        code: 500,
        body: { reason: 'InternalError', message: expect.stringContaining('failed calling webhook') as string },
      });
    });

    test('should mutate configmap', async () => {
      const ns = await namespace();
      await register('mutating', webhook(ns.name, '/mutating-configmaps', {}), webhook(ns.name, '/mutating-configmaps', {}));
      const created = await api.post(ns.in('configmaps'), configMap('to-be-mutated', { data: { 'mutation-start': 'yes' } }));
      expect(created['data']).toEqual({ 'mutation-start': 'yes', 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' });
    });

    test('should mutate pod and apply defaults after mutation', async () => {
      const ns = await namespace();
      await register('mutating', webhook(ns.name, '/mutating-pods', { resources: ['pods'] }));
      expect(await api.post(ns.in('pods'), pod('webhook-to-be-mutated'))).toMatchObject({
        spec: { initContainers: [{ name: 'webhook-added-init-container', terminationMessagePolicy: 'File' }] },
      });
    });

    test('should not be able to mutate or prevent deletion of webhook configuration objects', async () => {
      const resources = ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'];
      const rule = { apiGroups: ['admissionregistration.k8s.io'], apiVersions: ['*'], resources };
      const deny = await register('validating', webhook(undefined, '/always-deny', { ...rule, operations: ['DELETE'] }));
      const label = await register('mutating', webhook(undefined, '/add-label', { ...rule, operations: ['CREATE'] }));
      const dummies = (['validating', 'mutating'] as const).map((kind) => ({
        kind,
        object: configuration(kind, [webhook(undefined, '/invalid', { resources: ['invalid'] }, { failurePolicy: 'Ignore' })]),
      }));
      for (const { kind, object } of dummies) {
        const created = await api.post(collection(kind), object);
        expect(created.metadata.labels?.['added-label']).toBeUndefined();
        await api.del(`${collection(kind)}/${object.metadata.name}`);
      }
      await api.del(deny);
      await api.del(label);
    });

    test('should mutate custom resource', async () => {
      const ns = await namespace();
      const custom = await define({});
      const rule = { apiGroups: [custom.group], resources: [custom.plural] };
      await register('mutating', webhook(ns.name, '/mutating-custom-resource', rule), webhook(ns.name, '/mutating-custom-resource', rule));
      const created = await api.post(custom.path('v1', '', ns.name), custom.object('v1', 'cr', { data: { 'mutation-start': 'yes' } }));
      expect(created['data']).toEqual({ 'mutation-start': 'yes', 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' });
    });

    test('should deny crd creation', async () => {
      const rule = { apiGroups: ['apiextensions.k8s.io'], apiVersions: ['*'], resources: ['customresourcedefinitions'] };
      const hook = await register('validating', webhook(undefined, '/crd', rule));
      const { object } = definition({ labels: { 'webhook-e2e-test': 'webhook-disallow' } });
      expect(await api.call('POST', crds, { body: object })).toMatchObject(denied('the crd contains unwanted label'));
      await api.del(hook);
    });

    test('should mutate custom resource with different stored version', async () => {
      const ns = await namespace();
      const custom = await define({ versions: [{ name: 'v1' }, { name: 'v2' }] });
      const rule = { operations: ['CREATE', 'UPDATE'], apiGroups: [custom.group], apiVersions: ['*'], resources: [custom.plural] };
      await register('mutating', webhook(ns.name, '/mutating-custom-resource', rule), webhook(ns.name, '/mutating-custom-resource', rule));
      await api.post(custom.path('v1', '', ns.name), custom.object('v1', 'cr', { data: { 'mutation-start': 'yes' } }));
      const storage = [0, 1].map((i) => ({ op: 'replace', path: `/spec/versions/${i}/storage`, value: i === 1 }));
      await api.patch(`${crds}/${custom.crd}`, storage, 'json');
      const patched = await api.patch(custom.path('v1', 'cr', ns.name), { data: { dummy: 'test' } });
      expect(patched['data']).toMatchObject({
        'mutation-start': 'yes',
        dummy: 'test',
        'mutation-stage-1': 'yes',
        'mutation-stage-2': 'yes',
      });
    });

    test('should mutate custom resource with pruning', async () => {
      const ns = await namespace();
      const text = { type: 'string' };
      // The second stage is not in the schema: what the webhook adds of it goes again.
      const data = { type: 'object', properties: { 'mutation-start': text, 'mutation-stage-1': text } };
      const custom = await define({ versions: [{ name: 'v1', schema: { type: 'object', properties: { data } } }] });
      const rule = { apiGroups: [custom.group], resources: [custom.plural] };
      await register('mutating', webhook(ns.name, '/mutating-custom-resource', rule), webhook(ns.name, '/mutating-custom-resource', rule));
      const created = await api.post(custom.path('v1', '', ns.name), custom.object('v1', 'cr', { data: { 'mutation-start': 'yes' } }));
      expect(created['data']).toEqual({ 'mutation-start': 'yes', 'mutation-stage-1': 'yes' });
    });

    test('should honor timeout', async () => {
      const ns = await namespace();
      const create = (): ReturnType<typeof api.call> => api.call('POST', ns.in('configmaps'), { body: configMap(unique('slow')) });
      const slow = (policy: string, timeoutSeconds?: number) =>
        webhook(
          ns.name,
          '/always-allow-delay-5s',
          {},
          { failurePolicy: policy, ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }) },
        );
      const first = await register('validating', slow('Fail', 1));
      expect(await create()).toMatchObject({
        code: 500,
        body: { message: expect.stringMatching(/context deadline exceeded|timeout/) as string },
      });
      await api.del(first);
      const ignored = await register('validating', slow('Ignore', 1));
      expect(await create()).toMatchObject({ code: 201 });
      await api.del(ignored);
      const long = await register('validating', slow('Fail', 10));
      expect(await create()).toMatchObject({ code: 201 });
      await api.del(long);
      const defaulted = await register('validating', slow('Fail'));
      expect(await api.get(defaulted)).toMatchObject({ webhooks: [{ timeoutSeconds: 10 }] });
      expect(await create()).toMatchObject({ code: 201 });
      await api.del(defaulted);
    });

    const creates = { operations: ['CREATE'] };
    test('patching/updating a validating webhook should work', async () => {
      const ns = await namespace();
      const path = await register('validating', webhook(ns.name, '/configmaps', creates));
      const create = (): ReturnType<typeof api.call> =>
        api.call('POST', `${ns.in('configmaps')}?dryRun=All`, { body: configMap('cm', disallowed) });
      expect((await create()).code).toBe(400);
      const read = await api.get<{ webhooks: readonly [{ rules: readonly object[] }] }>(path);
      const [hook] = read.webhooks;
      await api.put(path, { ...read, webhooks: [{ ...hook, rules: hook.rules.map((r) => ({ ...r, operations: ['UPDATE'] })) }] });
      await expect.poll(async () => (await create()).code).toBe(201);
      await api.patch(path, [{ op: 'replace', path: '/webhooks/0/rules/0/operations/0', value: 'CREATE' }], 'json');
      await expect.poll(async () => (await create()).code).toBe(400);
    });

    test('patching/updating a mutating webhook should work', async () => {
      const ns = await namespace();
      const path = await register('mutating', webhook(ns.name, '/mutating-configmaps', creates));
      const create = async (): Promise<unknown> =>
        (await api.post(`${ns.in('configmaps')}?dryRun=All`, configMap('cm', { data: { 'mutation-start': 'yes' } })))['data'];
      const mutated = { 'mutation-start': 'yes', 'mutation-stage-1': 'yes' };
      expect(await create()).toEqual(mutated);
      const read = await api.get<{ webhooks: readonly [{ rules: readonly object[] }] }>(path);
      const [hook] = read.webhooks;
      await api.put(path, { ...read, webhooks: [{ ...hook, rules: hook.rules.map((r) => ({ ...r, operations: ['UPDATE'] })) }] });
      await expect.poll(create).toEqual({ 'mutation-start': 'yes' });
      await api.patch(path, [{ op: 'replace', path: '/webhooks/0/rules/0/operations/0', value: 'CREATE' }], 'json');
      await expect.poll(create).toEqual(mutated);
    });

    for (const [kind, path] of [
      ['validating', '/configmaps'],
      ['mutating', '/mutating-configmaps'],
    ] as const)
      test(`listing ${kind} webhooks should work`, async () => {
        const ns = await namespace();
        const labels = { 'e2e-list-test-webhooks': ns.name };
        for (let i = 0; i < 10; i++) await api.post(collection(kind), configuration(kind, [webhook(ns.name, path, creates)], labels));
        const selected = `${collection(kind)}?labelSelector=e2e-list-test-webhooks%3D${ns.name}`;
        expect((await api.get<{ items: readonly unknown[] }>(selected)).items).toHaveLength(10);
        const body = configMap('cm', { data: { 'webhook-e2e-test': 'webhook-disallow', 'mutation-start': 'yes' } });
        const create = () => api.call('POST', `${ns.in('configmaps')}?dryRun=All`, { body });
        const first = await create();
        if (kind === 'validating') expect(first.code).toBe(400);
        else expect(first.body['data']).toHaveProperty('mutation-stage-1', 'yes');
        await api.del(selected);
        await expect.poll(async () => (await create()).body['data']).toEqual(body['data' as keyof typeof body]);
      });

    const skipMe = [{ name: 'expression-2', expression: "object.metadata.name != 'skip-me'" }];
    for (const kind of ['validating', 'mutating'] as const) {
      test(`should be able to create and update ${kind} webhook configurations with match conditions`, async () => {
        const ns = await namespace();
        const first = [{ name: 'expression-1', expression: 'object.metadata.namespace == "production"' }];
        const path = await register(kind, webhook(ns.name, '/add-label', {}, { matchConditions: first }));
        expect(await api.get(path)).toMatchObject({ webhooks: [{ matchConditions: first }] });
        const both = [...first, ...skipMe];
        await api.patch(path, [{ op: 'replace', path: '/webhooks/0/matchConditions', value: both }], 'json');
        expect(await api.get(path)).toMatchObject({ webhooks: [{ matchConditions: both }] });
      });

      test(`should reject ${kind} webhook configurations with invalid match conditions`, async () => {
        const matchConditions = [{ name: 'invalid-expression-1', expression: '... [] bad expression' }];
        const body = configuration(kind, [webhook('none', '/add-label', {}, { matchConditions })]);
        expect(await api.call('POST', collection(kind), { body })).toMatchObject({
          code: 422,
          body: { reason: 'Invalid', message: expect.stringContaining('compilation failed') as string },
        });
      });
    }

    test("should mutate everything except 'skip-me' configmaps", async () => {
      const ns = await namespace();
      await register('mutating', webhook(ns.name, '/add-label', {}, { matchConditions: skipMe }));
      expect((await api.post(ns.in('configmaps'), configMap('skip-me'))).metadata.labels).toBeUndefined();
      expect((await api.post(ns.in('configmaps'), configMap('dont-skip-me'))).metadata.labels).toEqual({ 'added-label': 'yes' });
    });
  });
}

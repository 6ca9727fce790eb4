/** test/e2e/apimachinery: validatingadmissionpolicy.go, mutatingadmissionpolicy.go and flowcontrol.go */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import type { List, Obj } from '../client.ts';
import { type Cluster, type Namespace, unique } from '../cluster.ts';
import { deployment, podTemplate } from './objects.ts';

const admission = '/apis/admissionregistration.k8s.io/v1';
const flowcontrol = '/apis/flowcontrol.apiserver.k8s.io/v1';

export function policies({ api, namespace }: Cluster): void {
  /** What upstream's "should support ... API operations" do: every verb of a cluster-scoped kind, with watch and selectors. */
  const operations = async (
    path: string,
    object: { kind: string; metadata: { name: string } } & object,
    status: object | undefined,
  ): Promise<void> => {
    const label = unique('operations');
    const selected = `${path}?labelSelector=e2e%3D${label}`;
    const made: Obj[] = [];
    for (let i = 0; i < 3; i++)
      made.push(
        await api.post(path, {
          ...object,
          metadata: { name: i === 0 ? object.metadata.name : `${object.metadata.name}-${i}`, labels: { e2e: label } },
        }),
      );
    const [first] = made;
    if (first === undefined) throw new Error('nothing was made');
    const at = `${path}/${first.metadata.name}`;
    expect((await api.get(at)).metadata.uid).toBe(first.metadata.uid);
    const list = await api.get<List>(selected);
    expect(list.items).toHaveLength(3);
    await using watch = await api.watch(`${selected}&resourceVersion=${list.metadata.resourceVersion}`);
    expect(await api.patch(at, { metadata: { annotations: { patched: 'true' } } })).toMatchObject({
      metadata: { annotations: { patched: 'true' } },
    });
    // Controllers write to some of these too: then it is to be read and written again.
    const put = (where: string, change: (read: Obj) => object): Promise<Obj> =>
      eventually(`${where} is updated`, async () => {
        const { code, body, text } = await api.call('PUT', where, { body: change(await api.get(where)) });
        if (code !== 200 && code !== 409) throw new Error(text);
        return code === 200 ? body : undefined;
      });
    const annotations = { patched: 'true', updated: 'true' };
    await put(at, (read) => ({ ...read, metadata: { ...read.metadata, annotations } }));
    const seen = await watch.until((e) => e.object.metadata.annotations?.['updated'] === 'true');
    expect(seen).toMatchObject({ type: 'MODIFIED', object: { metadata: { annotations: { patched: 'true', updated: 'true' } } } });
    if (status !== undefined) {
      expect(await api.get(`${at}/status`)).toMatchObject({ kind: object.kind, metadata: { uid: first.metadata.uid } });
      const written = await api.patch(`${at}/status`, { metadata: { annotations: { status: 'no' } }, status });
      expect(written).toMatchObject({ status });
      // Unlike most kinds, these let a write of status touch no metadata.
      expect(written.metadata.annotations).toEqual(annotations);
      expect(await put(`${at}/status`, (read) => ({ ...read, status: { ...status } }))).toMatchObject({ status });
    }
    await api.del(at);
    expect((await api.call('GET', at)).code).toBe(404);
    expect((await api.get<List>(selected)).items).toHaveLength(2);
    await api.del(selected);
    expect((await api.get<List>(selected)).items).toEqual([]);
  };
  const offered = async (root: string, names: readonly string[]): Promise<void> => {
    const { resources } = await api.get<{ resources: readonly { name: string }[] }>(root);
    expect(resources.map((r) => r.name)).toEqual(expect.arrayContaining([...names]));
  };
  const rule = (group = 'apps', resource = 'deployments') => ({
    apiGroups: [group],
    apiVersions: ['v1'],
    operations: ['CREATE', 'UPDATE'],
    resources: [resource],
  });
  const only = (ns: Namespace) => ({ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': ns.name } } });
  const policy = (kind: string, spec: object) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name: `${unique('policy')}.example.com` },
    spec,
  });
  const enforce = async (ns: Namespace, spec: object): Promise<void> => {
    const object = policy('ValidatingAdmissionPolicy', { matchConstraints: { ...only(ns), resourceRules: [rule()] }, ...spec });
    await api.post(`${admission}/validatingadmissionpolicies`, object);
    await api.post(
      `${admission}/validatingadmissionpolicybindings`,
      policy('ValidatingAdmissionPolicyBinding', {
        policyName: object.metadata.name,
        validationActions: ['Deny'],
        matchResources: only(ns),
      }),
    );
  };

  describe('ValidatingAdmissionPolicy', () => {
    test('should validate against a Deployment', async () => {
      const ns = await namespace();
      await enforce(ns, {
        validations: [
          { expression: 'object.spec.replicas > 1', messageExpression: "'wants replicas > 1, got ' + string(object.spec.replicas)" },
        ],
      });
      const create = (name: string, replicas: number) =>
        api.call('POST', ns.in('apps/v1 deployments'), { body: deployment(name, { replicas }) });
      const denied = await eventually('the policy is in force', async () => {
        const answer = await create(unique('marker'), 1);
        return answer.code === 201 ? undefined : answer;
      });
      expect(denied).toMatchObject({
        code: 422,
        body: { reason: 'Invalid', message: expect.stringContaining('wants replicas > 1, got 1') as string },
      });
      expect((await create('replicated', 2)).code).toBe(201);
      const set = {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: { name: 'non-replicated' },
        spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template: podTemplate({ a: 'b' }) },
      };
      expect((await api.call('POST', ns.in('apps/v1 replicasets'), { body: set })).code).toBe(201);
    });

    test('should allow expressions to refer variables.', async () => {
      const ns = await namespace();
      await enforce(ns, {
        variables: [
          { name: 'replicas', expression: 'object.spec.replicas' },
          { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' },
        ],
        validations: [{ expression: 'variables.replicas > 1' }, { expression: 'variables.oddReplicas' }],
      });
      const create = async (replicas: number) =>
        (await api.call('POST', `${ns.in('apps/v1 deployments')}?dryRun=All`, { body: deployment('d', { replicas }) })).code;
      await expect.poll(() => create(1)).toBe(422);
      expect([await create(3), await create(4)]).toEqual([201, 422]);
    });

    test('should type check validation expressions', async () => {
      interface Checked extends Obj {
        readonly status: {
          readonly typeChecking?: { readonly expressionWarnings?: readonly { readonly fieldRef: string; readonly warning: string }[] };
        };
      }
      const check = async (validation: object) => {
        const object = policy('ValidatingAdmissionPolicy', { matchConstraints: { resourceRules: [rule()] }, validations: [validation] });
        await api.post(`${admission}/validatingadmissionpolicies`, object);
        return await eventually(
          'types are checked',
          async () => (await api.get<Checked>(`${admission}/validatingadmissionpolicies/${object.metadata.name}`)).status?.typeChecking,
        );
      };
      expect((await check({ expression: 'object.spec.replicas > 1' })).expressionWarnings ?? []).toEqual([]);
      const { expressionWarnings = [] } = await check({
        expression: "object.spec.replicas > '1'",
        messageExpression: "'wants replicas > 1, got ' + object.spec.replicas",
      });
      expect(expressionWarnings.map((w) => w.fieldRef)).toEqual([
        'spec.validations[0].expression',
        'spec.validations[0].messageExpression',
      ]);
      expect(expressionWarnings[0]?.warning).toContain("found no matching overload for '_>_' applied to '(int, string)'");
      expect(expressionWarnings[1]?.warning).toContain("found no matching overload for '_+_' applied to '(string, int)'");
    });

    test('should support ValidatingAdmissionPolicy API operations', async () => {
      const spec = { matchConstraints: { resourceRules: [rule('none', 'nothing')] }, validations: [{ expression: 'true' }] };
      const conditions = [
        { type: 'StatusPatched', status: 'True', reason: 'E2E', message: 'Set by an e2e test', lastTransitionTime: '2026-01-01T00:00:00Z' },
      ];
      await expect(offered(admission, ['validatingadmissionpolicies', 'validatingadmissionpolicies/status'])).resolves.toBeUndefined();
      await operations(`${admission}/validatingadmissionpolicies`, policy('ValidatingAdmissionPolicy', spec), { conditions });
    });

    test('should support ValidatingAdmissionPolicyBinding API operations', async () => {
      const object = policy('ValidatingAdmissionPolicyBinding', { policyName: 'none', validationActions: ['Deny'] });
      await expect(operations(`${admission}/validatingadmissionpolicybindings`, object, undefined)).resolves.toBeUndefined();
    });
  });

  describe('MutatingAdmissionPolicy', () => {
    const mutate = (spec: object = {}) => ({
      matchConstraints: { resourceRules: [rule('none', 'nothing')] },
      reinvocationPolicy: 'Never',
      mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{}' } }],
      ...spec,
    });
    test('should mutate a Deployment', async () => {
      const ns = await namespace();
      const expression = 'Object{metadata: Object.metadata{annotations: {"my-foo-annotation": "myAnnotationValue"}}}';
      const object = policy(
        'MutatingAdmissionPolicy',
        mutate({
          matchConstraints: { ...only(ns), resourceRules: [rule()] },
          mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression } }],
        }),
      );
      await api.post(`${admission}/mutatingadmissionpolicies`, object);
      await api.post(
        `${admission}/mutatingadmissionpolicybindings`,
        policy('MutatingAdmissionPolicyBinding', { policyName: object.metadata.name }),
      );
      await expect
        .poll(async () => (await api.post(`${ns.in('apps/v1 deployments')}?dryRun=All`, deployment('d'))).metadata.annotations)
        .toEqual({ 'my-foo-annotation': 'myAnnotationValue' });
    });
    test('should support MutatingAdmissionPolicy API operations', async () => {
      await expect(
        operations(`${admission}/mutatingadmissionpolicies`, policy('MutatingAdmissionPolicy', mutate()), undefined),
      ).resolves.toBeUndefined();
    });
    test('should support MutatingAdmissionPolicyBinding API operations', async () => {
      const object = policy('MutatingAdmissionPolicyBinding', { policyName: 'none' });
      await expect(operations(`${admission}/mutatingadmissionpolicybindings`, object, undefined)).resolves.toBeUndefined();
    });
  });

  describe('API priority and fairness', () => {
    const level = (name: string) => ({
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'PriorityLevelConfiguration',
      metadata: { name },
      spec: { type: 'Limited', limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Reject' } } },
    });
    const schema = (name: string, priorityLevel: string, user: string) => ({
      apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
      kind: 'FlowSchema',
      metadata: { name },
      spec: {
        matchingPrecedence: 1000,
        priorityLevelConfiguration: { name: priorityLevel },
        distinguisherMethod: { type: 'ByUser' },
        rules: [{ subjects: [{ kind: 'User', user: { name: user } }], nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }] }],
      },
    });
    const condition = (type: string) => [
      { type, status: 'True', reason: 'E2E', message: 'Set by an e2e test', lastTransitionTime: '2026-01-01T00:00:00Z' },
    ];

    test('should ensure that requests can be classified by adding FlowSchema and PriorityLevelConfiguration', async () => {
      const [levelName, schemaName] = ['e2e-testing-prioritylevel', 'e2e-testing-flowschema'];
      const madeLevel = await api.post(`${flowcontrol}/prioritylevelconfigurations`, level(levelName));
      const madeSchema = await api.post(`${flowcontrol}/flowschemas`, schema(schemaName, levelName, 'noxu'));
      interface Dangling {
        readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
      }
      await eventually('nothing dangles', async () => {
        const { status } = await api.get<Dangling>(`${flowcontrol}/flowschemas/${schemaName}`);
        return status?.conditions?.some((c) => c.type === 'Dangling' && c.status === 'False') === true ? true : undefined;
      });
      const { text } = await api.call('GET', '/metrics');
      expect(text).toMatch(new RegExp(`apiserver_flowcontrol_nominal_limit_seats\\{[^}]*priority_level="${levelName}"`));
      const ask = async (user: string) =>
        (await api.call('GET', '/version', { headers: { 'impersonate-user': user, 'impersonate-group': 'system:authenticated' } })).headers;
      expect(await ask('noxu')).toMatchObject({
        'x-kubernetes-pf-flowschema-uid': madeSchema.metadata.uid,
        'x-kubernetes-pf-prioritylevel-uid': madeLevel.metadata.uid,
      });
      const other = await ask('foo');
      expect(other['x-kubernetes-pf-flowschema-uid']).toMatch(/^[\w-]{36}$/);
      expect(other['x-kubernetes-pf-flowschema-uid']).not.toBe(madeSchema.metadata.uid);
    });

    test('should support FlowSchema API operations', async () => {
      await expect(offered(flowcontrol, ['flowschemas', 'flowschemas/status'])).resolves.toBeUndefined();
      await operations(`${flowcontrol}/flowschemas`, schema(unique('fs'), 'exempt', 'nobody'), {
        conditions: condition('PatchStatusFailed'),
      });
    });

    test('should support PriorityLevelConfiguration API operations', async () => {
      await expect(offered(flowcontrol, ['prioritylevelconfigurations', 'prioritylevelconfigurations/status'])).resolves.toBeUndefined();
      await operations(`${flowcontrol}/prioritylevelconfigurations`, level(unique('plc')), { conditions: condition('PatchStatusFailed') });
    });
  });
}

/** test/e2e/auth: subjectreviews.go, selfsubjectreviews.go, node_authn.go, node_authz.go, per_node_update.go */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import { configMap, pod } from '../apimachinery/objects.ts';
import type { Answer } from '../client.ts';
import { type Cluster, unique } from '../cluster.ts';

interface Access {
  readonly status: { readonly allowed: boolean };
}

export function access({ api, withToken, anonymous, namespace, define }: Cluster): void {
  const authorization = '/apis/authorization.k8s.io/v1';
  const as = (user: string, groups: readonly string[] = []): Readonly<Record<string, string>> => ({
    'impersonate-user': user,
    ...(groups[0] === undefined ? {} : { 'impersonate-group': groups.join(',') }),
  });

  describe('SubjectReview', () => {
    test('should support SubjectReview API operations', async () => {
      const ns = await namespace();
      const user = `system:serviceaccount:${ns.name}:e2e`;
      await api.post(ns.in('serviceaccounts'), { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'e2e' } });
      const resourceAttributes = { namespace: ns.name, verb: 'list', resource: 'configmaps', version: 'v1' };
      const spec = { user, resourceAttributes };
      const local = `${authorization}/namespaces/${ns.name}/localsubjectaccessreviews`;
      const check = async (): Promise<void> => {
        const { code } = await api.call('GET', ns.in('configmaps'), { headers: as(user) });
        const allowed = code === 200;
        const whole = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
        expect((await api.post<Access>(`${authorization}/subjectaccessreviews`, whole)).status.allowed).toBe(allowed);
        const here = { apiVersion: 'authorization.k8s.io/v1', kind: 'LocalSubjectAccessReview', metadata: { namespace: ns.name }, spec };
        expect((await api.post<Access>(local, here)).status.allowed).toBe(allowed);
      };
      await check();
      const group = 'rbac.authorization.k8s.io';
      await api.post(ns.in(`${group}/v1 rolebindings`), {
        apiVersion: `${group}/v1`,
        kind: 'RoleBinding',
        metadata: { name: 'viewer' },
        roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'view' },
        subjects: [{ kind: 'ServiceAccount', name: 'e2e', namespace: ns.name }],
      });
      await eventually('it may list', async () =>
        (await api.call('GET', ns.in('configmaps'), { headers: as(user) })).code === 200 ? true : undefined,
      );
      await check();
    });
  });

  describe('SelfSubjectReview', () => {
    test('should support SelfSubjectReview API operations', async () => {
      const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
      expect(await api.call('POST', path, { body, headers: as('jane', ['devs']) })).toMatchObject({
        code: 201,
        body: { status: { userInfo: { username: 'jane', groups: ['devs', 'system:authenticated'] } } },
      });
      expect((await anonymous.call('POST', path, { body })).code).toBe(403);
    });
  });

  describe('NodeAuthenticator', () => {
    test("The kubelet's main port 10250 should reject requests with no credentials: so does the API server on its way there", async () => {
      await api.post('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'authn-node' } });
      expect((await anonymous.call('GET', '/api/v1/nodes/authn-node/proxy/pods')).code).toBe(403);
      const ns = await namespace();
      await api.post(ns.in('serviceaccounts'), { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody' } });
      const { status } = await api.post<{ status: { token: string } }>(ns.in('serviceaccounts', 'nobody', 'token'), {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {},
      });
      expect((await withToken(status.token).call('GET', '/api/v1/nodes/authn-node/proxy/metrics')).code).toBe(403);
    });
  });

  describe('NodeAuthorizer', () => {
    const nodeName = 'authz-node';
    const asNode = (method: string, path: string, body?: unknown): Promise<Answer> =>
      api.call(method, path, { ...(body === undefined ? {} : { body }), headers: as(`system:node:${nodeName}`, ['system:nodes']) });

    test.each([
      ['Getting a non-existent secret should exit with the Forbidden error, not a NotFound error', 'secrets', 'foo'],
      ['Getting a non-existent configmap should exit with the Forbidden error, not a NotFound error', 'configmaps', 'foo'],
    ])('%s', async (_title, resource, name) => {
      const ns = await namespace();
      expect(await asNode('GET', ns.in(resource, name))).toMatchObject({ code: 403, body: { reason: 'Forbidden' } });
    });

    test('Getting an existing secret should exit with the Forbidden error', async () => {
      const ns = await namespace();
      await api.post(ns.in('secrets'), { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'there' } });
      expect((await asNode('GET', ns.in('secrets', 'there'))).code).toBe(403);
    });

    test('Getting a secret for a workload the node has access to should succeed', async () => {
      const ns = await namespace();
      const path = ns.in('secrets', 'node-auth-secret');
      await api.post(ns.in('secrets'), {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'node-auth-secret' },
        data: { data: 'a2V5LWRhdGE=' },
      });
      expect((await asNode('GET', path)).code).toBe(403);
      const volumes = [{ name: 'v', secret: { secretName: 'node-auth-secret' } }];
      await api.post(ns.in('pods'), pod('uses-secret', { nodeName, volumes }));
      const answer = await eventually('the graph knows the pod', async () => {
        const got = await asNode('GET', path);
        return got.code === 200 ? got : undefined;
      });
      expect(answer.body).toMatchObject({ data: { data: 'a2V5LWRhdGE=' } });
    });

    test("A node shouldn't be able to create another node", async () => {
      const node = (name: string) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
      expect((await asNode('POST', '/api/v1/nodes', node('foo'))).code).toBe(403);
      expect((await asNode('POST', '/api/v1/nodes', node(nodeName))).code).toBe(201);
    });

    test("A node shouldn't be able to delete another node", async () => {
      await api.post('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'another' } });
      expect((await asNode('DELETE', '/api/v1/nodes/another')).code).toBe(403);
    });
  });

  describe('per-node update', () => {
    test("A VAP can use the node claim of a service account's token to keep each node to its own objects", async () => {
      const ns = await namespace();
      const custom = await define({});
      const [mine, other] = ['node-one', 'node-two'];
      for (const name of [mine, other])
        await api.call('POST', '/api/v1/nodes', { body: { apiVersion: 'v1', kind: 'Node', metadata: { name } } });
      await api.post(ns.in('serviceaccounts'), { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'agent' } });
      const group = 'rbac.authorization.k8s.io';
      await api.post(ns.in(`${group}/v1 roles`), {
        apiVersion: `${group}/v1`,
        kind: 'Role',
        metadata: { name: 'writer' },
        rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'update', 'delete', 'get'] }],
      });
      await api.post(ns.in(`${group}/v1 rolebindings`), {
        apiVersion: `${group}/v1`,
        kind: 'RoleBinding',
        metadata: { name: 'writer' },
        roleRef: { apiGroup: group, kind: 'Role', name: 'writer' },
        subjects: [{ kind: 'ServiceAccount', name: 'agent', namespace: ns.name }],
      });
      const key = 'authentication.kubernetes.io/node-name';
      const user = `system:serviceaccount:${ns.name}:agent`;
      const policy = `${unique('per-node')}.${custom.group}`;
      const admission = '/apis/admissionregistration.k8s.io/v1';
      await api.post(`${admission}/validatingadmissionpolicies`, {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name: policy },
        spec: {
          matchConstraints: {
            resourceRules: [
              { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['configmaps'] },
            ],
          },
          matchConditions: [{ name: 'isRestrictedUser', expression: `request.userInfo.username == "${user}"` }],
          variables: [
            { name: 'userNodeName', expression: `'${key}' in request.userInfo.extra ? request.userInfo.extra['${key}'][0] : ''` },
            { name: 'objectNodeName', expression: "(request.operation == 'DELETE' ? oldObject : object).metadata.name" },
          ],
          validations: [
            { expression: "variables.userNodeName != ''", message: 'this user must have a "authentication.kubernetes.io/node-name" claim' },
            {
              expression: 'variables.userNodeName == variables.objectNodeName',
              messageExpression:
                "'this user running on node ' + variables.userNodeName + ' may not modify ConfigMap ' + variables.objectNodeName",
            },
          ],
        },
      });
      await api.post(`${admission}/validatingadmissionpolicybindings`, {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: policy },
        spec: { policyName: policy, validationActions: ['Deny'] },
      });
      const { metadata } = await api.post(ns.in('pods'), pod('agent', { nodeName: mine, serviceAccountName: 'agent' }));
      const { status } = await api.post<{ status: { token: string } }>(ns.in('serviceaccounts', 'agent', 'token'), {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'agent', uid: metadata.uid } },
      });
      const agent = withToken(status.token);
      await expect
        .poll(async () => (await agent.call('POST', `${ns.in('configmaps')}?dryRun=All`, { body: configMap(other) })).body)
        .toMatchObject({
          message: expect.stringContaining(`this user running on node ${mine} may not modify ConfigMap ${other}`) as string,
        });
      expect((await agent.call('POST', ns.in('configmaps'), { body: configMap(mine) })).code).toBe(201);
      expect((await agent.call('DELETE', ns.in('configmaps', mine))).code).toBe(200);
    });
  });
}

/** test/e2e/auth/service_accounts.go: what does not need a running pod. test/kubelet has the token in a container. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import { pod } from '../apimachinery/objects.ts';
import type { List, Obj } from '../client.ts';
import type { Cluster, Namespace } from '../cluster.ts';

interface TokenAnswer {
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}
interface Review {
  readonly status: {
    readonly authenticated?: boolean;
    readonly error?: string;
    readonly audiences?: readonly string[];
    readonly user?: {
      readonly username?: string;
      readonly uid?: string;
      readonly groups?: readonly string[];
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>;

export function serviceAccounts({ api, withToken, anonymous, namespace }: Cluster): void {
  const account = (name: string, more: Readonly<Record<string, unknown>> = {}, labels = {}) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, labels },
    ...more,
  });
  const token = (ns: Namespace, name: string, spec: object): Promise<TokenAnswer> =>
    api.post<TokenAnswer>(ns.in('serviceaccounts', name, 'token'), { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec });
  const review = async (text: string, audiences?: readonly string[]): Promise<Review['status']> =>
    (
      await api.post<Review>('/apis/authentication.k8s.io/v1/tokenreviews', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: text, ...(audiences === undefined ? {} : { audiences }) },
      })
    ).status;

  describe('ServiceAccounts', () => {
    test('no secret-based service account token should be auto-generated', async () => {
      const ns = await namespace();
      const found = await eventually('the account is there', async () => {
        const { code, body } = await api.call<Obj & { secrets?: unknown }>('GET', ns.in('serviceaccounts', 'default'));
        return code === 200 ? body : undefined;
      });
      expect(found.secrets).toBeUndefined();
      expect((await api.get<List>(ns.in('secrets'))).items).toEqual([]);
    });

    test('should allow opting out of API token automount', async () => {
      const ns = await namespace();
      await api.post(ns.in('serviceaccounts'), account('mount', { automountServiceAccountToken: true }));
      await api.post(ns.in('serviceaccounts'), account('nomount', { automountServiceAccountToken: false }));
      await eventually('the default account is there', async () =>
        (await api.call('GET', ns.in('serviceaccounts', 'default'))).code === 200 ? true : undefined,
      );
      const rows: readonly [serviceAccountName: string, automount: boolean | undefined, mounted: boolean][] = [
        ['default', undefined, true],
        ['mount', undefined, true],
        ['nomount', undefined, false],
        ['default', true, true],
        ['mount', true, true],
        ['nomount', true, true],
        ['default', false, false],
        ['mount', false, false],
        ['nomount', false, false],
      ];
      for (const [i, [serviceAccountName, automount, mounted]] of rows.entries()) {
        const spec = { serviceAccountName, ...(automount === undefined ? {} : { automountServiceAccountToken: automount }) };
        const made = (await api.post(ns.in('pods'), pod(`pod-${i}`, spec))) as Obj & {
          spec: {
            containers: readonly { volumeMounts?: readonly { mountPath: string; readOnly?: boolean }[] }[];
            volumes?: readonly object[];
          };
        };
        const paths = made.spec.containers.flatMap((c) => c.volumeMounts ?? []).map((m) => `${m.mountPath} ${m.readOnly}`);
        expect({ row: rows[i], paths }).toEqual({
          row: rows[i],
          paths: mounted ? ['/var/run/secrets/kubernetes.io/serviceaccount true'] : [],
        });
        if (mounted)
          expect(made.spec.volumes).toMatchObject([
            {
              projected: {
                defaultMode: 0o644,
                sources: [
                  { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
                  { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
                  { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
                ],
              },
            },
          ]);
      }
    });

    test('ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer', async () => {
      const ns = await namespace();
      await api.post(ns.in('serviceaccounts'), account('reader'));
      const made = await token(ns, 'reader', { audiences: [] });
      // Any service account may read both documents; who is nobody may not.
      const client = withToken(made.status.token);
      const discovery = await client.get<{ issuer: string; jwks_uri: string; id_token_signing_alg_values_supported: readonly string[] }>(
        '/.well-known/openid-configuration',
      );
      expect(discovery.issuer).toBe(claimsOf(made.status.token)['iss']);
      const { keys } = await client.get<{ keys: readonly { kid: string; alg: string; use: string }[] }>('/openid/v1/jwks');
      const header = JSON.parse(Buffer.from(made.status.token.split('.')[0] ?? '', 'base64url').toString('utf8')) as {
        kid: string;
        alg: string;
      };
      expect(keys.map((k) => k.kid)).toContain(header.kid);
      expect(discovery.id_token_signing_alg_values_supported).toContain(header.alg);
      expect((await anonymous.call('GET', '/openid/v1/jwks')).code).toBe(403);
    });

    test('should run through the lifecycle of a ServiceAccount', async () => {
      const ns = await namespace();
      const label = { 'test-serviceaccount-static': ns.name };
      const selected = `labelSelector=test-serviceaccount-static%3D${ns.name}`;
      await using watch = await api.watch(`${ns.in('serviceaccounts')}?${selected}`);
      await api.post(ns.in('serviceaccounts'), account('testserviceaccount', {}, label));
      expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'testserviceaccount', labels: label } } });
      await api.patch(ns.in('serviceaccounts', 'testserviceaccount'), { automountServiceAccountToken: false }, 'strategic');
      expect(await watch.next()).toMatchObject({ type: 'MODIFIED', object: { automountServiceAccountToken: false } });
      expect((await api.get<List>(`/api/v1/serviceaccounts?${selected}`)).items).toMatchObject([{ automountServiceAccountToken: false }]);
      await api.del(`${ns.in('serviceaccounts')}?${selected}`);
      expect(await watch.next()).toMatchObject({ type: 'DELETED', object: { metadata: { name: 'testserviceaccount' } } });
    });

    test('should guarantee kube-root-ca.crt exist in any namespace', async () => {
      const ns = await namespace();
      const path = ns.in('configmaps', 'kube-root-ca.crt');
      const read = (): Promise<Obj & { data: Record<string, string> }> =>
        eventually('the ConfigMap is there', async () => {
          const { code, body } = await api.call<Obj & { data: Record<string, string> }>('GET', path);
          return code === 200 ? body : undefined;
        });
      const first = await read();
      expect(first.data['ca.crt']).toMatch(/^-----BEGIN CERTIFICATE-----/);
      await api.del(path);
      expect((await read()).metadata.uid).not.toBe(first.metadata.uid);
      await api.patch(path, { data: { 'ca.crt': '' } });
      await expect.poll(async () => (await read()).data).toEqual(first.data);
    });

    test('should update a ServiceAccount', async () => {
      const ns = await namespace();
      const made = await api.post(ns.in('serviceaccounts'), account('e2e-sa'));
      const path = ns.in('serviceaccounts', 'e2e-sa');
      expect(await api.put(path, { ...made, automountServiceAccountToken: true })).toMatchObject({ automountServiceAccountToken: true });
      expect(await api.get(path)).toMatchObject({ automountServiceAccountToken: true });
    });

    test('should create a serviceAccountToken and ensure a successful TokenReview', async () => {
      const ns = await namespace();
      const { metadata } = await api.post(ns.in('serviceaccounts'), account('e2e-sa'));
      const made = await token(ns, 'e2e-sa', { expirationSeconds: 3600 });
      const status = await review(made.status.token);
      const claims = claimsOf(made.status.token);
      expect(status).toMatchObject({
        authenticated: true,
        user: {
          username: `system:serviceaccount:${ns.name}:e2e-sa`,
          uid: metadata.uid,
          groups: ['system:serviceaccounts', `system:serviceaccounts:${ns.name}`, 'system:authenticated'],
          extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${String(claims['jti'])}`] },
        },
      });
      expect(status.error).toBeUndefined();
      expect(Date.parse(made.status.expirationTimestamp) / 1000).toBe(claims['exp']);
      expect(await review(made.status.token, ['elsewhere'])).toMatchObject({ error: expect.stringContaining('token audiences') as string });
      await api.del(ns.in('serviceaccounts', 'e2e-sa'));
      await expect.poll(async () => (await review(made.status.token)).authenticated ?? false).toBe(false);
    });

    test('should support InClusterConfig with token rotation', async () => {
      // In a pod upstream waits for the kubelet to rotate; to the server it is two tokens of one pod, both good while the pod is.
      const ns = await namespace();
      await api.post(ns.in('serviceaccounts'), account('rotating'));
      const { metadata } = await api.post(ns.in('pods'), pod('inclusterclient', { serviceAccountName: 'rotating' }));
      const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'inclusterclient', uid: metadata.uid };
      const [one, two] = [await token(ns, 'rotating', { boundObjectRef }), await token(ns, 'rotating', { boundObjectRef })];
      expect(one.status.token).not.toBe(two.status.token);
      for (const { status } of [one, two]) expect((await withToken(status.token).call('GET', '/apis')).code).toBe(200);
      await api.del(ns.in('pods', 'inclusterclient'), { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 });
      await expect.poll(async () => (await withToken(two.status.token).call('GET', '/apis')).code).toBe(401);
    });

    test('should set ownership and permission when RunAsUser or FsGroup is present: the volume asks for mode 0644', async () => {
      const ns = await namespace();
      await eventually('the default account is there', async () =>
        (await api.call('GET', ns.in('serviceaccounts', 'default'))).code === 200 ? true : undefined,
      );
      expect(await api.post(ns.in('pods'), pod('p', { securityContext: { runAsUser: 1000, fsGroup: 10_000 } }))).toMatchObject({
        spec: { volumes: [{ projected: { defaultMode: 0o644 } }] },
      });
    });
  });
}

/** test/e2e/auth/certificates.go */
import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import type { List, Obj } from '../client.ts';
import { type Cluster, unique } from '../cluster.ts';
import { certificateRequest } from '../integration/kinds.ts';

const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const roles = '/apis/rbac.authorization.k8s.io/v1';

interface Signed extends Obj {
  readonly spec: { readonly username: string };
  readonly status?: { readonly certificate?: string; readonly conditions?: readonly { readonly type: string }[] };
}

export function certificates({ api, withCertificate }: Cluster): void {
  const csr = (name: string, spec: object) => ({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec,
  });
  const approved = { type: 'Approved', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };

  describe('Certificates API [Privileged:ClusterAdmin]', () => {
    test('should support building a client with a CSR', async () => {
      const commonName = unique('tester');
      const { request, key } = certificateRequest(commonName);
      const signerName = 'kubernetes.io/kube-apiserver-client';
      const spec = { request, signerName, usages: ['digital signature', 'client auth'], expirationSeconds: 3600 };
      const rules = [{ verbs: ['create'], apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests'] }];
      const group = 'rbac.authorization.k8s.io';
      await api.post(`${roles}/clusterroles`, { apiVersion: `${group}/v1`, kind: 'ClusterRole', metadata: { name: commonName }, rules });
      await api.post(`${roles}/clusterrolebindings`, {
        apiVersion: `${group}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: { name: commonName },
        roleRef: { apiGroup: group, kind: 'ClusterRole', name: commonName },
        subjects: [{ apiGroup: group, kind: 'User', name: commonName }],
      });
      const made = await api.post<Signed>(requests, csr(commonName, spec));
      const path = `${requests}/${commonName}`;
      await api.put(`${path}/approval`, { ...made, status: { conditions: [approved] } });
      const certificate = await eventually('the certificate is signed', async () => (await api.get<Signed>(path)).status?.certificate);
      const pem = Buffer.from(certificate, 'base64');
      const x509 = new X509Certificate(pem);
      expect(x509.subject).toBe(`CN=${commonName}`);
      expect(Date.parse(x509.validTo) - Date.parse(x509.validFrom)).toBeLessThanOrEqual(65 * 60_000);
      const client = withCertificate(pem, key);
      const again = await client.post<Signed>(requests, csr(`${commonName}-again`, spec));
      expect(again.spec.username).toBe(commonName);
    });

    test('should support CSR API operations', async () => {
      const signerName = `example.com/${unique('signer')}`;
      const { resources } = await api.get<{ resources: readonly { name: string }[] }>('/apis/certificates.k8s.io/v1');
      expect(resources.map((r) => r.name)).toEqual(
        expect.arrayContaining(['', '/approval', '/status'].map((sub) => `certificatesigningrequests${sub}`)),
      );
      const spec = {
        request: certificateRequest('e2e.example.com').request,
        signerName,
        usages: ['digital signature', 'server auth'],
        expirationSeconds: 3600,
      };
      const template = { ...csr('', spec), metadata: { generateName: 'e2e-example-csr-' } };
      for (let i = 0; i < 2; i++) await api.post(requests, template);
      const made = await api.post<Signed>(requests, template);
      const path = `${requests}/${made.metadata.name}`;
      expect(await api.get(path)).toMatchObject({ metadata: { uid: made.metadata.uid }, spec: { expirationSeconds: 3600 } });
      const selected = `${requests}?fieldSelector=spec.signerName%3D${signerName}`;
      const list = await api.get<List>(selected);
      expect(list.items).toHaveLength(3);
      await using watch = await api.watch(
        `${requests}?fieldSelector=metadata.name%3D${made.metadata.name}&resourceVersion=${list.metadata.resourceVersion}`,
      );
      const patched = await api.patch(path, { metadata: { annotations: { patched: 'true' } } });
      const updated = await api.put(path, {
        ...patched,
        metadata: { ...patched.metadata, annotations: { patched: 'true', updated: 'true' } },
      });
      expect(updated.metadata.annotations).toEqual({ patched: 'true', updated: 'true' });
      expect(await watch.next()).toMatchObject({ type: 'MODIFIED', object: { metadata: { annotations: { patched: 'true' } } } });

      expect(await api.get(`${path}/approval`)).toMatchObject({ kind: 'CertificateSigningRequest', metadata: { uid: made.metadata.uid } });
      const condition = { type: 'ApprovalPatch', status: 'True', reason: 'e2e' };
      const approval = await api.patch<Signed>(`${path}/approval`, {
        metadata: { annotations: { patchedapproval: 'true' } },
        status: { conditions: [condition] },
      });
      expect(approval.status?.conditions?.map((c) => c.type)).toEqual(['ApprovalPatch']);
      expect(approval.metadata.annotations?.['patchedapproval']).toBe('true');
      const both = await api.put<Signed>(`${path}/approval`, {
        ...approval,
        status: { ...approval.status, conditions: [condition, approved] },
      });
      expect(both.status?.conditions?.map((c) => c.type)).toEqual(['ApprovalPatch', 'Approved']);

      expect(await api.get(`${path}/status`)).toMatchObject({ kind: 'CertificateSigningRequest', metadata: { uid: made.metadata.uid } });
      const certificate =
        (await api.get<{ data: Record<string, string> }>('/api/v1/namespaces/default/configmaps/kube-root-ca.crt')).data['ca.crt'] ?? '';
      const encoded = Buffer.from(certificate).toString('base64');
      const status = await api.patch<Signed>(`${path}/status`, {
        metadata: { annotations: { patchedstatus: 'true' } },
        status: { certificate: encoded },
      });
      expect(status.status?.certificate).toBe(encoded);
      expect(status.metadata.annotations?.['patchedstatus']).toBe('true');
      const conditions = [
        ...(status.status?.conditions ?? []),
        { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from an e2e test' },
      ];
      const last = await api.put<Signed>(`${path}/status`, { ...status, status: { ...status.status, conditions } });
      expect(last.status?.conditions?.at(-1)?.type).toBe('StatusUpdate');

      await api.del(path);
      expect((await api.call('GET', path)).code).toBe(404);
      expect((await api.get<List>(selected)).items).toHaveLength(2);
      await api.del(selected);
      expect((await api.get<List>(selected)).items).toEqual([]);
    });
  });
}

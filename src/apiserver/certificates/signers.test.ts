import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { autoApproval, signerNames, validateRequest } from '#kube/certificate-requests.ts';
import type { CertificateSigningRequest } from '#kube/generated/certificates-v1.ts';
import { createRequest, issueCertificate, noAltNames } from '#lib/x509.ts';
import type { AdmissionRequest, Authorize } from '../contract.ts';
import { certificatePlugins } from './admission.ts';
import { certificateSigners } from './signers.ts';

const now = new Date('2026-01-01T00:00:00Z');
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
function authority(commonName: string) {
  const key = newKey();
  const subject = { commonName, organizations: [] };
  const dates = { notBefore: now, notAfter: new Date(now.getTime() + 1e12) };
  return { key, certPem: issueCertificate({ subject, publicKey: createPublicKey(key), ...dates, ca: true }, { key }) };
}
const clientCa = authority('client');
const serverCa = authority('server');
const signers = certificateSigners({ clientCa: () => clientCa, serverCa: () => serverCa });
const clientUsages = ['digital signature', 'key encipherment', 'client auth'];
const servingUsages = ['digital signature', 'server auth'];
const node = { commonName: 'system:node:n1', organizations: ['system:nodes'] };

const sign = (signerName: string, csrPem: string, usages: readonly string[], durationSeconds?: number) =>
  signers.find((s) => s.signerName === signerName)?.sign({ csrPem, usages, durationSeconds, now }) as Promise<string>;

describe('signers', () => {
  test('a client of the API server gets what it asked for, for as long as it asked', async () => {
    const csr = createRequest(newKey(), { commonName: 'alice', organizations: ['dev'] });
    const cert = new X509Certificate(await sign(signerNames.apiServerClient, csr, clientUsages, 3600));
    expect(cert.subject).toBe('O=dev\nCN=alice');
    expect(cert.verify(new X509Certificate(clientCa.certPem).publicKey)).toBe(true);
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(Date.parse(cert.validTo) - now.getTime()).toBe(3600_000 - 300_000);
  });
  test('a kubelet gets its serving certificate from the server authority', async () => {
    const csr = createRequest(newKey(), node, { ...noAltNames, ip: ['10.0.0.1'] });
    const cert = new X509Certificate(await sign(signerNames.kubeletServing, csr, servingUsages));
    expect(cert.checkIP('10.0.0.1')).toBe('10.0.0.1');
    expect(cert.verify(new X509Certificate(serverCa.certPem).publicKey)).toBe(true);
  });
  test.each([
    [signerNames.apiServerClient, createRequest(newKey(), node), ['server auth', 'client auth'], 'not allowed'],
    [signerNames.kubeletClient, createRequest(newKey(), { ...node, organizations: [] }), clientUsages, 'organization'],
    [signerNames.kubeletClient, createRequest(newKey(), { ...node, commonName: 'n1' }), clientUsages, 'common name'],
    [signerNames.kubeletClient, createRequest(newKey(), node, { ...noAltNames, dns: ['x'] }), clientUsages, 'DNS subjectAltNames'],
    [signerNames.kubeletServing, createRequest(newKey(), node), servingUsages, 'DNS or IP subjectAltName is required'],
    [signerNames.kubeletServing, createRequest(newKey(), node, { ...noAltNames, dns: ['x'] }), clientUsages, 'usages did not match'],
  ])('%s refuses what is not for it', async (name, csr, usages, message) => {
    await expect(sign(name, csr, usages)).rejects.toThrow(message);
  });
});

const object = (spec: Partial<CertificateSigningRequest['spec']>): CertificateSigningRequest => ({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { name: 'c' },
  spec: {
    request: Buffer.from(createRequest(newKey(), node)).toString('base64'),
    signerName: signerNames.kubeletClient,
    usages: clientUsages,
    ...spec,
  },
});

test('requests of kubelets are told apart: a new node, a node for itself, anything else', () => {
  expect(autoApproval(object({ username: 'system:bootstrap:abcdef' }))?.subresource).toBe('nodeclient');
  expect(autoApproval(object({ username: 'system:node:n1' }))?.subresource).toBe('selfnodeclient');
  expect(autoApproval(object({ signerName: signerNames.kubeletServing }))).toBeUndefined();
  expect(autoApproval(object({ request: 'x' }))).toBeUndefined();
});

test('validation names every bad field', () => {
  expect(validateRequest(object({}))).toEqual([]);
  const errors = validateRequest(object({ request: 'x', usages: [], signerName: 'nosuch', expirationSeconds: 5 }));
  expect(errors.map((e) => e.field)).toEqual(['spec.request', 'spec.usages', 'spec.signerName', 'spec.expirationSeconds']);
});

describe('admission', () => {
  const plugins = certificatePlugins(((a) => ({
    decision: a.name === signerNames.kubeletClient || a.name === 'example.com/*' ? 'allow' : 'noOpinion',
    reason: '',
  })) satisfies Authorize);
  const run = async (more: Partial<AdmissionRequest>): Promise<void> => {
    const request = {
      operation: 'UPDATE',
      subresource: 'approval',
      def: { ref: { group: 'certificates.k8s.io', plural: 'certificatesigningrequests' } },
      name: 'c',
      user: { name: 'u', groups: [] },
      signal: new AbortController().signal,
      ...more,
    } as AdmissionRequest;
    for (const p of plugins) if (p.handles(request)) await p.validate?.(request);
  };
  test('approval needs the right on the signer or its domain', async () => {
    await run({ oldObject: object({}) });
    await run({ oldObject: object({ signerName: 'example.com/x' }) });
    await expect(run({ oldObject: object({ signerName: 'other.com/x' }) })).rejects.toMatchObject({
      code: 403,
      message: expect.stringContaining('user not permitted to approve requests with signerName "other.com/x"'),
    });
  });
  test('nobody asks for system:masters', async () => {
    const request = Buffer.from(createRequest(newKey(), { commonName: 'x', organizations: ['system:masters'] })).toString('base64');
    const csr = object({ request, signerName: signerNames.apiServerClient });
    await expect(run({ operation: 'CREATE', subresource: '', object: csr as never })).rejects.toMatchObject({ code: 403 });
  });
});

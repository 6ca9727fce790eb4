import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { certificateSigningRequests } from '#kube/refs.ts';
import { createRequest, issueCertificate, readRequest } from '#lib/x509.ts';
import { certificateController } from './certificate-requests.ts';
import { startCluster } from './testing.ts';

const signerName = 'example.com/test';
const request = (): string => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return Buffer.from(createRequest(privateKey, { commonName: 'me', organizations: [] })).toString('base64');
};
const csr = (name: string, signer = signerName) => ({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { name },
  spec: { request: request(), signerName: signer, usages: ['client auth'], expirationSeconds: 3600 },
});
const csrSigners = [
  {
    signerName,
    sign: async ({ csrPem, durationSeconds }: { csrPem: string; durationSeconds: number | undefined }) => {
      if (durationSeconds !== 3600) throw new Error('no such life');
      const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const dates = { notBefore: new Date(0), notAfter: new Date(3_600_000) };
      return issueCertificate({ ...dates, publicKey, subject: readRequest(csrPem).subject }, { key });
    },
  },
];

test('a request is signed once it is approved, by the signer that it names', async () => {
  await using cluster = await startCluster([certificateController], { csrSigners });
  for (const made of [csr('mine'), csr('foreign', 'example.com/other')]) {
    await cluster.client.create(certificateSigningRequests, made);
    await cluster.settle();
    const fresh = await cluster.client.get(certificateSigningRequests, { name: made.metadata.name });
    expect(fresh.status?.certificate).toBeUndefined();
    const conditions = [{ type: 'Approved', status: 'True', reason: 'Test' }];
    await cluster.client.update(certificateSigningRequests, { ...fresh, status: { conditions } }, { subresource: 'approval' });
    await cluster.settle();
  }
  const text = (await cluster.get(certificateSigningRequests, 'mine'))?.status?.certificate ?? '';
  expect(new X509Certificate(Buffer.from(text, 'base64')).subject).toBe('CN=me');
  expect((await cluster.get(certificateSigningRequests, 'foreign'))?.status?.certificate).toBeUndefined();
});

test('a signer that refuses leaves the condition Failed', async () => {
  await using cluster = await startCluster([certificateController], { csrSigners });
  const made = await cluster.client.create(certificateSigningRequests, {
    ...csr('bad'),
    spec: { ...csr('bad').spec, expirationSeconds: 7200 },
  });
  const conditions = [{ type: 'Approved', status: 'True', reason: 'Test' }];
  await cluster.client.update(certificateSigningRequests, { ...made, status: { conditions } }, { subresource: 'approval' });
  await cluster.settle();
  expect((await cluster.get(certificateSigningRequests, 'bad'))?.status?.conditions?.find((c) => c.type === 'Failed')).toMatchObject({
    status: 'True',
    reason: 'SignerValidationFailure',
    message: 'no such life',
  });
});

test('requests go away: undecided ones after a day, signed ones after an hour', async () => {
  await using cluster = await startCluster([certificateController], { csrSigners });
  await cluster.client.create(certificateSigningRequests, csr('waiting'));
  const made = await cluster.client.create(certificateSigningRequests, csr('signed'));
  const conditions = [{ type: 'Approved', status: 'True', reason: 'Test' }];
  await cluster.client.update(certificateSigningRequests, { ...made, status: { conditions } }, { subresource: 'approval' });
  await cluster.pass(3_605_000);
  expect(await cluster.names(certificateSigningRequests)).toEqual(['waiting']);
  await cluster.pass(23 * 3_600_000);
  expect(await cluster.names(certificateSigningRequests)).toEqual([]);
});

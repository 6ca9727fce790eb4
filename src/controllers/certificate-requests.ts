/** Approves kubelets' certificate requests, signs approved ones and clears old ones away: k8s.io/kubernetes pkg/controller/certificates. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import { autoApproval } from '#kube/certificate-requests.ts';
import type { SubjectAccessReview } from '#kube/generated/authorization-v1.ts';
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '#kube/generated/certificates-v1.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import { certificateSigningRequests, subjectAccessReviews } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { textOf } from './pod-control.ts';
import { isoTime, msOf } from './times.ts';

const name = 'certificate-controller';
const hourMs = 3_600_000;

type StoredCsr = Stored<CertificateSigningRequest>;

const hasCondition = (csr: StoredCsr, type: string): boolean =>
  csr.status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;
const isDecided = (csr: StoredCsr): boolean => hasCondition(csr, 'Approved') || hasCondition(csr, 'Denied');

/** How long a request is kept after what has become of it: pkg/controller/certificates/cleaner. */
function keptUntil(csr: StoredCsr): number {
  const since = (type: string): number => {
    const c = csr.status?.conditions?.find((one) => one.type === type);
    return msOf(c?.lastUpdateTime ?? csr.metadata.creationTimestamp);
  };
  for (const type of ['Denied', 'Failed']) if (hasCondition(csr, type)) return since(type) + hourMs;
  if (hasCondition(csr, 'Approved')) return since('Approved') + hourMs;
  return msOf(csr.metadata.creationTimestamp) + 24 * hourMs;
}

function create({ client, informers, clock, log, config }: ControllerDeps) {
  const all = informers.informer(certificateSigningRequests);
  const condition = (type: string, reason: string, message: string): CertificateSigningRequestCondition => {
    const at = isoTime(clock.now());
    return { type, status: 'True', reason, message, lastUpdateTime: at, lastTransitionTime: at };
  };
  const withCondition = (csr: StoredCsr, one: CertificateSigningRequestCondition) => ({
    ...csr.status,
    conditions: [...(csr.status?.conditions ?? []), one],
  });

  const approve = async (csr: StoredCsr, signal: AbortSignal): Promise<StoredCsr> => {
    const approval = autoApproval(csr);
    if (approval === undefined) return csr;
    const review: SubjectAccessReview = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: {
        user: csr.spec.username ?? '',
        groups: csr.spec.groups ?? [],
        ...(csr.spec.uid === undefined ? {} : { uid: csr.spec.uid }),
        ...(csr.spec.extra === undefined ? {} : { extra: csr.spec.extra }),
        resourceAttributes: {
          group: 'certificates.k8s.io',
          resource: 'certificatesigningrequests',
          verb: 'create',
          subresource: approval.subresource,
          version: '*',
        },
      },
    };
    const answer = await client.create(subjectAccessReviews, review, { signal });
    if (answer.status?.allowed !== true) return csr;
    const status = withCondition(csr, condition('Approved', 'AutoApproved', approval.message));
    return client.update(certificateSigningRequests, { ...csr, status }, { subresource: 'approval', signal });
  };

  const sign = async (csr: StoredCsr, signal: AbortSignal): Promise<void> => {
    const signer = config.csrSigners.find((s) => s.signerName === csr.spec.signerName);
    if (signer === undefined) return;
    let status: CertificateSigningRequest['status'] & object;
    try {
      const certificate = await signer.sign({
        csrPem: Buffer.from(csr.spec.request, 'base64').toString('utf8'),
        usages: csr.spec.usages ?? [],
        durationSeconds: csr.spec.expirationSeconds,
        now: new Date(clock.now()),
      });
      status = { ...csr.status, certificate: Buffer.from(certificate).toString('base64') };
    } catch (error) {
      log.warn('certificate request refused', { name: csr.metadata.name, error });
      status = withCondition(csr, condition('Failed', 'SignerValidationFailure', textOf(error)));
    }
    await client.update(certificateSigningRequests, { ...csr, status }, { subresource: 'status', signal });
  };

  const reconciler = createReconciler(
    { clock, log },
    {
      name,
      sources: [all],
      keys: () => all.keys(),
      reconcile: async (key, signal): Promise<Requeue> => {
        let csr = all.get(key);
        if (csr === undefined) return undefined;
        const left = keptUntil(csr) - clock.now();
        try {
          if (left <= 0) {
            await client.delete(certificateSigningRequests, { name: key }, undefined, { signal });
            return undefined;
          }
          if (!isDecided(csr)) csr = await approve(csr, signal);
          const open = hasCondition(csr, 'Approved') && !hasCondition(csr, 'Failed') && !hasCondition(csr, 'Denied');
          if (open && (csr.status?.certificate ?? '') === '') await sign(csr, signal);
        } catch (error) {
          if (isStatus(error, 'NotFound')) return undefined;
          throw error;
        }
        return left;
      },
    },
  );
  all.addHandler({ added: (csr) => reconciler.queue.add(objectKey(csr)), updated: (csr) => reconciler.queue.add(objectKey(csr)) });
  return [reconciler];
}

export const certificateController: ControllerDef = { name, create };

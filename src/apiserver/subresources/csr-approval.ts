/** certificatesigningrequests/approval: conditions Approved, Denied and Failed. pkg/registry/certificates/certificates strategy. */
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '#kube/generated/certificates-v1.ts';
import { timestamp } from '../core.ts';
import type { UpdatePart } from '../verbs/write.ts';
import { restoreBody } from './status.ts';

type Status = { conditions?: CertificateSigningRequestCondition[] };

export const approvalPart: UpdatePart = {
  restrict: (draft, old, context) => {
    const sent = ((draft['status'] ?? {}) as Status).conditions;
    const now = timestamp(context.now.getTime());
    const before = (old as unknown as CertificateSigningRequest).status?.conditions ?? [];
    restoreBody(draft, old, '');
    const status = (draft['status'] ?? {}) as Status;
    draft['status'] = status;
    if (sent === undefined) {
      delete status.conditions;
      return;
    }
    status.conditions = sent.map((c) => {
      const same = before.find((b) => b.type === c.type && b.status === c.status);
      return {
        ...c,
        lastUpdateTime: c.lastUpdateTime ?? now,
        lastTransitionTime: c.lastTransitionTime ?? same?.lastTransitionTime ?? now,
      };
    });
  },
};

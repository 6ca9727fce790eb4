/** certificatesigningrequests/approval: conditions Approved, Denied and Failed. pkg/registry/certificates/certificates strategy. */
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '#kube/generated/certificates-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { timestamp } from '../core.ts';
import type { UpdatePart } from '../verbs/write.ts';
import { restoreBody } from './status.ts';

type Status = { conditions?: CertificateSigningRequestCondition[] };

const has = (conditions: readonly CertificateSigningRequestCondition[], type: string): boolean => conditions.some((c) => c.type === type);

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
  validate: (object, old) => {
    const errors: FieldError[] = [];
    const before = (old as unknown as CertificateSigningRequest).status?.conditions ?? [];
    const now = (object as unknown as CertificateSigningRequest).status?.conditions ?? [];
    for (const type of ['Approved', 'Denied', 'Failed'])
      if (has(before, type) && !has(now, type))
        errors.push({
          field: 'status.conditions',
          type: 'FieldValueForbidden',
          message: `Forbidden: updates may not remove a condition of type ${JSON.stringify(type)}`,
        });
    if (has(now, 'Approved') && has(now, 'Denied'))
      errors.push({
        field: 'status.conditions',
        type: 'FieldValueInvalid',
        message: 'Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
      });
    for (const [i, c] of now.entries())
      if (c.status !== 'True' && (c.type === 'Approved' || c.type === 'Denied' || c.type === 'Failed'))
        errors.push({
          field: `status.conditions[${i}].status`,
          type: 'FieldValueNotSupported',
          message: `Unsupported value: ${JSON.stringify(c.status)}: supported values: "True"`,
        });
    return errors;
  },
};

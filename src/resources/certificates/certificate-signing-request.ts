import type { CertificateSigningRequest } from '#kube/generated/certificates-v1.ts';
import { certificateSigningRequests } from '#kube/refs.ts';
import { defineKind, type Mutable } from '../define.ts';
import { ageColumn, ageOf, column, humanDuration, nameColumn, orNone } from '../print.ts';
import {
  validateSigningRequest,
  validateSigningRequestApproval,
  validateSigningRequestStatus,
  validateSigningRequestUpdate,
} from './validation.ts';

function conditionText(request: CertificateSigningRequest): string {
  const has = (type: string): boolean => request.status?.conditions?.some((c) => c.type === type) === true;
  const decided = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return `${decided}${has('Failed') ? ',Failed' : ''}${(request.status?.certificate ?? '') === '' ? '' : ',Issued'}`;
}

export const certificateSigningRequestKind = defineKind(certificateSigningRequests, {
  validate: validateSigningRequest,
  validateUpdate: validateSigningRequestUpdate,
  validateStatusUpdate: validateSigningRequestStatus,
  validateParts: { approval: validateSigningRequestApproval },
  hasStatus: true,
  createOnUpdate: true,
  subresources: ['approval'],
  prepareForCreate: (object, { user }) => {
    const { extra: _extra, uid: _uid, groups: _groups, ...spec } = object.spec;
    object.spec = {
      ...spec,
      username: user.name,
      ...(user.uid === undefined || user.uid === '' ? {} : { uid: user.uid }),
      ...(user.groups.length === 0 ? {} : { groups: [...user.groups] }),
      ...(user.extra === undefined || Object.keys(user.extra).length === 0
        ? {}
        : { extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])) }),
    };
  },
  prepareForUpdate: (object, old) => {
    object.spec = structuredClone(old.spec) as Mutable<typeof old.spec>;
  },
  prepareForStatusUpdate: (object, old, context) => {
    for (const condition of object.status?.conditions ?? []) {
      const before = old.status?.conditions?.find((c) => c.type === condition.type);
      condition.lastUpdateTime ??= context.now.toISOString().replace(/\.\d+Z$/, 'Z');
      condition.lastTransitionTime ??= before?.lastTransitionTime ?? context.now.toISOString().replace(/\.\d+Z$/, 'Z');
    }
  },
  selectableFields: { 'spec.signerName': (object) => object.spec.signerName },
  table: {
    columns: [
      nameColumn,
      ageColumn,
      column('SignerName', 'Who is asked to sign.'),
      column('Requestor', 'Who asks.'),
      column('RequestedDuration', 'For how long the certificate is to be valid.'),
      column('Condition', 'What has been decided.'),
    ],
    cells: (object, now) => [
      object.metadata.name ?? '',
      ageOf(object, now),
      orNone(object.spec.signerName),
      object.spec.username ?? '',
      object.spec.expirationSeconds === undefined ? '<none>' : humanDuration(object.spec.expirationSeconds * 1000),
      conditionText(object),
    ],
  },
});

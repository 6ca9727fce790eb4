/** Whether a definition in a group of the Kubernetes community is approved: k8s.io/apiextensions-apiserver pkg/apihelpers. */
import type { CustomResourceDefinition } from '../generated/apiextensions-v1.ts';

export const approvalAnnotation = 'api-approved.kubernetes.io';

export interface Approval {
  readonly state: 'Approved' | 'Unapproved' | 'Missing' | 'Invalid';
  readonly message: string;
}

const isProtected = (group: string): boolean =>
  ['k8s.io', 'kubernetes.io'].some((domain) => group === domain || group.endsWith(`.${domain}`));

const seeAlso = 'see https://github.com/kubernetes/enhancements/pull/1111';

/** Undefined for groups that need no approval. */
export function approvalOf(crd: CustomResourceDefinition): Approval | undefined {
  if (!isProtected(crd.spec.group)) return undefined;
  const text = crd.metadata.annotations?.[approvalAnnotation] ?? '';
  const must = `protected groups must have approval annotation "${approvalAnnotation}"`;
  if (text === '') return { state: 'Missing', message: `${must}, ${seeAlso}` };
  if (text.startsWith('unapproved')) return { state: 'Unapproved', message: `not approved: ${JSON.stringify(text)}` };
  if (URL.canParse(text) && new URL(text).host !== '') return { state: 'Approved', message: `approved in ${text}` };
  return { state: 'Invalid', message: `${must} with either a URL or a reason starting with "unapproved", ${seeAlso}` };
}

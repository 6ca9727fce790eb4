/** What admission plugins have in common: asking what a request is about, and refusing it. */
import { put } from '#kube/json-value.ts';
import type { Draft } from '#kube/kind.ts';
import { forbidden, type StatusError } from '#kube/status-error.ts';
import type { AdmissionOperation, AdmissionRequest } from '../contract.ts';

/** True for the main resource (no subresource) of the given group and plural, on one of the operations. */
export function isResource(r: AdmissionRequest, group: string, plural: string, ...operations: readonly AdmissionOperation[]): boolean {
  const { ref } = r.def;
  return (
    r.subresource === '' && ref.plural === plural && ref.group === group && (operations.length === 0 || operations.includes(r.operation))
  );
}

export const isPod = (r: AdmissionRequest, ...operations: readonly AdmissionOperation[]): boolean =>
  isResource(r, '', 'pods', ...operations);

export const isNamespace = (r: AdmissionRequest): boolean => r.def.ref.group === '' && r.def.ref.plural === 'namespaces';

/** The namespace that a request is in. A namespace counts as being in itself, as upstream has it. */
export const namespaceOf = (r: AdmissionRequest): string => (isNamespace(r) ? r.name || (r.object?.metadata.name ?? '') : r.namespace);

/** The name that a refusal shows: generateName or "Unknown" where there is no name yet (admission.NewForbidden). */
function displayName(r: AdmissionRequest): string {
  if (r.name !== '') return r.name;
  // The options of a connection have no metadata.
  const { name, generateName } = (r.object?.metadata as Draft['metadata'] | undefined) ?? {};
  return name || generateName || 'Unknown';
}

/** 403 with upstream's `pods "x" is forbidden: why`. */
export const denied = (r: AdmissionRequest, why: string): StatusError => forbidden(r.def.ref, displayName(r), why);

/** The body of a request as the type that its schema has been checked against. */
export const objectAs = <T>(r: AdmissionRequest): T => r.object as unknown as T;
export const oldObjectAs = <T>(r: AdmissionRequest): T => r.oldObject as unknown as T;

export const mirrorPodAnnotation = 'kubernetes.io/config.mirror';

/** Replaces what is in a draft, which others hold on to, by what is in another. */
export function become(draft: Draft, next: object): void {
  for (const key of Object.keys(draft)) if (!Object.hasOwn(next, key)) delete draft[key];
  for (const [key, value] of Object.entries(next)) put(draft, key, value);
}

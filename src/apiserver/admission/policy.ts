/** What validating and mutating admission policies share: bindings, parameters, compilation kept with the policy. */
import type { LabelSelector } from '#kube/generated/meta-v1.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { splitApiVersion } from '#kube/refs.ts';
import { fromLabelSelector, matchesLabels } from '#kube/selector.ts';
import type { AdmissionRequest, ObjectReader } from '../contract.ts';

export interface ParamRef {
  readonly name?: string;
  readonly namespace?: string;
  readonly selector?: LabelSelector;
  readonly parameterNotFoundAction?: string;
}

/** A policy or binding that cannot be used as it is written. */
export class PolicyConfigurationError extends Error {}

/**
 * The parameters of a binding for a request: one evaluation for each. `[undefined]`: the policy takes none. An empty list: none were
 * found and that is fine. Throws PolicyConfigurationError.
 */
export function parametersOf(
  objects: Pick<ObjectReader, 'get' | 'list' | 'kindOf'>,
  request: AdmissionRequest,
  paramKind: { readonly apiVersion?: string; readonly kind?: string } | undefined,
  ref: ParamRef | undefined,
): readonly (Stored | undefined)[] {
  if (paramKind === undefined) return [undefined];
  const { group, version } = splitApiVersion(paramKind.apiVersion ?? '');
  const def = objects.kindOf(group, version, paramKind.kind ?? '');
  if (def === undefined)
    throw new PolicyConfigurationError(`failed to find resource referenced by paramKind: '${group}/${version}, Kind=${paramKind.kind}'`);
  if (ref === undefined) return [undefined];
  const namespace = def.ref.namespaced ? (ref.namespace ?? request.namespace) : '';
  if (def.ref.namespaced && namespace === '') {
    throw new PolicyConfigurationError('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');
  }
  const selector = fromLabelSelector(ref.selector);
  const found: readonly (Stored | undefined)[] =
    ref.name === undefined
      ? objects.list<KubeObject>(def.ref, namespace).filter((o) => matchesLabels(selector, o.metadata.labels))
      : [objects.get<KubeObject>(def.ref, namespace, ref.name)];
  const present = found.filter((o) => o !== undefined);
  if (present.length === 0 && ref.parameterNotFoundAction !== 'Allow') {
    throw new PolicyConfigurationError('no params found for policy binding with `Deny` parameterNotFoundAction');
  }
  return present;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

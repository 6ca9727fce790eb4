/** Which container of which pod on which node a request means: pkg/registry/core/pod/strategy.go. */
import type { Pod } from '#kube/generated/core-v1.ts';
import { pods } from '#kube/refs.ts';
import { badRequest, notFound } from '#kube/status-error.ts';
import type { SubresourceRequest } from '../contract.ts';

const names = (list: readonly { readonly name: string }[] | undefined): readonly string[] => (list ?? []).map((c) => c.name);

/** The one container of a pod, or the named one. Throws StatusError BadRequest with upstream's words. */
export function containerOf(pod: Pod, asked: string): string {
  const podName = pod.metadata.name ?? '';
  const own = names(pod.spec?.containers);
  const init = names(pod.spec?.initContainers);
  const ephemeral = names(pod.spec?.ephemeralContainers);
  if (asked !== '') {
    if ([...own, ...init, ...ephemeral].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${podName}`);
  }
  if (own.length === 1) return own[0] ?? '';
  if (own.length === 0) throw badRequest(`a container name must be specified for pod ${podName}`);
  const more = [
    ...(init.length === 0 ? [] : [` or one of the init containers: [${init.join(' ')}]`]),
    ...(ephemeral.length === 0 ? [] : [` or one of the ephemeral containers: [${ephemeral.join(' ')}]`]),
  ];
  throw badRequest(`a container name must be specified for pod ${podName}, choose one of: [${own.join(' ')}]${more.join('')}`);
}

export interface PodTarget {
  readonly pod: Pod;
  readonly node: string;
}

/** Throws StatusError NotFound, or BadRequest for a pod that no node has. */
export function podTarget(request: SubresourceRequest): PodTarget {
  const pod = request.store.get(pods, request.namespace, request.name);
  if (pod === undefined) throw notFound({ group: '', plural: 'pods' }, request.name);
  const node = pod.spec?.nodeName ?? '';
  if (node === '') throw badRequest(`pod ${request.name} does not have a host assigned`);
  return { pod, node };
}

/** A query flag as upstream reads it. */
export const flag = (query: URLSearchParams, name: string): boolean =>
  ['true', '1', 't', 'T', 'TRUE', 'True'].includes(query.get(name) ?? '');

/** Values of a pod's own fields, for variables and downward API files: pkg/fieldpath and pkg/api/v1/resource upstream. */
import type { Container, ObjectFieldSelector, Pod, ResourceFieldSelector } from '#kube/generated/core-v1.ts';
import { bytesValue, milliValue, parseQuantity, scaledQuantity } from '#kube/quantity.ts';

/** What a pod may learn about where it runs. */
export interface NodeFacts {
  readonly name: string;
  readonly ips: readonly string[];
  /** Stands in for limits that a container does not have. */
  readonly allocatable: Readonly<Record<string, string>>;
}

const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/;

const quoted = (map: Readonly<Record<string, string>> | undefined): string =>
  Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');

/** The value of a field, or an error with upstream's text. `podIps` are those of the sandbox, known before the status is written. */
export function fieldValue(ref: ObjectFieldSelector, pod: Pod, node: NodeFacts, podIps: readonly string[]): string {
  const { metadata, spec } = pod;
  const path = ref.fieldPath;
  const match = subscript.exec(path);
  if (match !== null) return metadata[match[1] === 'labels' ? 'labels' : 'annotations']?.[match[2] ?? ''] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return quoted(metadata.labels);
    case 'metadata.annotations':
      return quoted(metadata.annotations);
    case 'spec.nodeName':
      return spec?.nodeName ?? node.name;
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? '';
    case 'status.hostIP':
      return node.ips[0] ?? '';
    case 'status.hostIPs':
      return node.ips.join(',');
    case 'status.podIP':
      return podIps[0] ?? '';
    case 'status.podIPs':
      return podIps.join(',');
    default:
      throw new Error(`unsupported fieldPath: ${path}`);
  }
}

/** The value of a container's request or limit, divided and rounded up. */
export function resourceValue(ref: ResourceFieldSelector, container: Container, node: NodeFacts): string {
  const dot = ref.resource.indexOf('.');
  const kind = ref.resource.slice(0, dot);
  const name = ref.resource.slice(dot + 1);
  const { limits, requests } = container.resources ?? {};
  const allocatable = node.allocatable[name];
  const value =
    kind === 'limits' ? (limits?.[name] ?? allocatable) : kind === 'requests' ? (requests?.[name] ?? limits?.[name] ?? 0) : undefined;
  const known = name === 'cpu' || name === 'memory' || name === 'ephemeral-storage' || name.startsWith('hugepages-');
  if (value === undefined || !known) throw new Error(`unsupported container resource : ${ref.resource}`);
  const divisor = ref.divisor === undefined || ref.divisor === '' || quantityIsZero(ref.divisor) ? '1' : ref.divisor;
  if (name === 'cpu') return String(Math.ceil(milliValue(value) / milliValue(divisor)));
  return String(Math.ceil(bytesValue(value) / Number(scaledQuantity(parseQuantity(divisor), 0))));
}

const quantityIsZero = (q: string | number): boolean => parseQuantity(q).value === 0n;

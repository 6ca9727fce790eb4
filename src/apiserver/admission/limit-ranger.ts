/** Default and enforced limits of containers, pods and claims (k8s.io/kubernetes plugin/pkg/admission/limitranger). */
import type { Container, LimitRange, PersistentVolumeClaim, Pod, PodSpec } from '#kube/generated/core-v1.ts';
import { limitRanges } from '#kube/refs.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied, isPod, isResource, objectAs } from './attributes.ts';
import { limitErrors } from './limit-constraints.ts';

type Item = NonNullable<LimitRange['spec']>['limits'][number];
type Amounts = Readonly<Record<string, string | number>>;

const annotation = 'kubernetes.io/limit-ranger';

/** The defaults that all ranges of a namespace give to containers; of several, the first to say something about a resource. */
function containerDefaults(ranges: readonly LimitRange[]): { limits: Amounts; requests: Amounts } {
  const limits: Record<string, string | number> = {};
  const requests: Record<string, string | number> = {};
  for (const range of ranges) {
    for (const item of range.spec?.limits ?? []) {
      if (item.type !== 'Container') continue;
      for (const [name, amount] of Object.entries(item.default ?? {})) limits[name] ??= amount;
      for (const [name, amount] of Object.entries(item.defaultRequest ?? {})) requests[name] ??= amount;
    }
  }
  return { limits, requests };
}

interface Filled {
  readonly container: Container;
  readonly notes: readonly string[];
}

function fill(container: Container, defaults: { limits: Amounts; requests: Amounts }, kind: string): Filled {
  const { limits = {}, requests = {} } = container.resources ?? {};
  const missing = (given: Amounts, wanted: Amounts): string[] => Object.keys(wanted).filter((name) => given[name] === undefined);
  const newRequests = missing(requests, defaults.requests);
  const newLimits = missing(limits, defaults.limits);
  if (newRequests.length === 0 && newLimits.length === 0) return { container, notes: [] };
  const notes: string[] = [];
  if (newRequests.length > 0) notes.push(`${newRequests.sort().join(', ')} request for ${kind} ${container.name}`);
  if (newLimits.length > 0) notes.push(`${newLimits.sort().join(', ')} limit for ${kind} ${container.name}`);
  const resources = {
    ...container.resources,
    ...(newLimits.length > 0 || Object.keys(limits).length > 0 ? { limits: { ...defaults.limits, ...limits } } : {}),
    ...(newRequests.length > 0 || Object.keys(requests).length > 0 ? { requests: { ...defaults.requests, ...requests } } : {}),
  };
  return { container: { ...container, resources }, notes };
}

function admitPod(r: AdmissionRequest, ranges: readonly LimitRange[]): void {
  const { spec } = objectAs<Pod>(r);
  if (r.object === undefined || spec === undefined) return;
  const defaults = containerDefaults(ranges);
  const containers = spec.containers.map((c) => fill(c, defaults, 'container'));
  const initContainers = spec.initContainers?.map((c) => fill(c, defaults, 'init container'));
  const notes = [...containers, ...(initContainers ?? [])].flatMap((f) => f.notes);
  if (notes.length === 0) return;
  const next: PodSpec = {
    ...spec,
    containers: containers.map((f) => f.container),
    ...(initContainers === undefined ? {} : { initContainers: initContainers.map((f) => f.container) }),
  };
  r.object['spec'] = next;
  const annotations = { ...r.object.metadata.annotations, [annotation]: `LimitRanger plugin set: ${notes.join('; ')}` };
  r.object.metadata = { ...r.object.metadata, annotations };
}

const isOfPod = (r: AdmissionRequest): boolean => r.def.ref.group === '' && r.def.ref.plural === 'pods';
const isResize = (r: AdmissionRequest): boolean => isOfPod(r) && r.subresource === 'resize' && r.operation === 'UPDATE';

function itemErrors(r: AdmissionRequest, item: Item): string[] {
  if (!isOfPod(r)) {
    const claim = objectAs<PersistentVolumeClaim>(r);
    return item.type === 'PersistentVolumeClaim' ? limitErrors.claim(item, claim.spec?.resources?.requests ?? {}) : [];
  }
  const { spec } = objectAs<Pod>(r);
  if (spec === undefined) return [];
  if (item.type === 'Container') return limitErrors.containers(item, spec);
  return item.type === 'Pod' ? limitErrors.pod(item, spec) : [];
}

export function createLimitRanger(objects: Pick<ObjectReader, 'list'>): AdmissionPlugin {
  const rangesOf = (r: AdmissionRequest): readonly LimitRange[] => objects.list(limitRanges, r.namespace);
  return {
    name: 'LimitRanger',
    // Containers of a pod do not change but by a resize, so updates need no second look.
    handles: (r) => isPod(r, 'CREATE') || isResize(r) || isResource(r, '', 'persistentvolumeclaims', 'CREATE', 'UPDATE'),
    admit: (r) => {
      if (isOfPod(r) && r.object?.metadata.deletionTimestamp === undefined) admitPod(r, rangesOf(r));
    },
    validate: (r) => {
      if (r.object?.metadata.deletionTimestamp !== undefined) return;
      for (const range of rangesOf(r)) {
        const errors = (range.spec?.limits ?? []).flatMap((item) => itemErrors(r, item));
        if (errors.length > 0) throw denied(r, errors.length === 1 ? (errors[0] ?? '') : `[${[...new Set(errors)].join(', ')}]`);
      }
    },
  };
}

/** Gives a pod what its RuntimeClass asks for: overhead, node selector, tolerations (plugin/pkg/admission/runtimeclass). */
import type { Pod, PodSpec, Toleration } from '#kube/generated/core-v1.ts';
import type { RuntimeClass } from '#kube/generated/node-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import { compareQuantity } from '#kube/quantity.ts';
import { runtimeClasses } from '#kube/refs.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied, isPod, objectAs } from './attributes.ts';

type Amounts = Readonly<Record<string, string | number>> | undefined;

function sameAmounts(a: Amounts = {}, b: Amounts = {}): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((n) => b[n] !== undefined && compareQuantity(a[n] ?? 0, b[n]) === 0);
}

function lookUp(r: AdmissionRequest, spec: PodSpec, objects: Pick<ObjectReader, 'get'>): RuntimeClass | undefined {
  const name = spec.runtimeClassName ?? '';
  if (name === '') return undefined;
  const found = objects.get(runtimeClasses, '', name);
  if (found === undefined) throw denied(r, `pod rejected: RuntimeClass "${name}" not found`);
  return found;
}

const mismatch = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

function withOverhead(r: AdmissionRequest, spec: PodSpec, overhead: Amounts): PodSpec {
  if (overhead === undefined) return spec;
  if (spec.overhead !== undefined && Object.keys(spec.overhead).length > 0 && !sameAmounts(spec.overhead, overhead))
    throw denied(r, mismatch);
  return { ...spec, overhead: { ...overhead } };
}

function withScheduling(r: AdmissionRequest, spec: PodSpec, scheduling: RuntimeClass['scheduling']): PodSpec {
  if (scheduling === undefined) return spec;
  const nodeSelector: Record<string, string> = { ...scheduling.nodeSelector };
  for (const [key, value] of Object.entries(spec.nodeSelector ?? {})) {
    const wanted = nodeSelector[key];
    if (wanted !== undefined && wanted !== value) {
      throw denied(r, `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${wanted}; pod.spec.nodeSelector[${key}] = ${value}`);
    }
    nodeSelector[key] = value;
  }
  const tolerations: Toleration[] = [...(spec.tolerations ?? [])];
  for (const t of scheduling.tolerations ?? []) if (!tolerations.some((o) => jsonEqual(o, t))) tolerations.push(t);
  return {
    ...spec,
    ...(Object.keys(nodeSelector).length > 0 ? { nodeSelector } : {}),
    ...(tolerations.length > 0 ? { tolerations } : {}),
  };
}

export function createRuntimeClass(objects: Pick<ObjectReader, 'get'>): AdmissionPlugin {
  return {
    name: 'RuntimeClass',
    handles: (r) => isPod(r, 'CREATE'),
    admit: (r) => {
      const { spec } = objectAs<Pod>(r);
      if (r.object === undefined || spec === undefined) return;
      const found = lookUp(r, spec, objects);
      if (found !== undefined) r.object['spec'] = withScheduling(r, withOverhead(r, spec, found.overhead?.podFixed), found.scheduling);
    },
    validate: (r) => {
      const { spec } = objectAs<Pod>(r);
      if (spec === undefined) return;
      const overhead = lookUp(r, spec, objects)?.overhead?.podFixed;
      if (overhead === undefined && Object.keys(spec.overhead ?? {}).length > 0) {
        throw denied(r, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
      }
      if (overhead !== undefined && !sameAmounts(spec.overhead, overhead)) throw denied(r, mismatch);
    },
  };
}

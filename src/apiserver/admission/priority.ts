/** Turns a pod's priorityClassName into its priority (k8s.io/kubernetes plugin/pkg/admission/priority). */
import type { Pod, PodSpec } from '#kube/generated/core-v1.ts';
import type { PriorityClass } from '#kube/generated/scheduling-v1.ts';
import { priorityClasses } from '#kube/refs.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied, isPod, isResource, objectAs, oldObjectAs } from './attributes.ts';

type Objects = Pick<ObjectReader, 'get' | 'list'>;

/** The classes that the system makes at its start; pods may name them before it has. */
const systemClasses: Readonly<Record<string, number>> = { 'system-node-critical': 2_000_001_000, 'system-cluster-critical': 2_000_000_000 };

const defaultPolicy = 'PreemptLowerPriority';

interface Resolved {
  readonly name: string;
  readonly value: number;
  readonly policy: string;
}

const resolved = (c: PriorityClass): Resolved => ({
  name: c.metadata.name ?? '',
  value: c.value ?? 0,
  policy: c.preemptionPolicy ?? defaultPolicy,
});

/** The class for pods that name none: of several, the one with the lowest value. */
function defaultClass(objects: Objects): PriorityClass | undefined {
  let found: PriorityClass | undefined;
  for (const c of objects.list(priorityClasses, '')) {
    if (c.globalDefault === true && (found === undefined || (c.value ?? 0) < (found.value ?? 0))) found = c;
  }
  return found;
}

function resolve(r: AdmissionRequest, objects: Objects, name: string): Resolved {
  if (name === '') {
    const byDefault = defaultClass(objects);
    return byDefault === undefined ? { name: '', value: 0, policy: defaultPolicy } : resolved(byDefault);
  }
  const found = objects.get(priorityClasses, '', name);
  if (found !== undefined) return resolved(found);
  const system = Object.hasOwn(systemClasses, name) ? systemClasses[name] : undefined;
  if (system === undefined) throw denied(r, `no PriorityClass with name ${name} was found`);
  return { name, value: system, policy: defaultPolicy };
}

function admitNew(r: AdmissionRequest, spec: PodSpec, objects: Objects): PodSpec {
  const { name, value, policy } = resolve(r, objects, spec.priorityClassName ?? '');
  if (spec.priority !== undefined && spec.priority !== value) {
    throw denied(
      r,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
    throw denied(
      r,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  }
  return { ...spec, ...(name === '' ? {} : { priorityClassName: name }), priority: value, preemptionPolicy: policy };
}

function keepOld(spec: PodSpec, old: PodSpec | undefined): PodSpec {
  return {
    ...spec,
    ...(spec.priority === undefined && old?.priority !== undefined ? { priority: old.priority } : {}),
    ...(spec.preemptionPolicy === undefined && old?.preemptionPolicy !== undefined ? { preemptionPolicy: old.preemptionPolicy } : {}),
  };
}

export function createPriority(objects: Objects): AdmissionPlugin {
  return {
    name: 'Priority',
    handles: (r) => isPod(r, 'CREATE', 'UPDATE') || isResource(r, 'scheduling.k8s.io', 'priorityclasses', 'CREATE', 'UPDATE'),
    admit: (r) => {
      const spec = isPod(r) ? objectAs<Pod>(r).spec : undefined;
      if (r.object === undefined || spec === undefined) return;
      r.object['spec'] = r.operation === 'CREATE' ? admitNew(r, spec, objects) : keepOld(spec, oldObjectAs<Pod>(r).spec);
    },
    validate: (r) => {
      if (isPod(r) || objectAs<PriorityClass>(r).globalDefault !== true) return;
      const other = defaultClass(objects)?.metadata.name;
      if (other !== undefined && (r.operation === 'CREATE' || other !== r.name)) {
        throw denied(r, `PriorityClass ${other} is already marked as default. Only one default can exist`);
      }
    },
  };
}

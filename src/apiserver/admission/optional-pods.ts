/** Plugins for pods that are off by default (k8s.io/kubernetes plugin/pkg/admission). */
import type { Container, Namespace, Pod, PodSpec, Toleration } from '#kube/generated/core-v1.ts';
import { isArray, isObject, jsonEqual } from '#kube/json-value.ts';
import type { Stored } from '#kube/object.ts';
import { namespaces } from '#kube/refs.ts';
import { StatusError } from '#kube/status-error.ts';
import type { AdmissionPlugin, AdmissionRequest, ObjectReader } from '../contract.ts';
import { denied, isPod, objectAs, oldObjectAs } from './attributes.ts';

type Objects = Pick<ObjectReader, 'get'>;

const specOf = (r: AdmissionRequest): PodSpec | undefined => objectAs<Pod>(r).spec;

function setSpec(r: AdmissionRequest, spec: PodSpec): void {
  if (r.object !== undefined) r.object['spec'] = spec;
}

const lists = ['initContainers', 'containers', 'ephemeralContainers'] as const;
const imagesOf = (spec: PodSpec | undefined): string[] =>
  lists.flatMap((list) => ((spec?.[list] ?? []) as readonly Container[]).map((c) => c.image ?? ''));

/** An update that brings no new image may keep its policies (alwayspullimages isUpdateWithNoNewImages). */
const bringsImages = (r: AdmissionRequest): boolean =>
  r.operation !== 'UPDATE' || imagesOf(specOf(r)).some((image) => !imagesOf(oldObjectAs<Pod>(r).spec).includes(image));

/** Only who may pull an image may use it, also where a node has it already. */
export const alwaysPullImages: AdmissionPlugin = {
  name: 'AlwaysPullImages',
  handles: (r) => isPod(r, 'CREATE', 'UPDATE'),
  admit: (r) => {
    const spec = specOf(r);
    if (spec === undefined || !bringsImages(r)) return;
    const pulled = Object.fromEntries(
      lists.flatMap((list) => (spec[list] === undefined ? [] : [[list, spec[list].map((c) => ({ ...c, imagePullPolicy: 'Always' }))]])),
    );
    const volumes = spec.volumes?.map((v) => (v.image === undefined ? v : { ...v, image: { ...v.image, pullPolicy: 'Always' } }));
    setSpec(r, { ...spec, ...pulled, ...(volumes === undefined ? {} : { volumes }) });
  },
  validate: (r) => {
    const spec = specOf(r);
    if (spec === undefined || !bringsImages(r)) return;
    for (const list of lists) {
      for (const [i, c] of ((spec[list] ?? []) as readonly Container[]).entries()) {
        if (c.imagePullPolicy === 'Always') continue;
        const given = JSON.stringify(c.imagePullPolicy ?? '');
        throw denied(r, `spec.${list}[${i}].imagePullPolicy: Unsupported value: ${given}: supported values: "Always"`);
      }
    }
  },
};

const hostname = 'kubernetes.io/hostname';

/** Keeps pods from holding others off whole zones. */
export const limitPodHardAntiAffinityTopology: AdmissionPlugin = {
  name: 'LimitPodHardAntiAffinityTopology',
  handles: (r) => isPod(r, 'CREATE', 'UPDATE'),
  validate: (r) => {
    for (const term of specOf(r)?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
      if (term.topologyKey === hostname) continue;
      throw denied(
        r,
        `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${term.topologyKey} but only key ${hostname} is allowed`,
      );
    }
  },
};

const isExtended = (name: string): boolean => {
  const domain = name.includes('/') ? (name.split('/')[0] ?? '') : '';
  return domain !== '' && domain !== 'kubernetes.io' && !domain.endsWith('.kubernetes.io') && !name.startsWith('requests.');
};

/** Pods that ask for a special resource may run on the nodes that are kept for it. */
export const extendedResourceToleration: AdmissionPlugin = {
  name: 'ExtendedResourceToleration',
  handles: (r) => isPod(r, 'CREATE', 'UPDATE'),
  admit: (r) => {
    const spec = specOf(r);
    if (spec === undefined) return;
    const asked = [...spec.containers, ...(spec.initContainers ?? [])].flatMap((c) => Object.keys(c.resources?.requests ?? {}));
    const tolerations: Toleration[] = [...(spec.tolerations ?? [])];
    for (const key of [...new Set(asked.filter(isExtended))].sort()) {
      const toleration = { key, operator: 'Exists' };
      if (!tolerations.some((t) => jsonEqual(t, toleration))) tolerations.push(toleration);
    }
    if (tolerations.length > 0) setSpec(r, { ...spec, tolerations });
  },
};

function namespaceFor(r: AdmissionRequest, objects: Objects): Stored<Namespace> {
  const found = objects.get(namespaces, '', r.namespace);
  if (found === undefined) throw denied(r, `namespaces ${JSON.stringify(r.namespace)} not found`);
  return found;
}

/** PodNodeSelector's configuration: selectors by namespace, and one for those without their own annotation. */
export type NodeSelectors = Readonly<Record<string, string>>;

const selectorAnnotation = 'scheduler.alpha.kubernetes.io/node-selector';
const clusterDefault = 'clusterDefaultNodeSelector';

/** "a=b,c=d" as a map. Undefined: not of that form. */
function parseSelector(text: string): Readonly<Record<string, string>> | undefined {
  const parts = text.split(',').filter((part) => part.trim() !== '');
  const pairs = parts.map((part) => part.trim().split(/==?/));
  if (pairs.some((pair) => pair.length !== 2)) return undefined;
  return Object.fromEntries(pairs.map(([key = '', value = '']) => [key.trim(), value.trim()]));
}

/** Adds the namespace's node selector to its pods, and holds them to the selector that the configuration has for it. */
export function createPodNodeSelector(objects: Objects, configured: NodeSelectors): AdmissionPlugin {
  const own = (r: AdmissionRequest): Readonly<Record<string, string>> => {
    const annotation = namespaceFor(r, objects).metadata.annotations?.[selectorAnnotation];
    const parsed = parseSelector(annotation ?? configured[clusterDefault] ?? '');
    if (parsed === undefined) throw new StatusError('InternalError', 'Internal error occurred: invalid node selector of the namespace');
    return parsed;
  };
  const conflict = (r: AdmissionRequest, wanted: Readonly<Record<string, string>>): boolean =>
    Object.entries(specOf(r)?.nodeSelector ?? {}).some(([key, value]) => wanted[key] !== undefined && wanted[key] !== value);
  return {
    name: 'PodNodeSelector',
    handles: (r) => isPod(r, 'CREATE'),
    admit: (r) => {
      const spec = specOf(r);
      const wanted = own(r);
      if (spec === undefined) return;
      if (conflict(r, wanted)) throw denied(r, 'pod node label selector conflicts with its namespace node label selector');
      const nodeSelector = { ...wanted, ...spec.nodeSelector };
      if (Object.keys(nodeSelector).length > 0) setSpec(r, { ...spec, nodeSelector });
    },
    validate: (r) => {
      if (conflict(r, own(r))) throw denied(r, 'pod node label selector conflicts with its namespace node label selector');
      const allowed = configured[r.namespace] === undefined ? undefined : parseSelector(configured[r.namespace] ?? '');
      if (allowed === undefined || Object.keys(allowed).length === 0) return;
      const outside = Object.entries(specOf(r)?.nodeSelector ?? {}).some(([key, value]) => allowed[key] !== value);
      if (outside) throw denied(r, 'pod node label selector labels conflict with its namespace whitelist');
    },
  };
}

const tolerationAnnotations = {
  defaults: 'scheduler.alpha.kubernetes.io/defaultTolerations',
  whitelist: 'scheduler.alpha.kubernetes.io/tolerationsWhitelist',
};

/** Tolerations in an annotation; undefined where there is none. Throws StatusError. */
function annotatedTolerations(r: AdmissionRequest, objects: Objects, key: string): readonly Toleration[] | undefined {
  const text = namespaceFor(r, objects).metadata.annotations?.[key];
  if (text === undefined || text === '') return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    if (isArray(parsed) && parsed.every(isObject)) return parsed;
  } catch {
    // Told below.
  }
  throw denied(r, `the annotation ${key} of the namespace holds no list of tolerations`);
}

/** Whether `outer` tolerates whatever `inner` does. */
function covers(outer: Toleration, inner: Toleration): boolean {
  const { key = '', operator = 'Equal', effect = '', value = '' } = outer;
  if (key !== '' && key !== inner.key) return false;
  if (effect !== '' && effect !== inner.effect) return false;
  if (outer.tolerationSeconds !== undefined && (inner.tolerationSeconds ?? Number.POSITIVE_INFINITY) > outer.tolerationSeconds)
    return false;
  return operator === 'Exists' || ((inner.operator ?? 'Equal') === 'Equal' && value === (inner.value ?? ''));
}

/** Gives pods their namespace's tolerations, and keeps them within its whitelist. */
export function createPodTolerationRestriction(objects: Objects): AdmissionPlugin {
  return {
    name: 'PodTolerationRestriction',
    handles: (r) => isPod(r, 'CREATE', 'UPDATE'),
    admit: (r) => {
      const spec = specOf(r);
      if (spec === undefined || r.operation === 'UPDATE') return;
      const defaults = annotatedTolerations(r, objects, tolerationAnnotations.defaults) ?? [];
      const tolerations = [...(spec.tolerations ?? [])];
      for (const t of defaults) if (!tolerations.some((o) => jsonEqual(o, t))) tolerations.push(t);
      if (tolerations.length > 0) setSpec(r, { ...spec, tolerations });
    },
    validate: (r) => {
      const whitelist = annotatedTolerations(r, objects, tolerationAnnotations.whitelist);
      const tolerations = specOf(r)?.tolerations ?? [];
      if (whitelist === undefined || tolerations.every((t) => whitelist.some((w) => covers(w, t)))) return;
      throw denied(r, 'pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist');
    },
  };
}

/** PersistentVolumes: ValidatePersistentVolumeSpec and updates. */
import { isDeepStrictEqual } from 'node:util';
import type {
  CSIPersistentVolumeSource,
  GlusterfsPersistentVolumeSource,
  NodeSelector,
  NodeSelectorRequirement,
  PersistentVolume,
  PersistentVolumeSpec,
  SecretReference,
  VolumeNodeAffinity,
} from '#kube/generated/core-v1.ts';
import { goDiff } from '#kube/go-diff.ts';
import { quantitySign } from '#kube/quantity.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import {
  dnsLabel,
  dnsSubdomain,
  immutable,
  immutableText,
  optionalOneOf,
  pathWithoutBacksteps,
  requiredDnsLabel,
} from '#kube/validation/values.ts';
import { accessModes } from './claim-validation.ts';
import { nodeSelector } from './pod-validation/placement.ts';
import {
  azureDisk,
  csiDriverName,
  fc,
  flexVolume,
  flocker,
  hostPath,
  iscsi,
  iscsiTooLong,
  isIscsiTooLong,
  nfs,
  partition,
  quobyte,
  required,
  secret,
  storageos,
} from './volume-sources.ts';

function glusterfs(field: string, source: GlusterfsPersistentVolumeSource): FieldError[] {
  const errors = required(field, source, 'endpoints', 'path');
  const namespace = source.endpointsNamespace;
  const at = `${field}.endpointsNamespace`;
  if (namespace === undefined) return errors;
  if (namespace !== '') return [...errors, ...dnsLabel(at, namespace)];
  return [...errors, fieldInvalid(at, namespace, 'if the endpointnamespace is set, it must be a valid namespace name')];
}

/** A secret by valid name and namespace. */
function secretReference(field: string, ref: SecretReference | undefined): FieldError[] {
  if (ref === undefined) return [];
  const { name = '', namespace } = ref;
  return [
    ...(name === '' ? [fieldRequired(`${field}.name`)] : dnsSubdomain(`${field}.name`, name)),
    ...requiredDnsLabel(`${field}.namespace`, namespace),
  ];
}

const csi = (field: string, source: CSIPersistentVolumeSource): FieldError[] => [
  ...csiDriverName(`${field}.driver`, source.driver),
  ...required(field, source, 'volumeHandle'),
  ...(['controllerPublishSecretRef', 'controllerExpandSecretRef', 'nodePublishSecretRef', 'nodeExpandSecretRef'] as const).flatMap((part) =>
    secretReference(`${field}.${part}`, source[part]),
  ),
];

/** The rest of the volume, for sources that look at it. */
interface Where {
  readonly name: string;
  readonly spec: PersistentVolumeSpec;
}

type Sources = Omit<
  PersistentVolumeSpec,
  | 'accessModes'
  | 'capacity'
  | 'claimRef'
  | 'mountOptions'
  | 'nodeAffinity'
  | 'persistentVolumeReclaimPolicy'
  | 'storageClassName'
  | 'volumeMode'
  | 'volumeAttributesClassName'
>;
type Checks = { readonly [K in keyof Sources]-?: (field: string, source: NonNullable<Sources[K]>, where: Where) => FieldError[] };

/** In upstream's order: where there are several sources, the first one counts. */
const checks: Checks = {
  hostPath,
  gcePersistentDisk: (field, source) => [...required(field, source, 'pdName'), ...partition(field, source.partition)],
  awsElasticBlockStore: (field, source) => [...required(field, source, 'volumeID'), ...partition(field, source.partition)],
  glusterfs,
  flocker,
  nfs,
  rbd: (field, source) => required(field, source, 'monitors', 'image'),
  quobyte,
  cephfs: (field, source) => required(field, source, 'monitors'),
  iscsi: (field, source, { name }) => [
    ...required(field, source, 'targetPortal'),
    ...(isIscsiTooLong(name, source) ? [fieldInvalid(`${field}.targetportal`, source.targetPortal, iscsiTooLong)] : []),
    ...iscsi(field, source, 'must be valid format'),
    ...secret(`${field}.secretRef`, source.secretRef, false),
  ],
  cinder: (field, source) => [...required(field, source, 'volumeID'), ...secret(`${field}.secretRef`, source.secretRef, true)],
  fc,
  flexVolume,
  azureFile: (field, source) => [
    ...required(field, source, 'secretName', 'shareName'),
    ...(source.secretNamespace === '' ? [fieldRequired(`${field}.secretNamespace`)] : []),
  ],
  vsphereVolume: (field, source) => required(field, source, 'volumePath'),
  photonPersistentDisk: (field, source) => required(field, source, 'pdID'),
  portworxVolume: (field, source) => required(field, source, 'volumeID'),
  azureDisk,
  scaleIO: (field, source) => required(field, source, 'gateway', 'system', 'volumeName'),
  local: (field, { path }, { spec }) => [
    ...(path === '' ? [fieldRequired(`${field}.path`)] : pathWithoutBacksteps(`${field}.path`, path)),
    ...(spec.nodeAffinity === undefined ? [fieldRequired('spec.nodeAffinity', 'Local volume requires node affinity')] : []),
  ],
  storageos: (field, source) => storageos(field, source, true),
  csi,
};
const kinds = Object.keys(checks) as (keyof Checks)[];
const oddPaths: Partial<Record<keyof Checks, { readonly inside?: string; readonly second?: string }>> = {
  gcePersistentDisk: { inside: 'persistentDisk' },
  cephfs: { second: 'cephFS' },
};

function sources(name: string, spec: PersistentVolumeSpec): FieldError[] {
  const [first, ...more] = kinds.filter((kind) => spec[kind] !== undefined);
  if (first === undefined) return [fieldRequired('spec', 'must specify a volume type')];
  const check = checks[first] as (f: string, s: unknown, where: Where) => FieldError[];
  return [
    ...check(`spec.${oddPaths[first]?.inside ?? first}`, spec[first], { name, spec }),
    ...more.map((kind) => fieldForbidden(`spec.${oddPaths[kind]?.second ?? kind}`, 'may not specify more than 1 volume type')),
  ];
}

function capacity(amounts: PersistentVolumeSpec['capacity']): FieldError[] {
  const field = 'spec.capacity';
  const entries = Object.entries(amounts ?? {});
  const errors = entries.length === 0 ? [fieldRequired(field)] : [];
  if (entries.length !== 1 || entries[0]?.[0] !== 'storage') errors.push(fieldNotSupported(field, amounts ?? null, ['storage']));
  for (const [name, value] of entries) {
    const at = `${field}[${name}]`;
    if (quantitySign(value) < 0) errors.push(fieldInvalid(at, String(value), 'must be a valid resource quantity'));
    if (quantitySign(value) <= 0) errors.push(fieldInvalid(at, String(value), 'must be greater than zero'));
  }
  return errors;
}

function affinity(nodes: VolumeNodeAffinity | undefined): FieldError[] {
  const field = 'spec.nodeAffinity.required';
  if (nodes === undefined) return [];
  return nodes.required === undefined
    ? [fieldRequired(field, 'must specify required node constraints')]
    : nodeSelector(field, nodes.required);
}

function attributesClass(spec: PersistentVolumeSpec): FieldError[] {
  const name = spec.volumeAttributesClassName;
  const field = 'spec.volumeAttributesClassName';
  if (name === undefined) return [];
  return [
    ...(name === '' ? [fieldRequired(field, 'an empty string is disallowed')] : dnsSubdomain(field, name)),
    ...(spec.csi === undefined ? [fieldRequired('spec.csi', 'has to be specified when using volumeAttributesClassName')] : []),
  ];
}

/** True for `/` in any spelling. */
const isRoot = (path: string): boolean =>
  path.startsWith('/') && path.split('/').every((part) => part === '' || part === '.' || part === '..');

export function validatePersistentVolume({ metadata, spec }: PersistentVolume): FieldError[] {
  if (spec === undefined) return [fieldRequired('spec')];
  const policy = spec.persistentVolumeReclaimPolicy;
  const className = spec.storageClassName ?? '';
  return [
    ...((spec.accessModes ?? []).length === 0 ? [fieldRequired('spec.accessModes')] : []),
    ...accessModes('spec.accessModes', spec.accessModes),
    ...capacity(spec.capacity),
    ...optionalOneOf('spec.persistentVolumeReclaimPolicy', policy, ['Delete', 'Recycle', 'Retain']),
    ...affinity(spec.nodeAffinity),
    ...sources(metadata.name ?? '', spec),
    ...(policy === 'Recycle' && isRoot(spec.hostPath?.path ?? '')
      ? [fieldForbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'")]
      : []),
    ...(className === '' ? [] : dnsSubdomain('spec.storageClassName', className)),
    ...optionalOneOf('spec.volumeMode', spec.volumeMode, ['Block', 'Filesystem']),
    ...attributesClass(spec),
  ];
}

const sourcesOf = (spec: PersistentVolumeSpec): Sources =>
  Object.fromEntries(kinds.flatMap((kind) => (spec[kind] === undefined ? [] : [[kind, spec[kind]]])));

/** The secret for growing a volume may be given later. */
function withoutNewSecret(now: Sources, was: Sources): Sources {
  if (now.csi === undefined || was.csi === undefined || was.csi.controllerExpandSecretRef !== undefined) return now;
  const { controllerExpandSecretRef: _new, ...rest } = now.csi;
  return { ...now, csi: rest };
}

/** Labels that have got new names: a volume's affinity may go over to those. */
const newLabels: Readonly<Record<string, string>> = {
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
  'beta.kubernetes.io/os': 'kubernetes.io/os',
  'beta.kubernetes.io/arch': 'kubernetes.io/arch',
  'beta.kubernetes.io/instance-type': 'node.kubernetes.io/instance-type',
};

/** The old selector with new names of labels where the new one has them. */
function renamed(old: NodeSelector | undefined, now: NodeSelector | undefined): unknown {
  const requirement = (r: NodeSelectorRequirement, other: NodeSelectorRequirement | undefined): NodeSelectorRequirement =>
    other !== undefined && Object.hasOwn(newLabels, r.key) && newLabels[r.key] === other.key ? { ...r, key: other.key } : r;
  return old?.nodeSelectorTerms.map((term, i) => ({
    ...term,
    ...(term.matchExpressions === undefined
      ? {}
      : {
          matchExpressions: term.matchExpressions.map((r, j) => requirement(r, now?.nodeSelectorTerms[i]?.matchExpressions?.[j])),
        }),
  }));
}

export function validatePersistentVolumeUpdate(object: PersistentVolume, old: PersistentVolume): FieldError[] {
  const [now, was] = [object.spec ?? {}, old.spec ?? {}];
  const errors = validatePersistentVolume(object);
  const before = sourcesOf(was);
  const diff = goDiff('core.PersistentVolumeSource', before, withoutNewSecret(sourcesOf(now), before));
  if (diff !== '')
    errors.push(fieldForbidden('spec.persistentvolumesource', `spec.persistentvolumesource is immutable after creation\n${diff}`));
  errors.push(...immutable('volumeMode', now.volumeMode ?? null, was.volumeMode ?? null));
  const [nodes, oldNodes] = [now.nodeAffinity, was.nodeAffinity];
  if (oldNodes !== undefined && !isDeepStrictEqual(nodes?.required?.nodeSelectorTerms, renamed(oldNodes.required, nodes?.required)))
    errors.push(fieldInvalid('nodeAffinity', nodes ?? null, `${immutableText}, except for updating from beta label to GA`));
  if (was.volumeAttributesClassName !== undefined && now.volumeAttributesClassName === undefined)
    errors.push(fieldForbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'));
  return errors;
}

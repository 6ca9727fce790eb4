/** Volumes of a pod: ValidateVolumes. */
import type { PodSpec, Volume } from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import { quantitySign } from '#kube/quantity.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { localPath, oneOf, requiredDnsLabel } from '#kube/validation/values.ts';
import { claimTemplate } from '../claim-validation.ts';
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
} from '../volume-sources.ts';
import { projections } from './projections.ts';
import { downwardFiles, fileMode, keysToPaths } from './volume-files.ts';

/** What the check of a source may need to know. */
interface Where {
  readonly template: boolean;
  readonly volume: string;
}

type Checks = {
  readonly [K in Exclude<keyof Volume, 'name'>]-?: (field: string, source: NonNullable<Volume[K]>, where: Where) => FieldError[];
};

const unknownInitiator = 'must be valid format starting with iqn, eui, or naa';

/** In upstream's order: where there are several sources, the first one counts. */
const checks: Checks = {
  emptyDir: (field, { sizeLimit }) =>
    sizeLimit !== undefined && quantitySign(sizeLimit) < 0
      ? [fieldForbidden(`${field}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
      : [],
  hostPath,
  gitRepo: (field, source) => [...required(field, source, 'repository'), ...localPath(`${field}.directory`, source.directory ?? '')],
  gcePersistentDisk: (field, source) => [...required(field, source, 'pdName'), ...partition(field, source.partition)],
  awsElasticBlockStore: (field, source) => [...required(field, source, 'volumeID'), ...partition(field, source.partition)],
  secret: (field, source) => [
    ...required(field, source, 'secretName'),
    ...fileMode(`${field}.defaultMode`, source.defaultMode),
    ...keysToPaths(`${field}.items`, source.items),
  ],
  nfs,
  iscsi: (field, source, { volume }) => [
    ...required(field, source, 'targetPortal'),
    ...iscsi(field, source, unknownInitiator),
    ...(isIscsiTooLong(volume, source) ? [fieldInvalid(field.replace(/\.iscsi$/, '.name'), volume, iscsiTooLong)] : []),
  ],
  glusterfs: (field, source) => required(field, source, 'endpoints', 'path'),
  flocker,
  persistentVolumeClaim: (field, source) => required(field, source, 'claimName'),
  rbd: (field, source) => required(field, source, 'monitors', 'image'),
  cinder: (field, source) => [...required(field, source, 'volumeID'), ...secret(`${field}.secretRef`, source.secretRef, false)],
  cephfs: (field, source) => required(field, source, 'monitors'),
  quobyte,
  downwardAPI: (field, source) => [...fileMode(`${field}.defaultMode`, source.defaultMode), ...downwardFiles(field, source.items)],
  fc,
  flexVolume,
  configMap: (field, source) => [
    ...required(field, source, 'name'),
    ...fileMode(`${field}.defaultMode`, source.defaultMode),
    ...keysToPaths(`${field}.items`, source.items),
  ],
  azureFile: (field, source) => required(field, source, 'secretName', 'shareName'),
  vsphereVolume: (field, source) => required(field, source, 'volumePath'),
  photonPersistentDisk: (field, source) => required(field, source, 'pdID'),
  portworxVolume: (field, source) => required(field, source, 'volumeID'),
  azureDisk,
  storageos: (field, source) => storageos(field, source, false),
  projected: (field, source) => [...fileMode(`${field}.defaultMode`, source.defaultMode), ...projections(field, source.sources)],
  scaleIO: (field, source) => required(field, source, 'gateway', 'system', 'volumeName'),
  csi: (field, { driver, nodePublishSecretRef: ref }) => {
    const errors = csiDriverName(`${field}.driver`, driver);
    if (ref === undefined) return errors;
    const name = ref.name ?? '';
    return name === ''
      ? [...errors, fieldRequired(`${field}.nodePublishSecretRef.name`)]
      : [...errors, ...fieldProblems(`${field}.name`, name, isDns1123Subdomain(name))];
  },
  ephemeral: (field, { volumeClaimTemplate: template }) =>
    template === undefined ? [fieldRequired(`${field}.volumeClaimTemplate`)] : claimTemplate(`${field}.volumeClaimTemplate`, template),
  image: (field, source, { template }) => [
    ...(template ? [] : required(field, source, 'reference')),
    ...oneOf(`${field}.pullPolicy`, source.pullPolicy, ['Always', 'IfNotPresent', 'Never']),
  ],
};
const kinds = Object.keys(checks) as (keyof Checks)[];

/** Where upstream's paths are not the names of the fields: of a source's parts, and of a second source. */
const oddPaths: Partial<Record<keyof Checks, { readonly inside?: string; readonly second?: string }>> = {
  gcePersistentDisk: { inside: 'persistentDisk' },
  cephfs: { second: 'cephFS' },
  downwardAPI: { second: 'downwarAPI' },
};

function source(field: string, volume: Volume, template: boolean, pod: string): FieldError[] {
  const present = kinds.filter((kind) => volume[kind] !== undefined);
  const [first, ...more] = present;
  if (first === undefined) return [fieldRequired(field, 'must specify a volume type')];
  const check = checks[first] as (f: string, s: unknown, where: Where) => FieldError[];
  const errors = check(`${field}.${oddPaths[first]?.inside ?? first}`, volume[first], { template, volume: volume.name });
  const claim = `${pod}-${volume.name}`;
  if (first === 'ephemeral' && pod !== '' && volume.name !== '')
    for (const why of isDns1123Subdomain(claim))
      errors.push(fieldInvalid(`${field}.name`, volume.name, `PVC name ${JSON.stringify(claim)}: ${why}`));
  return [
    ...errors,
    ...more.map((kind) => fieldForbidden(`${field}.${oddPaths[kind]?.second ?? kind}`, 'may not specify more than 1 volume type')),
  ];
}

/** `pod`: the name of the pod, '' for templates. Containers may use the volumes that are right: they are added to `usable`. */
export function volumes(field: string, spec: PodSpec, template: boolean, pod: string, usable: Map<string, Volume>): FieldError[] {
  const list = spec.volumes ?? [];
  const made = new Set(pod === '' ? [] : list.filter((v) => v.ephemeral !== undefined).map((v) => `${pod}-${v.name}`));
  return list.flatMap((volume, i) => {
    const at = `${field}[${i}]`;
    const errors = [...source(at, volume, template, pod), ...requiredDnsLabel(`${at}.name`, volume.name)];
    if (usable.has(volume.name)) errors.push(fieldDuplicate(`${at}.name`, volume.name));
    if (errors.length === 0) usable.set(volume.name, volume);
    const claim = volume.persistentVolumeClaim?.claimName;
    if (claim !== undefined && made.has(claim)) {
      const rule = 'must not reference a PVC that gets created for an ephemeral volume';
      errors.push(fieldInvalid(`${at}.persistentVolumeClaim.claimName`, claim, rule));
    }
    return errors;
  });
}

/** Sources of volumes that pods and PersistentVolumes share: validate…VolumeSource of pkg/apis/core/validation. */
import type {
  AzureDiskVolumeSource,
  FCVolumeSource,
  FlockerVolumeSource,
  HostPathVolumeSource,
  ISCSIPersistentVolumeSource,
  ISCSIVolumeSource,
  NFSVolumeSource,
  QuobyteVolumeSource,
  StorageOSPersistentVolumeSource,
  StorageOSVolumeSource,
} from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired, fieldTooLong } from '#kube/validation/field-error.ts';
import { dnsLabel, optionalOneOf, pathWithoutBacksteps, rangeText, requiredDnsLabel } from '#kube/validation/values.ts';

/** Texts that must not be empty. */
export const required = <T extends object>(field: string, source: T, ...parts: (keyof T & string)[]): FieldError[] =>
  parts.flatMap((part) => {
    const value = source[part];
    return value === undefined || value === '' || (Array.isArray(value) && value.length === 0) ? [fieldRequired(`${field}.${part}`)] : [];
  });

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];

export const hostPath = (field: string, { path, type }: HostPathVolumeSource): FieldError[] =>
  path === ''
    ? [fieldRequired(`${field}.path`)]
    : [...pathWithoutBacksteps(`${field}.path`, path), ...optionalOneOf(`${field}.type`, type, hostPathTypes)];

/** A partition of a disk; 0 is the whole disk. */
export const partition = (field: string, value: number | undefined): FieldError[] =>
  value !== undefined && (value < 0 || value > 255) ? [fieldInvalid(`${field}.partition`, value, rangeText(1, 255))] : [];

export const nfs = (field: string, source: NFSVolumeSource): FieldError[] => [
  ...required(field, source, 'server', 'path'),
  ...(source.path.startsWith('/') ? [] : [fieldInvalid(`${field}.path`, source.path, 'must be an absolute path')]),
];

const qualifiedInitiators: readonly (readonly [string, RegExp])[] = [
  ['iqn', /iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)$/],
  ['eui', /^eui.[A-Za-z0-9]{16}$/],
  ['naa', /^naa.[A-Za-z0-9]{32}$/],
];

/** The name of an iSCSI target or initiator. `unknown`: what is said of one of no known form. */
function iscsiName(field: string, name: string, unknown: string): FieldError[] {
  const form = qualifiedInitiators.find(([prefix]) => name.startsWith(prefix));
  if (form === undefined) return [fieldInvalid(field, name, unknown)];
  return form[1].test(name) ? [] : [fieldInvalid(field, name, 'must be valid format')];
}

export const iscsiTooLong =
  'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.';
export const isIscsiTooLong = (volume: string, source: ISCSIVolumeSource | ISCSIPersistentVolumeSource): boolean =>
  source.initiatorName !== undefined && `${volume}:${source.targetPortal}`.length > 64;

/** What of iSCSI is the same for pods and PersistentVolumes, after the portal. */
export function iscsi(field: string, source: ISCSIVolumeSource | ISCSIPersistentVolumeSource, unknown: string): FieldError[] {
  const { iqn, lun, initiatorName, chapAuthDiscovery, chapAuthSession, secretRef } = source;
  const errors = iqn === '' ? [fieldRequired(`${field}.iqn`)] : iscsiName(`${field}.iqn`, iqn, unknown);
  if (lun < 0 || lun > 255) errors.push(fieldInvalid(`${field}.lun`, lun, rangeText(0, 255)));
  if ((chapAuthDiscovery === true || chapAuthSession === true) && secretRef === undefined) errors.push(fieldRequired(`${field}.secretRef`));
  return initiatorName === undefined ? errors : [...errors, ...iscsiName(`${field}.initiatorname`, initiatorName, unknown)];
}

export function fc(field: string, { targetWWNs = [], wwids = [], lun }: FCVolumeSource): FieldError[] {
  const errors: FieldError[] = [];
  if (targetWWNs.length === 0 && wwids.length === 0)
    errors.push(fieldRequired(`${field}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both'));
  if (targetWWNs.length > 0 && wwids.length > 0)
    errors.push(fieldInvalid(`${field}.targetWWNs`, targetWWNs, 'targetWWNs and wwids can not be specified simultaneously'));
  if (targetWWNs.length === 0) return errors;
  if (lun === undefined) errors.push(fieldRequired(`${field}.lun`, 'lun is required if targetWWNs is specified'));
  else if (lun < 0 || lun > 255) errors.push(fieldInvalid(`${field}.lun`, lun, rangeText(0, 255)));
  return errors;
}

/** Go's net.SplitHostPort takes it. */
const isHostPort = (text: string): boolean => /^(?:[^:[\]]*|\[[^[\]]*\]):[^:[\]]*$/.test(text);

export function quobyte(field: string, { registry, tenant = '', volume }: QuobyteVolumeSource): FieldError[] {
  const pairs = 'must be a host:port pair or multiple pairs separated by commas';
  const errors: FieldError[] = [];
  if (registry === '') errors.push(fieldRequired(`${field}.registry`, pairs));
  else if (tenant.length >= 65)
    errors.push(fieldRequired(`${field}.tenant`, 'must be a UUID and may not exceed a length of 64 characters'));
  else for (const pair of registry.split(',')) if (!isHostPort(pair)) errors.push(fieldInvalid(`${field}.registry`, registry, pairs));
  return volume === '' ? [...errors, fieldRequired(`${field}.volume`)] : errors;
}

export function flocker(field: string, { datasetName = '', datasetUUID = '' }: FlockerVolumeSource): FieldError[] {
  const errors: FieldError[] = [];
  if (datasetName === '' && datasetUUID === '') errors.push(fieldRequired(field, 'one of datasetName and datasetUUID is required'));
  if (datasetName !== '' && datasetUUID !== '')
    errors.push(fieldInvalid(field, 'resource', 'datasetName and datasetUUID can not be specified simultaneously'));
  if (datasetName.includes('/')) errors.push(fieldInvalid(`${field}.datasetName`, datasetName, "must not contain '/'"));
  return errors;
}

export function flexVolume(
  field: string,
  source: { readonly driver: string; readonly options?: Readonly<Record<string, string>> },
): FieldError[] {
  const reserved = (key: string): boolean => /\.(?:kubernetes|k8s)\.io$/.test(`.${(key.split('/', 1)[0] ?? '').toLowerCase()}`);
  return [
    ...required(field, source, 'driver'),
    ...Object.keys(source.options ?? {})
      .filter(reserved)
      .map((key) => fieldInvalid(`${field}.options[${key}]`, key, 'kubernetes.io and k8s.io namespaces are reserved')),
  ];
}

const managedDisk = '/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}';
const blobDisk = 'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd';

export function azureDisk(field: string, source: AzureDiskVolumeSource): FieldError[] {
  const { kind, diskURI, cachingMode } = source;
  const errors = [
    ...required(field, source, 'diskName', 'diskURI'),
    ...optionalOneOf(`${field}.cachingMode`, cachingMode, ['None', 'ReadOnly', 'ReadWrite']),
    ...optionalOneOf(`${field}.kind`, kind, ['Dedicated', 'Managed', 'Shared']),
  ];
  if (kind === undefined) return errors;
  const [prefix, form] = kind === 'Managed' ? ['/subscriptions/', managedDisk] : ['https://', blobDisk];
  return diskURI.startsWith(prefix) ? errors : [...errors, fieldNotSupported(`${field}.diskURI`, diskURI, [form])];
}

/** A reference to a secret by name, and by namespace where `spaced`. */
export function secret(
  field: string,
  ref: { readonly name?: string; readonly namespace?: string } | undefined,
  spaced: boolean,
): FieldError[] {
  return ref === undefined ? [] : required(field, ref, 'name', ...(spaced ? (['namespace'] as const) : []));
}

export function storageos(field: string, source: StorageOSVolumeSource | StorageOSPersistentVolumeSource, spaced: boolean): FieldError[] {
  const { volumeName, volumeNamespace = '', secretRef } = source;
  return [
    ...requiredDnsLabel(`${field}.volumeName`, volumeName),
    ...(volumeNamespace === '' ? [] : dnsLabel(`${field}.volumeNamespace`, volumeNamespace)),
    ...secret(`${field}.secretRef`, secretRef, spaced),
  ];
}

/** The name of a CSI driver. */
export function csiDriverName(field: string, name: string): FieldError[] {
  const errors = name === '' ? [fieldRequired(field)] : [];
  if (name.length > 63) errors.push(fieldTooLong(field, 63));
  return [...errors, ...fieldProblems(field, name, isDns1123Subdomain(name.toLowerCase()))];
}

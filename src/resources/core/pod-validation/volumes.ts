/** Volumes of a pod. */
import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  PodSpec,
  ProjectedVolumeSource,
  Volume,
  VolumeProjection,
} from '#kube/generated/core-v1.ts';

import { quantitySign } from '#kube/quantity.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { configKeyProblems, localPath, optionalOneOf, pathWithoutBacksteps, requiredDnsLabel } from '#kube/validation/values.ts';
import { claimSpec } from '../claim-validation.ts';
import { fieldRef, resourceFieldRef, volumeFields } from './environment.ts';

const modeRule = 'must be a number between 0 and 0777 (octal), both inclusive';
const fileMode = (field: string, mode: number | undefined): FieldError[] =>
  mode === undefined || (mode >= 0 && mode <= 0o777) ? [] : [fieldInvalid(field, mode, modeRule)];

function items(field: string, list: readonly KeyToPath[] | undefined): FieldError[] {
  return (list ?? []).flatMap((item, i) => {
    const at = `${field}[${i}]`;
    const key = item.key === '' ? [fieldRequired(`${at}.key`)] : fieldProblems(`${at}.key`, item.key, configKeyProblems(item.key));
    const path = item.path === '' ? [fieldRequired(`${at}.path`)] : localPath(`${at}.path`, item.path);
    return [...key, ...path, ...fileMode(`${at}.mode`, item.mode)];
  });
}

function downwardItems(field: string, list: readonly DownwardAPIVolumeFile[] | undefined): FieldError[] {
  return (list ?? []).flatMap((item, i) => {
    const at = `${field}[${i}]`;
    const errors = item.path === '' ? [fieldRequired(`${at}.path`)] : localPath(`${at}.path`, item.path);
    if (item.fieldRef !== undefined) {
      errors.push(...fieldRef(`${at}.fieldRef`, item.fieldRef, volumeFields));
      if (item.resourceFieldRef !== undefined) {
        errors.push(fieldInvalid(field, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
      }
    } else if (item.resourceFieldRef !== undefined) errors.push(...resourceFieldRef(`${at}.resourceFieldRef`, item.resourceFieldRef, true));
    else errors.push(fieldRequired(at, 'one of fieldRef and resourceFieldRef is required'));
    return [...errors, ...fileMode(`${at}.mode`, item.mode)];
  });
}

const requiredName = (field: string, name: string | undefined): FieldError[] => ((name ?? '') === '' ? [fieldRequired(field)] : []);

function tokenProjection(field: string, token: NonNullable<VolumeProjection['serviceAccountToken']>): FieldError[] {
  const seconds = token.expirationSeconds ?? 3600;
  const errors: FieldError[] = [];
  if (seconds < 600) errors.push(fieldInvalid(`${field}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
  if (seconds > 2 ** 32)
    errors.push(fieldInvalid(`${field}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'));
  if (token.path === '') errors.push(fieldRequired(`${field}.path`));
  else errors.push(...localPath(`${field}.path`, token.path));
  return errors;
}

function projection(field: string, source: VolumeProjection): FieldError[] {
  const errors: FieldError[] = [];
  const kinds = Object.keys(source);
  for (const kind of kinds.slice(1)) errors.push(fieldForbidden(`${field}.${kind}`, 'may not specify more than 1 volume type'));
  if (kinds.length === 0) errors.push(fieldRequired(field, 'must specify one of: "secret, downwardAPI, configMap, serviceAccountToken"'));
  if (source.secret !== undefined) {
    errors.push(...requiredName(`${field}.secret.name`, source.secret.name), ...items(`${field}.secret.items`, source.secret.items));
  }
  if (source.configMap !== undefined) {
    errors.push(
      ...requiredName(`${field}.configMap.name`, source.configMap.name),
      ...items(`${field}.configMap.items`, source.configMap.items),
    );
  }
  if (source.downwardAPI !== undefined) errors.push(...downwardItems(`${field}.downwardAPI.items`, source.downwardAPI.items));
  if (source.serviceAccountToken !== undefined) errors.push(...tokenProjection(`${field}.serviceAccountToken`, source.serviceAccountToken));
  return errors;
}

function projected(field: string, volume: ProjectedVolumeSource): FieldError[] {
  const seen = new Set<string>();
  const errors = [...fileMode(`${field}.defaultMode`, volume.defaultMode)];
  for (const [i, source] of (volume.sources ?? []).entries()) {
    const at = `${field}.sources[${i}]`;
    errors.push(...projection(at, source));
    const files = [...(source.secret?.items ?? []), ...(source.configMap?.items ?? []), ...(source.downwardAPI?.items ?? [])].map(
      (f) => f.path,
    );
    for (const path of source.serviceAccountToken === undefined ? files : [...files, source.serviceAccountToken.path]) {
      if (seen.has(path)) errors.push(fieldInvalid(at, path, 'conflicting duplicate paths'));
      seen.add(path);
    }
  }
  return errors;
}

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];

type SourceCheck = { readonly [K in keyof Volume]?: (field: string, source: NonNullable<Volume[K]>, template: boolean) => FieldError[] };

const sourceChecks: SourceCheck = {
  emptyDir: (field, source) =>
    source.sizeLimit !== undefined && quantitySign(source.sizeLimit) < 0
      ? [fieldForbidden(`${field}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
      : [],
  hostPath: (field, source) =>
    source.path === ''
      ? [fieldRequired(`${field}.path`)]
      : [...pathWithoutBacksteps(`${field}.path`, source.path), ...optionalOneOf(`${field}.type`, source.type, hostPathTypes)],
  secret: (field, source) => [
    ...requiredName(`${field}.secretName`, source.secretName),
    ...fileMode(`${field}.defaultMode`, source.defaultMode),
    ...items(`${field}.items`, source.items),
  ],
  configMap: (field, source) => [
    ...requiredName(`${field}.name`, source.name),
    ...fileMode(`${field}.defaultMode`, source.defaultMode),
    ...items(`${field}.items`, source.items),
  ],
  downwardAPI: (field, source) => [
    ...fileMode(`${field}.defaultMode`, source.defaultMode),
    ...downwardItems(`${field}.items`, source.items),
  ],
  projected,
  persistentVolumeClaim: (field, source) => requiredName(`${field}.claimName`, source.claimName),
  nfs: (field, source) => [
    ...requiredName(`${field}.server`, source.server),
    ...requiredName(`${field}.path`, source.path),
    ...(source.path.startsWith('/') ? [] : [fieldInvalid(`${field}.path`, source.path, 'must be an absolute path')]),
  ],
  csi: (field, source) => requiredName(`${field}.driver`, source.driver),
  ephemeral: (field, source) =>
    source.volumeClaimTemplate === undefined
      ? [fieldRequired(`${field}.volumeClaimTemplate`)]
      : claimSpec(`${field}.volumeClaimTemplate.spec`, source.volumeClaimTemplate.spec),
  image: (field, source, template) => [
    ...(template ? [] : requiredName(`${field}.reference`, source.reference)),
    ...optionalOneOf(`${field}.pullPolicy`, source.pullPolicy, ['Always', 'IfNotPresent', 'Never']),
  ],
};

function source(field: string, volume: Volume, template: boolean): FieldError[] {
  const { name: _name, ...sources } = volume;
  const kinds = Object.keys(sources) as (keyof typeof sources)[];
  if (kinds.length === 0) return [fieldRequired(field, 'must specify a volume type')];
  const errors = kinds.slice(1).map((kind) => fieldForbidden(`${field}.${kind}`, 'may not specify more than 1 volume type'));
  const [first] = kinds;
  const check =
    first === undefined ? undefined : (sourceChecks[first] as ((f: string, s: unknown, t: boolean) => FieldError[]) | undefined);
  if (first !== undefined && check !== undefined) errors.push(...check(`${field}.${first}`, sources[first], template));
  return errors;
}

export function volumes(field: string, spec: PodSpec, template: boolean): FieldError[] {
  const names = new Set<string>();
  return (spec.volumes ?? []).flatMap((volume, i) => {
    const at = `${field}[${i}]`;
    const errors = [...source(at, volume, template), ...requiredDnsLabel(`${at}.name`, volume.name)];
    if (names.has(volume.name)) errors.push(fieldDuplicate(`${at}.name`, volume.name));
    names.add(volume.name);
    return errors;
  });
}

/** Files that volumes make of ConfigMaps, Secrets and the pod itself. */
import type { DownwardAPIVolumeFile, KeyToPath } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { nonReservedPath } from '#kube/validation/values.ts';
import { required } from '../volume-sources.ts';
import { fieldRef, resourceFieldRef, volumeFields } from './environment.ts';

export const fileMode = (field: string, mode: number | undefined): FieldError[] =>
  mode === undefined || (mode >= 0 && mode <= 0o777)
    ? []
    : [fieldInvalid(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive')];

/** Keys of a ConfigMap or Secret, and where they go. */
export const keysToPaths = (field: string, list: readonly KeyToPath[] | undefined): FieldError[] =>
  (list ?? []).flatMap((item, i) => {
    const at = `${field}[${i}]`;
    return [...required(at, item, 'key', 'path'), ...nonReservedPath(`${at}.path`, item.path), ...fileMode(`${at}.mode`, item.mode)];
  });

/** Files of the downward API. Upstream names the volume where a file is wrong, not the file. */
export const downwardFiles = (field: string, list: readonly DownwardAPIVolumeFile[] | undefined): FieldError[] =>
  (list ?? []).flatMap((file) => {
    const { path, fieldRef: ref, resourceFieldRef: resource, mode } = file;
    const errors = [...required(field, file, 'path'), ...nonReservedPath(`${field}.path`, path)];
    if (ref !== undefined) {
      errors.push(...fieldRef(`${field}.fieldRef`, ref, volumeFields));
      if (resource !== undefined)
        errors.push(fieldInvalid(field, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    } else if (resource !== undefined) errors.push(...resourceFieldRef(`${field}.resourceFieldRef`, resource, true));
    else errors.push(fieldRequired(field, 'one of fieldRef and resourceFieldRef is required'));
    return [...errors, ...fileMode(`${field}.mode`, mode)];
  });

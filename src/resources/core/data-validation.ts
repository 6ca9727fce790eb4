/** ConfigMaps and Secrets: keys, size, types, immutability. */
import { isDeepStrictEqual } from 'node:util';
import type { ConfigMap, Secret } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldProblems, fieldRequired, fieldTooLong } from '#kube/validation/field-error.ts';
import { configKeyProblems, immutable } from '#kube/validation/values.ts';

const maxSize = 1024 * 1024;
const immutableRule = 'field is immutable when `immutable` is set';

/** Bytes that base64 text stands for. */
const decodedSize = (text: string): number => Math.floor((text.length * 3) / 4) - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);

export function validateConfigMap(object: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(object.data ?? {})) {
    errors.push(...fieldProblems(`data[${key}]`, key, configKeyProblems(key)));
    if (object.binaryData !== undefined && Object.hasOwn(object.binaryData, key)) {
      errors.push(fieldInvalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    size += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(object.binaryData ?? {})) {
    errors.push(...fieldProblems(`binaryData[${key}]`, key, configKeyProblems(key)));
    size += decodedSize(value);
  }
  if (size > maxSize) errors.push(fieldTooLong('', maxSize));
  return errors;
}

function immutableData<T extends { readonly immutable?: boolean }>(object: T, old: T, parts: readonly (keyof T & string)[]): FieldError[] {
  if (old.immutable !== true) return [];
  const errors: FieldError[] = object.immutable === true ? [] : [fieldForbidden('immutable', immutableRule)];
  for (const part of parts) if (!isDeepStrictEqual(object[part], old[part])) errors.push(fieldForbidden(part, immutableRule));
  return errors;
}

export const validateConfigMapUpdate = (object: ConfigMap, old: ConfigMap): FieldError[] => [
  ...immutableData(object, old, ['data', 'binaryData']),
  ...validateConfigMap(object),
];

function jsonKey(object: Secret, key: string): FieldError[] {
  const value = object.data?.[key];
  if (value === undefined) return [fieldRequired(`data[${key}]`)];
  try {
    JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
    return [];
  } catch (error) {
    return [fieldInvalid(`data[${key}]`, '<secret contents redacted>', error instanceof Error ? error.message : '')];
  }
}

function typeRules(object: Secret): FieldError[] {
  const missing = (key: string): boolean => object.data?.[key] === undefined;
  const required = (...keys: string[]): FieldError[] => keys.filter(missing).map((key) => fieldRequired(`data[${key}]`));
  switch (object.type ?? '') {
    case 'kubernetes.io/service-account-token':
      return (object.metadata.annotations?.['kubernetes.io/service-account.name'] ?? '') === ''
        ? [fieldRequired('metadata.annotations[kubernetes.io/service-account.name]')]
        : [];
    case 'kubernetes.io/dockercfg':
      return jsonKey(object, '.dockercfg');
    case 'kubernetes.io/dockerconfigjson':
      return jsonKey(object, '.dockerconfigjson');
    case 'kubernetes.io/basic-auth':
      return missing('username') && missing('password') ? required('username', 'password') : [];
    case 'kubernetes.io/ssh-auth':
      return (object.data?.['ssh-privatekey'] ?? '') === '' ? [fieldRequired('data[ssh-privatekey]')] : [];
    case 'kubernetes.io/tls':
      return required('tls.crt', 'tls.key');
    default:
      return [];
  }
}

export function validateSecret(object: Secret): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(object.data ?? {})) {
    errors.push(...fieldProblems(`data[${key}]`, key, configKeyProblems(key)));
    size += decodedSize(value);
  }
  if (size > maxSize) errors.push(fieldTooLong('data', maxSize));
  return [...errors, ...typeRules(object)];
}

export const validateSecretUpdate = (object: Secret, old: Secret): FieldError[] => [
  ...immutable('type', object.type, old.type),
  ...immutableData(object, old, ['data']),
  ...validateSecret(object),
];

/** env and envFrom of containers. */
import type { EnvFromSource, EnvVar, EnvVarSource } from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { configKeyProblems, environmentNameProblems } from '#kube/validation/values.ts';

const envFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const envResources = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
export const volumeFields = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid'];

const subscript = /^(metadata\.(?:annotations|labels))\['(.*)'\]$/;

/** The path of a downward API field. */
export function fieldRef(
  field: string,
  ref: { readonly apiVersion?: string; readonly fieldPath: string },
  supported: readonly string[],
): FieldError[] {
  if (ref.apiVersion === undefined || ref.apiVersion === '') return [fieldRequired(`${field}.apiVersion`)];
  if (ref.fieldPath === '') return [fieldRequired(`${field}.fieldPath`)];
  const path = subscript.exec(ref.fieldPath);
  if (path !== null) return [];
  if (ref.apiVersion !== 'v1')
    return [fieldInvalid(`${field}.fieldPath`, ref.fieldPath, `error converting fieldPath: unsupported pod version: ${ref.apiVersion}`)];
  return supported.includes(ref.fieldPath) ? [] : [fieldNotSupported(`${field}.fieldPath`, ref.fieldPath, supported)];
}

/** A resource of a container in the downward API. */
export function resourceFieldRef(
  field: string,
  ref: { readonly containerName?: string; readonly resource: string; readonly divisor?: string | number },
  inVolume: boolean,
): FieldError[] {
  if (inVolume && (ref.containerName ?? '') === '') return [fieldRequired(`${field}.containerName`)];
  if (ref.resource === '') return [fieldRequired(`${field}.resource`)];
  const huge = /^(?:requests|limits)\.hugepages-/.test(ref.resource);
  if (!huge && !envResources.includes(ref.resource)) return [fieldNotSupported(`${field}.resource`, ref.resource, envResources)];
  return divisor(`${field}.divisor`, ref);
}

function divisor(field: string, ref: { readonly resource: string; readonly divisor?: string | number }): FieldError[] {
  const text = String(ref.divisor ?? '0');
  if (text === '0') return [];
  const cpu = ref.resource.endsWith('.cpu');
  const allowed = cpu ? ['1m', '1'] : ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'];
  const rule = cpu ? "only divisor's values 1m and 1 are supported with the cpu resource" : undefined;
  const other = "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource";
  return allowed.includes(text) ? [] : [fieldInvalid(field, text, rule ?? other)];
}

interface KeyRef {
  readonly name?: string;
  readonly key: string;
}

function keyRef(field: string, ref: KeyRef): FieldError[] {
  const errors: FieldError[] = [];
  const name = ref.name ?? '';
  if (name === '') errors.push(fieldRequired(`${field}.name`));
  else errors.push(...fieldProblems(`${field}.name`, name, isDns1123Subdomain(name)));
  if (ref.key === '') errors.push(fieldRequired(`${field}.key`));
  else errors.push(...fieldProblems(`${field}.key`, ref.key, configKeyProblems(ref.key)));
  return errors;
}

function valueFrom(field: string, variable: EnvVar, source: EnvVarSource): FieldError[] {
  const errors: FieldError[] = [];
  if (source.fieldRef !== undefined) errors.push(...fieldRef(`${field}.fieldRef`, source.fieldRef, envFields));
  if (source.resourceFieldRef !== undefined) errors.push(...resourceFieldRef(`${field}.resourceFieldRef`, source.resourceFieldRef, false));
  if (source.configMapKeyRef !== undefined) errors.push(...keyRef(`${field}.configMapKeyRef`, source.configMapKeyRef));
  if (source.secretKeyRef !== undefined) errors.push(...keyRef(`${field}.secretKeyRef`, source.secretKeyRef));
  const sources = Object.keys(source).length;
  if (sources === 0)
    errors.push(
      fieldInvalid(field, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'),
    );
  else if ((variable.value ?? '') !== '') errors.push(fieldInvalid(field, '', 'may not be specified when `value` is not empty'));
  else if (sources > 1) errors.push(fieldInvalid(field, '', 'may not have more than one field specified at a time'));
  return errors;
}

export function environment(field: string, variables: readonly EnvVar[] | undefined): FieldError[] {
  return (variables ?? []).flatMap((variable, i) => {
    const at = `${field}[${i}]`;
    const name =
      variable.name === ''
        ? [fieldRequired(`${at}.name`)]
        : fieldProblems(`${at}.name`, variable.name, environmentNameProblems(variable.name));
    return [...name, ...(variable.valueFrom === undefined ? [] : valueFrom(`${at}.valueFrom`, variable, variable.valueFrom))];
  });
}

export function environmentFrom(field: string, sources: readonly EnvFromSource[] | undefined): FieldError[] {
  return (sources ?? []).flatMap((source, i) => {
    const at = `${field}[${i}]`;
    const errors: FieldError[] = [];
    const prefix = source.prefix ?? '';
    if (prefix !== '') errors.push(...fieldProblems(`${at}.prefix`, prefix, environmentNameProblems(prefix)));
    for (const kind of ['configMapRef', 'secretRef'] as const) {
      const ref = source[kind];
      if (ref === undefined) continue;
      const name = ref.name ?? '';
      if (name === '') errors.push(fieldRequired(`${at}.${kind}.name`));
      else errors.push(...fieldProblems(`${at}.${kind}.name`, name, isDns1123Subdomain(name)));
    }
    const count = Number(source.configMapRef !== undefined) + Number(source.secretRef !== undefined);
    if (count === 0) errors.push(fieldInvalid(at, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (count > 1) errors.push(fieldInvalid(at, '', 'may not have more than one field specified at a time'));
    return errors;
  });
}

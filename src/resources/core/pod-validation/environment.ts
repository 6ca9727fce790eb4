/** env and envFrom of containers. */
import type { EnvFromSource, EnvVar, EnvVarSource, FileKeySelector, Volume } from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotFound, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { configKeyProblems, environmentNameProblems, nonReservedPath, qualifiedName } from '#kube/validation/values.ts';

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

/** A path such as metadata.labels['key'], split: fieldpath.SplitMaybeSubscriptedPath. */
const subscript = /^([^[]*)\['(.*)'\]$/s;

/** What a pod's fields may be called through the downward API; those with a key are checked apart. */
const known = new Set([
  ...envFields,
  ...volumeFields,
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
  'metadata.annotations',
  'metadata.labels',
]);

/** The path of a downward API field: validateObjectFieldSelector. */
export function fieldRef(
  field: string,
  ref: { readonly apiVersion?: string; readonly fieldPath: string },
  supported: readonly string[],
): FieldError[] {
  const { apiVersion = '', fieldPath } = ref;
  if (apiVersion === '') return [fieldRequired(`${field}.apiVersion`)];
  if (fieldPath === '') return [fieldRequired(`${field}.fieldPath`)];
  const at = `${field}.fieldPath`;
  const failed = (why: string): FieldError[] => [fieldInvalid(at, fieldPath, `error converting fieldPath: ${why}`)];
  if (apiVersion !== 'v1') return failed(`unsupported pod version: ${apiVersion}`);
  const [, path, key] = subscript.exec(fieldPath) ?? [];
  if (path !== undefined && key !== undefined) {
    if (path === 'metadata.annotations') return qualifiedName(field, key.toLowerCase());
    return path === 'metadata.labels' ? qualifiedName(field, key) : failed(`field label does not support subscript: ${fieldPath}`);
  }
  if (!known.has(fieldPath)) return failed(`field label not supported: ${fieldPath}`);
  return supported.includes(fieldPath) ? [] : [fieldNotSupported(at, fieldPath, supported)];
}

const hugePages = /^(?:requests|limits)\.hugepages-/;

/** A resource of a container in the downward API: validateContainerResourceFieldSelector. */
export function resourceFieldRef(
  field: string,
  ref: { readonly containerName?: string; readonly resource: string; readonly divisor?: string | number },
  inVolume: boolean,
): FieldError[] {
  const { containerName = '', resource } = ref;
  const errors: FieldError[] = [];
  if (inVolume && containerName === '') errors.push(fieldRequired(`${field}.containerName`));
  else if (resource === '') errors.push(fieldRequired(`${field}.resource`));
  else if (!envResources.includes(resource) && !hugePages.test(resource))
    errors.push(fieldNotSupported(`${field}.resource`, resource, envResources));
  return [...errors, ...divisor(`${field}.divisor`, resource, String(ref.divisor ?? '0'))];
}

const units = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'];

function divisor(field: string, resource: string, value: string): FieldError[] {
  if (value === '0') return [];
  const kind = hugePages.test(resource) ? 'hugepages' : resource.replace(/^(?:limits|requests)\./, '');
  const wrong = (rule: string): FieldError[] => [fieldInvalid(field, resource, rule)];
  if (kind === 'cpu')
    return value === '1m' || value === '1' ? [] : wrong("only divisor's values 1m and 1 are supported with the cpu resource");
  if (kind !== 'memory' && kind !== 'ephemeral-storage' && kind !== 'hugepages') return [];
  const name = kind === 'ephemeral-storage' ? 'local ephemeral storage' : kind;
  return units.includes(value) ? [] : wrong(`only divisor's values ${units.join(', ')} are supported with the ${name} resource`);
}

interface KeyRef {
  readonly name?: string;
  readonly key: string;
}

function keyRef(field: string, ref: KeyRef): FieldError[] {
  const name = ref.name ?? '';
  const errors = fieldProblems(`${field}.name`, name, isDns1123Subdomain(name));
  if (ref.key === '') errors.push(fieldRequired(`${field}.key`));
  else errors.push(...fieldProblems(`${field}.key`, ref.key, configKeyProblems(ref.key)));
  return errors;
}

/** A variable from a file in a volume: validateFileKeySelector. */
function fileKeyRef(field: string, ref: FileKeySelector, volumes: ReadonlyMap<string, Volume>): FieldError[] {
  const errors: FieldError[] = [];
  if (ref.key === '') errors.push(fieldRequired(`${field}.key`));
  else errors.push(...fieldProblems(`${field}.key`, ref.key, environmentNameProblems(ref.key)));
  if (ref.volumeName === '') errors.push(fieldRequired(`${field}.volumeName`));
  else if (!volumes.has(ref.volumeName)) errors.push(fieldNotFound(`${field}.volumeName`, ref.volumeName));
  else if (volumes.get(ref.volumeName)?.emptyDir === undefined)
    errors.push(fieldInvalid(`${field}.volumeName`, ref.volumeName, 'referenced volume must be of type emptyDir'));
  if (ref.path === '') errors.push(fieldRequired(`${field}.path`));
  return [...errors, ...nonReservedPath(`${field}.path`, ref.path)];
}

function valueFrom(field: string, variable: EnvVar, source: EnvVarSource, volumes: ReadonlyMap<string, Volume>): FieldError[] {
  const errors: FieldError[] = [];
  if (source.fieldRef !== undefined) errors.push(...fieldRef(`${field}.fieldRef`, source.fieldRef, envFields));
  if (source.resourceFieldRef !== undefined) errors.push(...resourceFieldRef(`${field}.resourceFieldRef`, source.resourceFieldRef, false));
  if (source.configMapKeyRef !== undefined) errors.push(...keyRef(`${field}.configMapKeyRef`, source.configMapKeyRef));
  if (source.secretKeyRef !== undefined) errors.push(...keyRef(`${field}.secretKeyRef`, source.secretKeyRef));
  if (source.fileKeyRef !== undefined) errors.push(...fileKeyRef(`${field}.fileKeyRef`, source.fileKeyRef, volumes));
  const sources = Object.keys(source).length;
  if (sources === 0)
    errors.push(
      fieldInvalid(field, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'),
    );
  else if ((variable.value ?? '') !== '') errors.push(fieldInvalid(field, '', 'may not be specified when `value` is not empty'));
  else if (sources > 1) errors.push(fieldInvalid(field, '', 'may not have more than one field specified at a time'));
  return errors;
}

export function environment(field: string, variables: readonly EnvVar[] | undefined, volumes: ReadonlyMap<string, Volume>): FieldError[] {
  return (variables ?? []).flatMap((variable, i) => {
    const at = `${field}[${i}]`;
    const name =
      variable.name === ''
        ? [fieldRequired(`${at}.name`)]
        : fieldProblems(`${at}.name`, variable.name, environmentNameProblems(variable.name));
    return [...name, ...(variable.valueFrom === undefined ? [] : valueFrom(`${at}.valueFrom`, variable, variable.valueFrom, volumes))];
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
    if (count === 0) errors.push(fieldInvalid(field, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (count > 1) errors.push(fieldInvalid(field, '', 'may not have more than one field specified at a time'));
    return errors;
  });
}

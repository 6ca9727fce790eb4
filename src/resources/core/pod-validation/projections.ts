/** Sources of projected volumes: validateProjectionSources. */
import type {
  ClusterTrustBundleProjection,
  PodCertificateProjection,
  ServiceAccountTokenProjection,
  VolumeProjection,
} from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { labelSelector } from '#kube/validation/label-selector.ts';
import { signerName } from '#kube/validation/signer-name.ts';
import { nonReservedPath } from '#kube/validation/values.ts';
import { required } from '../volume-sources.ts';
import { downwardFiles, keysToPaths } from './volume-files.ts';

function token(field: string, volumeField: string, source: ServiceAccountTokenProjection): FieldError[] {
  const { expirationSeconds: seconds = 3600, path } = source;
  const errors: FieldError[] = [];
  const at = `${field}.expirationSeconds`;
  if (seconds < 600) errors.push(fieldInvalid(at, seconds, 'may not specify a duration less than 10 minutes'));
  if (seconds > 2 ** 32) errors.push(fieldInvalid(at, seconds, 'may not specify a duration larger than 2^32 seconds'));
  // Upstream names the volume here.
  return path === '' ? [...errors, fieldRequired(`${volumeField}.path`)] : [...errors, ...nonReservedPath(`${volumeField}.path`, path)];
}

/** The name of a bundle is that of its signer, with `:`, and a name; or just a name. */
function bundleName(name: string): string[] {
  const colon = name.indexOf(':');
  if (colon < 0) return isDns1123Subdomain(name);
  return isDns1123Subdomain(name.slice(name.lastIndexOf(':') + 1));
}

function trustBundle(field: string, source: ClusterTrustBundleProjection): FieldError[] {
  const { name, signerName: signer, labelSelector: selector, path } = source;
  const errors: FieldError[] = [];
  if (name !== undefined && signer !== undefined) errors.push(fieldInvalid(field, source, 'only one of name and signerName may be used'));
  else if (name !== undefined) {
    if (name === '') errors.push(fieldRequired(`${field}.name`, 'must be a valid object name'));
    errors.push(
      ...fieldProblems(
        `${field}.name`,
        name,
        bundleName(name).map((why) => `not a valid clustertrustbundlename: ${why}`),
      ),
    );
    if (selector !== undefined)
      errors.push(fieldInvalid(`${field}.labelSelector`, selector, 'labelSelector must be unset if name is specified'));
  } else if (signer !== undefined) {
    if (signer === '') errors.push(fieldRequired(`${field}.signerName`, 'must be a valid signer name'));
    errors.push(...signerName(`${field}.signerName`, signer), ...labelSelector(`${field}.labelSelector`, selector));
  } else errors.push(fieldRequired(field, 'either name or signerName must be specified'));
  return [...errors, ...(path === '' ? [fieldRequired(`${field}.path`)] : []), ...nonReservedPath(`${field}.path`, path)];
}

const keyTypes = ['RSA3072', 'RSA4096', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'];
const lifetimes = { least: 3600, most: 91 * 24 * 3600, mostOfKubernetes: 24 * 3600 };

function certificate(field: string, source: PodCertificateProjection): FieldError[] {
  const { signerName: signer, keyType, maxExpirationSeconds: seconds, credentialBundlePath: bundle = '' } = source;
  const { keyPath = '', certificateChainPath: chain = '' } = source;
  const errors = signerName(`${field}.signerName`, signer);
  if (!keyTypes.includes(keyType)) errors.push(fieldNotSupported(`${field}.keyType`, keyType, keyTypes));
  if (seconds !== undefined) {
    const most = signer.startsWith('kubernetes.io/') ? lifetimes.mostOfKubernetes : lifetimes.most;
    const at = `${field}.maxExpirationSeconds`;
    if (seconds < lifetimes.least)
      errors.push(fieldInvalid(at, seconds, `if provided, maxExpirationSeconds must be >= ${lifetimes.least}`));
    if (seconds > most) errors.push(fieldInvalid(at, seconds, `if provided, maxExpirationSeconds must be <= ${most}`));
  }
  const files = { credentialBundlePath: bundle, keyPath, certificateChainPath: chain };
  if (Object.values(files).every((path) => path === ''))
    errors.push(fieldRequired(field, 'specify at least one of credentialBundlePath, keyPath, and certificateChainPath'));
  for (const [part, path] of Object.entries(files)) if (path !== '') errors.push(...nonReservedPath(`${field}.${part}`, path));
  return errors;
}

/** The files that a source makes, each with the value that a clash is told with. */
function filesOf(source: VolumeProjection): (readonly [path: string, shown: string])[] {
  const bundle = source.clusterTrustBundle;
  const { credentialBundlePath, keyPath, certificateChainPath } = source.podCertificate ?? {};
  return [
    ...(source.secret?.items ?? []).map((item) => [item.path, source.secret?.name ?? ''] as const),
    ...(source.configMap?.items ?? []).map((item) => [item.path, source.configMap?.name ?? ''] as const),
    ...(source.downwardAPI?.items ?? []).map((item) => [item.path, item.path] as const),
    ...(bundle === undefined ? [] : [[bundle.path, bundle.path] as const]),
    ...[credentialBundlePath, keyPath, certificateChainPath].flatMap((path) => (path === undefined ? [] : [[path, path] as const])),
  ].filter(([path]) => path !== '');
}

function projection(field: string, volumeField: string, source: VolumeProjection): FieldError[] {
  const { secret, configMap, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate } = source;
  const errors: FieldError[] = [];
  for (const [part, ref] of [
    ['secret', secret],
    ['configMap', configMap],
  ] as const)
    if (ref !== undefined) errors.push(...required(`${field}.${part}`, ref, 'name'), ...keysToPaths(`${field}.${part}.items`, ref.items));
  if (downwardAPI !== undefined) errors.push(...downwardFiles(`${field}.downwardAPI`, downwardAPI.items));
  if (serviceAccountToken !== undefined) errors.push(...token(`${field}.serviceAccountToken`, volumeField, serviceAccountToken));
  if (clusterTrustBundle !== undefined) errors.push(...trustBundle(`${field}.clusterTrustBundle`, clusterTrustBundle));
  if (podCertificate !== undefined) errors.push(...certificate(`${field}.podCertificate`, podCertificate));
  return errors;
}

export function projections(field: string, sources: readonly VolumeProjection[] | undefined): FieldError[] {
  const seen = new Set<string>();
  return (sources ?? []).flatMap((source, i) => {
    const at = `${field}.sources[${i}]`;
    const errors = projection(at, field, source);
    for (const [path, shown] of filesOf(source)) {
      if (seen.has(path)) errors.push(fieldInvalid(field, shown, 'conflicting duplicate paths'));
      seen.add(path);
    }
    if (Object.keys(source).length > 1) errors.push(fieldForbidden(at, 'may not specify more than 1 volume type per source'));
    return errors;
  });
}

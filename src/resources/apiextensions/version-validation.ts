/** One version of a CustomResourceDefinition beside its schema, and the webhook that converts between versions. */
import type { CustomResourceDefinitionVersion, JSONSchemaProps, WebhookConversion } from '#kube/generated/apiextensions-v1.ts';
import { isDns1035Label } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import {
  fieldDuplicate,
  fieldInvalid,
  fieldNotSupported,
  fieldProblems,
  fieldRequired,
  fieldTooMany,
} from '#kube/validation/field-error.ts';

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];
const maxSelectableFields = 8;
const maxWarningBytes = 256;

/** Scale, printer columns, selectable fields and deprecation of a version. */
export function versionErrors(version: CustomResourceDefinitionVersion, at: string): FieldError[] {
  return [
    ...scaleErrors(version, `${at}.subresources.scale`),
    ...columnErrors(version, at),
    ...selectableErrors(version, at),
    ...warningErrors(version, at),
  ];
}

function simplePath(path: string, field: string): FieldError[] {
  if (!path.startsWith('.')) return [fieldInvalid(field, path, 'must be a simple json path starting with .')];
  return path.includes('[') ? [fieldInvalid(field, path, 'must be a simple json path of fields, without array indices')] : [];
}

function scaleErrors({ subresources }: CustomResourceDefinitionVersion, at: string): FieldError[] {
  const scale = subresources?.scale;
  if (scale === undefined) return [];
  const under = (path: string, field: string, roots: readonly string[], where: string): FieldError[] => {
    const errors = simplePath(path, field);
    if (errors.length > 0) return errors;
    return roots.some((root) => path.startsWith(`${root}.`)) ? [] : [fieldInvalid(field, path, `should be a json path under ${where}`)];
  };
  const { specReplicasPath: spec, statusReplicasPath: status, labelSelectorPath: selector = '' } = scale;
  return [
    ...(spec === '' ? [fieldRequired(`${at}.specReplicasPath`)] : under(spec, `${at}.specReplicasPath`, ['.spec'], '.spec')),
    ...(status === '' ? [fieldRequired(`${at}.statusReplicasPath`)] : under(status, `${at}.statusReplicasPath`, ['.status'], '.status')),
    ...(selector === '' ? [] : under(selector, `${at}.labelSelectorPath`, ['.spec', '.status'], 'either .spec or .status')),
  ];
}

function columnErrors(version: CustomResourceDefinitionVersion, at: string): FieldError[] {
  return (version.additionalPrinterColumns ?? []).flatMap((column, i) => {
    const field = `${at}.additionalPrinterColumns[${i}]`;
    const { name, type, jsonPath, format = '' } = column;
    const errors: FieldError[] = [];
    if (name === '') errors.push(fieldRequired(`${field}.name`));
    if (type === '') errors.push(fieldRequired(`${field}.type`, `must be one of ${columnTypes.join(',')}`));
    else if (!columnTypes.includes(type)) errors.push(fieldNotSupported(`${field}.type`, type, columnTypes));
    if (format !== '' && !columnFormats.includes(format)) errors.push(fieldNotSupported(`${field}.format`, format, columnFormats));
    if (jsonPath === '') errors.push(fieldRequired(`${field}.jsonPath`));
    return errors;
  });
}

/** The schema that a path of fields leads to. */
function schemaAt(root: JSONSchemaProps | undefined, path: string): JSONSchemaProps | undefined {
  let at = root;
  for (const step of path.split('.').filter((s) => s !== '')) {
    const { properties = {} } = at ?? {};
    at = Object.hasOwn(properties, step) ? properties[step] : undefined;
  }
  return at;
}

const selectableTypes = new Set(['string', 'boolean', 'integer']);

function selectableErrors(version: CustomResourceDefinitionVersion, at: string): FieldError[] {
  const fields = version.selectableFields ?? [];
  const errors: FieldError[] = [];
  if (fields.length > maxSelectableFields) errors.push(fieldTooMany(`${at}.selectableFields`, fields.length, maxSelectableFields));
  const seen = new Set<string>();
  for (const [i, { jsonPath }] of fields.entries()) {
    const field = `${at}.selectableFields[${i}].jsonPath`;
    if (jsonPath === '') {
      errors.push(fieldRequired(field));
      continue;
    }
    if (seen.has(jsonPath)) errors.push(fieldDuplicate(field, jsonPath));
    seen.add(jsonPath);
    const schema = schemaAt(version.schema?.openAPIV3Schema as JSONSchemaProps | undefined, jsonPath);
    if (/^\.metadata(\.|$)/.test(jsonPath)) errors.push(fieldInvalid(field, jsonPath, 'must not point to fields in metadata'));
    else if (schema === undefined) errors.push(fieldInvalid(field, jsonPath, 'does not refer to a valid field'));
    else if (!selectableTypes.has(schema.type ?? ''))
      errors.push(
        fieldInvalid(
          field,
          jsonPath,
          'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        ),
      );
  }
  return errors;
}

function warningErrors({ deprecated, deprecationWarning: text }: CustomResourceDefinitionVersion, at: string): FieldError[] {
  if (text === undefined) return [];
  const field = `${at}.deprecationWarning`;
  if (deprecated !== true) return [fieldInvalid(field, text, 'can only be set for deprecated versions')];
  if (text === '') return [fieldInvalid(field, text, 'must not be an empty string')];
  const printable = !/\p{C}/u.test(text);
  return [
    ...(Buffer.byteLength(text) > maxWarningBytes ? [fieldInvalid(field, text, `must be <= ${maxWarningBytes} characters long`)] : []),
    ...(printable ? [] : [fieldInvalid(field, text, 'must only contain printable UTF-8 characters; non-printable character found')]),
  ];
}

const knownReviews = ['v1', 'v1beta1'];

/** The webhook of strategy Webhook. */
export function webhookErrors(webhook: WebhookConversion | undefined, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const config = webhook?.clientConfig;
  if (config === undefined || (config.url === undefined) === (config.service === undefined))
    errors.push(fieldRequired(`${field}.webhookClientConfig`, 'exactly one of url or service is required'));
  if (config?.url !== undefined) errors.push(...urlErrors(config.url, `${field}.webhookClientConfig.url`));
  if (config?.service !== undefined) errors.push(...serviceErrors(config.service, `${field}.webhookClientConfig.service`));
  const versions = webhook?.conversionReviewVersions ?? [];
  const at = `${field}.conversionReviewVersions`;
  if (versions.length === 0) errors.push(fieldRequired(at));
  for (const [i, v] of versions.entries()) {
    if (versions.indexOf(v) !== i) errors.push(fieldInvalid(`${at}[${i}]`, v, 'duplicate version'));
    errors.push(...fieldProblems(`${at}[${i}]`, v, isDns1035Label(v)));
  }
  if (versions.length > 0 && !versions.some((v) => knownReviews.includes(v)))
    errors.push(fieldInvalid(at, versions, `must include at least one of ${knownReviews.join(', ')}`));
  return errors;
}

type WebhookService = NonNullable<NonNullable<WebhookConversion['clientConfig']>['service']>;

function serviceErrors({ name, namespace, port, path = '' }: WebhookService, field: string): FieldError[] {
  return [
    ...(name === '' ? [fieldRequired(`${field}.name`, 'service name is required')] : []),
    ...(namespace === '' ? [fieldRequired(`${field}.namespace`, 'service namespace is required')] : []),
    ...(path === '' || path.startsWith('/') ? [] : [fieldInvalid(`${field}.path`, path, "must start with a '/'")]),
    ...(port === undefined || (port > 0 && port < 65536)
      ? []
      : [fieldInvalid(`${field}.port`, port, 'port is not valid: must be between 1 and 65535, inclusive')]),
  ];
}

/** k8s.io/apiserver pkg/util/webhook ValidateWebhookURL. */
function urlErrors(text: string, field: string): FieldError[] {
  const form = '; desired format: https://host[/path]';
  if (!URL.canParse(text)) return [fieldRequired(field, `url must be a valid URL: ${JSON.stringify(text)}${form}`)];
  const url = new URL(text);
  const errors: FieldError[] = [];
  if (url.protocol !== 'https:')
    errors.push(fieldInvalid(field, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`));
  if (url.host === '') errors.push(fieldInvalid(field, url.host, `host must be specified${form}`));
  if (url.username !== '' || url.password !== '')
    errors.push(fieldInvalid(field, url.username, 'user information is not permitted in the URL'));
  if (url.hash !== '') errors.push(fieldInvalid(field, url.hash.slice(1), 'fragments are not permitted in the URL'));
  if (url.search !== '') errors.push(fieldInvalid(field, url.search.slice(1), 'query parameters are not permitted in the URL'));
  return errors;
}

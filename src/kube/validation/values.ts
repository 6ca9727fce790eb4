/** Checks of single values that many kinds share: k8s.io/apimachinery pkg/util/validation and pkg/apis/core/validation. */
import { isDeepStrictEqual } from 'node:util';
import { isDns1123Label, isDns1123Subdomain, isLabelValue, isQualifiedName, maxLengthError, regexError } from '../names.ts';
import { compareQuantity, quantitySign } from '../quantity.ts';
import type { Quantity } from '../schema.ts';
import type { FieldError } from '../status-error.ts';
import { fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from './field-error.ts';

export const immutableText = 'field is immutable';
export const nonNegativeText = 'must be greater than or equal to 0';
export const rangeText = (low: number, high: number): string => `must be between ${low} and ${high}, inclusive`;

/** A number that may not be negative. */
export const nonNegative = (field: string, value: number | undefined): FieldError[] =>
  value !== undefined && value < 0 ? [fieldInvalid(field, value, nonNegativeText)] : [];

/** A number that must be above zero. */
export const positive = (field: string, value: number | undefined): FieldError[] =>
  value !== undefined && value <= 0 ? [fieldInvalid(field, value, 'must be greater than zero')] : [];

/** A field that an update may not change. */
export const immutable = (field: string, value: unknown, old: unknown): FieldError[] =>
  isDeepStrictEqual(value, old) ? [] : [fieldInvalid(field, value, immutableText)];

/** Text from a closed set; '' and absent are required. */
export function oneOf(field: string, value: string | undefined, supported: readonly string[]): FieldError[] {
  if (value === undefined || value === '') return [fieldRequired(field)];
  return supported.includes(value) ? [] : [fieldNotSupported(field, value, supported)];
}

/** As oneOf, for a field that may be absent. */
export const optionalOneOf = (field: string, value: string | undefined, supported: readonly string[]): FieldError[] =>
  value === undefined || supported.includes(value) ? [] : [fieldNotSupported(field, value, supported)];

export const dnsLabel = (field: string, value: string): FieldError[] => fieldProblems(field, value, isDns1123Label(value));
/** Names that are one segment of a path. */
export const pathSegmentProblems = (name: string): string[] => {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%'].filter((c) => name.includes(c)).map((c) => `may not contain '${c}'`);
};
export const requiredPathSegment = (field: string, name: string | undefined): FieldError[] =>
  name === undefined || name === '' ? [fieldRequired(field)] : fieldProblems(field, name, pathSegmentProblems(name));

export const dnsSubdomain = (field: string, value: string): FieldError[] => fieldProblems(field, value, isDns1123Subdomain(value));
export const qualifiedName = (field: string, value: string): FieldError[] => fieldProblems(field, value, isQualifiedName(value));

/** A label that names something, required. */
export const requiredDnsLabel = (field: string, value: string | undefined): FieldError[] =>
  value === undefined || value === '' ? [fieldRequired(field)] : dnsLabel(field, value);

const httpPath = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const httpPathPattern = new RegExp(`^${httpPath}$`);

/** A path below a domain, such as acme.io/foo, required. */
export function domainPrefixedPath(field: string, text: string): FieldError[] {
  if (text === '') return [fieldRequired(field)];
  const slash = text.indexOf('/');
  const [host, path] = slash < 0 ? ['', ''] : [text.slice(0, slash), text.slice(slash + 1)];
  if (host === '' || path === '') return [fieldInvalid(field, text, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  const errors = dnsSubdomain(field, host);
  if (!httpPathPattern.test(path)) errors.push(fieldInvalid(field, path, regexError('Invalid path', httpPath)));
  return errors;
}

/** A map of labels. */
export const labels = (field: string, map: Readonly<Record<string, string>> | undefined): FieldError[] =>
  Object.entries(map ?? {}).flatMap(([key, value]) => [
    ...fieldProblems(field, key, isQualifiedName(key)),
    ...fieldProblems(field, value, isLabelValue(value)),
  ]);

/** Keys of annotations. */
export const annotations = (field: string, map: Readonly<Record<string, string>> | undefined): FieldError[] =>
  Object.keys(map ?? {}).flatMap((key) => fieldProblems(field, key, isQualifiedName(key.toLowerCase())));

/** Problems of a port number. */
export const portNumberProblems = (port: number): string[] =>
  Number.isInteger(port) && port >= 1 && port <= 65535 ? [] : [rangeText(1, 65535)];
export const portNumber = (field: string, port: number): FieldError[] => fieldProblems(field, port, portNumberProblems(port));

/** Problems of a port's name: an IANA service name. */
export function portNameProblems(name: string): string[] {
  const problems: string[] = [];
  if (name.length > 15) problems.push(maxLengthError(15));
  if (!/^[-a-z0-9]+$/.test(name)) problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(name)) problems.push('must contain at least one letter (a-z)');
  if (name.includes('--')) problems.push('must not contain consecutive hyphens');
  if (name.startsWith('-') || name.endsWith('-')) problems.push('must not begin or end with a hyphen');
  return problems;
}
export const portName = (field: string, name: string): FieldError[] => fieldProblems(field, name, portNameProblems(name));

/** A port by number or name. */
export const portNumberOrName = (field: string, port: number | string): FieldError[] =>
  typeof port === 'number' ? portNumber(field, port) : portName(field, port);

/** The name of an environment variable: printable ASCII without '='. */
export function environmentNameProblems(name: string): string[] {
  if (name === '') return ['environment variable name must be non-empty'];
  return /^[ -<>-~]+$/.test(name)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** A key of a ConfigMap or Secret. */
export function configKeyProblems(key: string): string[] {
  const problems: string[] = [];
  if (key.length > 253) problems.push(maxLengthError(253));
  if (!/^[-._a-zA-Z0-9]+$/.test(key)) {
    const rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    problems.push(regexError(rule, '[-._a-zA-Z0-9]+', 'key.name', 'KEY_NAME', 'key-name'));
  }
  if (key === '.') problems.push("must not be '.'");
  else if (key === '..') problems.push("must not be '..'");
  else if (key.startsWith('..')) problems.push("must not start with '..'");
  return problems;
}

export const isPercent = (text: string): boolean => /^[0-9]+%$/.test(text);
export const percentText = regexError("a valid percent string must be a numeric string followed by an ending '%'", '[0-9]+%', '1%', '93%');

/** A whole number that is not negative, or a percentage. */
export function nonNegativeIntOrPercent(field: string, value: number | string): FieldError[] {
  if (typeof value === 'number') return nonNegative(field, value);
  return isPercent(value) ? [] : [fieldInvalid(field, value, percentText)];
}

/** A percentage may not exceed 100 %. */
export const notMoreThan100Percent = (field: string, value: number | string | undefined): FieldError[] =>
  typeof value === 'string' && isPercent(value) && Number.parseInt(value, 10) > 100
    ? [fieldInvalid(field, value, 'must not be greater than 100%')]
    : [];

/** The number that an amount of `value` (or percentage) is of; undefined where it is neither. */
export function intOrPercentValue(value: number | string | undefined): number | undefined {
  if (typeof value === 'number') return value;
  return value !== undefined && isPercent(value) ? Number.parseInt(value, 10) : undefined;
}

/** A path below a volume: relative, and not up. */
export const localPath = (field: string, path: string): FieldError[] => [
  ...(path.startsWith('/') ? [fieldInvalid(field, path, 'must be a relative path')] : []),
  ...pathWithoutBacksteps(field, path),
];

/** As localPath, for files: names that begin with two dots are the kubelet's. */
export const nonReservedPath = (field: string, path: string): FieldError[] => [
  ...localPath(field, path),
  ...(path.startsWith('..') && !path.startsWith('../') ? [fieldInvalid(field, path, "must not start with '..'")] : []),
];

export const pathWithoutBacksteps = (field: string, path: string): FieldError[] =>
  path.split('/').includes('..') ? [fieldInvalid(field, path, "must not contain '..'")] : [];

export const nonNegativeQuantity = (field: string, value: Quantity): FieldError[] =>
  quantitySign(value) < 0 ? [fieldInvalid(field, String(value), nonNegativeText)] : [];

/** -1, 0, 1, or undefined where one of the two is absent. */
export const compareAmounts = (a: Quantity | undefined, b: Quantity | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : compareQuantity(a, b);

/** The value of a key that a client chose: `constructor` and the like are not found on plain objects. */
export const ownValue = <T>(map: Readonly<Record<string, T>> | undefined, key: string): T | undefined =>
  map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined;

const standardFinalizers = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

/** A finalizer without a domain is one of those that the server itself knows: validateKubeFinalizerName. */
export const standardFinalizer = (field: string, name: string): FieldError[] =>
  name.includes('/') || standardFinalizers.has(name)
    ? []
    : [fieldInvalid(field, name, 'name is neither a standard finalizer name nor is it fully qualified')];

export const finalizerName = (field: string, name: string): FieldError[] => [
  ...qualifiedName(field, name),
  ...standardFinalizer(field, name),
];

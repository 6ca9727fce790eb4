/** Checks that the kinds of dynamic resource allocation share. */
import { isDns1123Subdomain, regexError } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldProblems, fieldRequired, fieldTooLong, fieldTooMany } from '#kube/validation/field-error.ts';
import { csiDriverName } from '../core/volume-sources.ts';

type Check<T> = (field: string, item: T) => FieldError[];

/** Not too many items, each of them right. */
export function items<T>(field: string, list: readonly T[] | undefined, most: number, check: Check<T>): FieldError[] {
  const all = list ?? [];
  return all.length > most ? [fieldTooMany(field, all.length, most)] : all.flatMap((item, i) => check(`${field}[${i}]`, item));
}

/** As items, where no two may have the same key. */
export function distinct<T>(
  field: string,
  list: readonly T[] | undefined,
  most: number,
  key: (item: T) => string,
  check: Check<T>,
): FieldError[] {
  const all = list ?? [];
  if (all.length > most) return items(field, all, most, check);
  const keys = all.map(key);
  const twice = keys.flatMap((k, i) => (keys.indexOf(k) < i ? [fieldDuplicate(`${field}[${i}]`, k)] : []));
  return [...items(field, all, most, check), ...twice];
}

const longestId = 32;
const longestPool = 253;
const identifier = '[A-Za-z_][A-Za-z0-9_]*';
const identifierPattern = new RegExp(`^${identifier}$`);
const identifierRule = regexError(
  "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
  identifier,
  'my_name',
  'MY_NAME',
  'MyName',
);

const cIdentifier = (field: string, id: string): FieldError[] => [
  ...(id.length > longestId ? [fieldTooLong(field, longestId)] : []),
  ...(identifierPattern.test(id) ? [] : [fieldInvalid(field, id, identifierRule)]),
];

/** The name of an attribute or capacity, with or without a domain. */
export function attributeName(field: string, name: string): FieldError[] {
  const [domain = '', id, ...more] = name.split('/');
  if (id === undefined) return cIdentifier(field, domain);
  if (more.length > 0) return [fieldInvalid(field, name, 'must not contain more than one slash')];
  return [
    ...(domain === '' ? [fieldInvalid(field, '', 'the domain must not be empty')] : csiDriverName(field, domain)),
    ...(id === '' ? [fieldInvalid(field, '', 'the name must not be empty')] : cIdentifier(field, id)),
  ];
}

export const fullAttributeName = (field: string, name: string): FieldError[] => [
  ...attributeName(field, name),
  ...(name.includes('/') ? [] : [fieldInvalid(field, name, 'a fully qualified name must be a domain and a name separated by a slash')]),
];

/** Subdomains with slashes in between. */
export function poolName(field: string, name: string): FieldError[] {
  if (name === '') return [fieldRequired(field)];
  const long = name.length > longestPool ? [fieldTooLong(field, longestPool)] : [];
  return [...long, ...name.split('/').flatMap((part) => fieldProblems(field, part, isDns1123Subdomain(part)))];
}

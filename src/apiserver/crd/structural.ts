/**
 * Whether the schema in a CustomResourceDefinition is structural: k8s.io/apiextensions-apiserver pkg/apiserver/schema/validation.go
 * and complete.go.
 */
import type { JSONSchemaProps } from '#kube/generated/apiextensions-v1.ts';
import { isObject, jsonEqual, own } from '#kube/json-value.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { maxDepth, patternProblem } from './schema.ts';

type Props = JSONSchemaProps;

interface Place {
  readonly path: string;
  readonly depth: number;
  /** The root, a field (also the value of a map) or an item of a list. */
  readonly level: 'root' | 'field' | 'item';
}

/** What keeps a schema from being structural, sorted by its text. */
export function structuralErrors(props: Props, path: string): FieldError[] {
  const errors: FieldError[] = [];
  checkInvariants(props, { path, depth: 0, level: 'root' }, errors);
  checkComplete(props, props, path, path, errors);
  const text = (e: FieldError): string => `${e.field}: ${e.message}`;
  return errors.sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

export const asProps = (value: unknown): Props | undefined => (isObject(value) ? (value as Props) : undefined);

const emptyType: Readonly<Record<Place['level'], string>> = {
  root: 'must not be empty at the root',
  field: 'must not be empty for specified object fields',
  item: 'must not be empty for specified array items',
};

function checkInvariants(p: Props, at: Place, errors: FieldError[]): void {
  const { path, depth, level } = at;
  if (depth > maxDepth) {
    errors.push(fieldInvalid(path, '', 'the schema is nested too deep'));
    return;
  }
  const below = (inner: Props, step: string, where: Place['level']): void =>
    checkInvariants(inner, { path: `${path}.${step}`, depth: depth + 1, level: where }, errors);
  const items = asProps(p.items);
  if (p.type === 'array' && items === undefined) errors.push(fieldRequired(`${path}.items`, 'must be specified'));
  if (items !== undefined) below(items, 'items', 'item');
  for (const [name, property] of Object.entries(p.properties ?? {})) below(property, `properties[${name}]`, 'field');
  if (p.additionalProperties !== undefined) {
    if (level === 'root') errors.push(fieldForbidden(`${path}.additionalProperties`, 'must not be used at the root'));
    const values = asProps(p.additionalProperties);
    if (values !== undefined) below(values, 'additionalProperties', 'field');
  }
  checkExtensions(p, path, errors);
  const first = p.allOf?.[0]?.anyOf;
  checkValueValidation(p, path, { anyOf: isIntOrString(p.anyOf), firstAllOfAnyOf: isIntOrString(first) }, errors, depth);
  checkType(p, at, errors);
  checkMetadata(p, at, errors);
}

function checkExtensions(p: Props, path: string, errors: FieldError[]): void {
  if (p['x-kubernetes-int-or-string'] !== true) return;
  for (const key of ['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource'] as const)
    if (p[key] === true) errors.push(fieldInvalid(`${path}.${key}`, true, 'must be false if x-kubernetes-int-or-string is true'));
}

function checkType(p: Props, { path, level }: Place, errors: FieldError[]): void {
  const type = p.type ?? '';
  const embedded = p['x-kubernetes-embedded-resource'] === true;
  const open = p['x-kubernetes-preserve-unknown-fields'] === true;
  if (embedded && type !== 'object') {
    const why = 'must be object if x-kubernetes-embedded-resource is true';
    errors.push(type === '' ? fieldRequired(`${path}.type`, why) : fieldInvalid(`${path}.type`, type, why));
  } else if (type === '' && p['x-kubernetes-int-or-string'] !== true && !open) errors.push(fieldRequired(`${path}.type`, emptyType[level]));
  if (embedded && p.additionalProperties !== undefined)
    errors.push(fieldForbidden(`${path}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'));
  if (level === 'root' && type !== '' && type !== 'object') errors.push(fieldInvalid(`${path}.type`, type, 'must be object at the root'));
  if (embedded && !open && Object.keys(p.properties ?? {}).length === 0)
    errors.push(
      fieldRequired(
        `${path}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    );
}

const intOrString = [{ type: 'integer' }, { type: 'string' }];
const isIntOrString = (anyOf: unknown): boolean => jsonEqual(anyOf, intOrString);

/** Of an object's own kind nothing is said, and of its metadata only which names it may have. */
function checkMetadata(p: Props, { path, level }: Place, errors: FieldError[]): void {
  const properties = p.properties ?? {};
  const given = (name: string): Props | undefined => own(properties, name) as Props | undefined;
  const isObjectRoot = level === 'root' || p['x-kubernetes-embedded-resource'] === true;
  const wanted = isObjectRoot
    ? ([
        ['kind', 'string'],
        ['apiVersion', 'string'],
        ['metadata', 'object'],
      ] as const)
    : [];
  for (const [name, type] of wanted) {
    const property = given(name);
    if (property !== undefined && property.type !== type)
      errors.push(fieldInvalid(`${path}.properties[${name}].type`, property.type ?? '', `must be ${type}`));
  }
  const metadata = given('metadata');
  if (level !== 'root' || metadata === undefined) return;
  const { type: _type, default: _default, properties: inner = {}, ...others } = metadata;
  const names = Object.keys(inner).filter((name) => name !== 'name' && name !== 'generateName');
  const rest = Object.values(others).filter((value) => value !== undefined && value !== false && value !== '');
  if (names.length > 0 || rest.length > 0)
    errors.push(
      fieldForbidden(
        `${path}.properties[metadata]`,
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    );
}

/** What int-or-string may say of its types. */
interface Exceptions {
  readonly anyOf: boolean;
  readonly firstAllOfAnyOf: boolean;
}

const noExceptions: Exceptions = { anyOf: false, firstAllOfAnyOf: false };

/** The schemas that only check values: `anyOf[0]`, `not`. */
function* valueSchemas(p: Props, exceptions: Exceptions): Generator<readonly [step: string, Props, Exceptions]> {
  for (const [i, inner] of (exceptions.anyOf ? [] : (p.anyOf ?? [])).entries()) yield [`anyOf[${i}]`, inner, noExceptions];
  for (const [i, inner] of (p.allOf ?? []).entries())
    yield [`allOf[${i}]`, inner, { anyOf: i === 0 && exceptions.firstAllOfAnyOf, firstAllOfAnyOf: false }];
  for (const [i, inner] of (p.oneOf ?? []).entries()) yield [`oneOf[${i}]`, inner, noExceptions];
  if (p.not !== undefined) yield ['not', p.not, noExceptions];
}

function checkValueValidation(p: Props, path: string, exceptions: Exceptions, errors: FieldError[], depth: number): void {
  for (const [step, inner, its] of valueSchemas(p, exceptions)) checkNested(inner, `${path}.${step}`, its, errors, depth + 1);
  const problem = (p.pattern ?? '') === '' ? undefined : patternProblem(p.pattern ?? '');
  if (problem !== undefined)
    errors.push(fieldInvalid(`${path}.pattern`, p.pattern, `must be a valid regular expression, but isn't: ${problem}`));
}

const mustBeEmpty = ['type', 'title', 'description', 'x-kubernetes-list-map-keys', 'x-kubernetes-validations'] as const;
const mustBeUndefined = ['additionalProperties', 'default', 'x-kubernetes-list-type', 'x-kubernetes-map-type'] as const;
const mustBeFalse = [
  'nullable',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
] as const;

/** A schema that checks values says nothing of structure. */
function checkNested(p: Props, path: string, exceptions: Exceptions, errors: FieldError[], depth: number): void {
  if (depth > maxDepth) {
    errors.push(fieldInvalid(path, '', 'the schema is nested too deep'));
    return;
  }
  checkValueValidation(p, path, exceptions, errors, depth);
  const items = asProps(p.items);
  if (items !== undefined) checkNested(items, `${path}.items`, noExceptions, errors, depth + 1);
  for (const [name, property] of Object.entries(p.properties ?? {}))
    checkNested(property, `${path}.properties[${name}]`, noExceptions, errors, depth + 1);
  const forbid = (key: string, state: string): number => errors.push(fieldForbidden(`${path}.${key}`, `must be ${state} to be structural`));
  for (const key of mustBeEmpty) if ((p[key]?.length ?? 0) > 0) forbid(key, 'empty');
  for (const key of mustBeUndefined) if (p[key] !== undefined) forbid(key, 'undefined');
  for (const key of mustBeFalse) if (p[key] === true) forbid(key, 'false');
  if (own(p.properties ?? {}, 'metadata') !== undefined)
    errors.push(fieldForbidden(`${path}.properties[metadata]`, 'must not be specified in a nested context'));
}

/** Every field and list that a checking schema knows must also be known to the structure. */
function checkComplete(v: Props, s: Props, at: string, checkedAt: string, errors: FieldError[], depth = 0): void {
  if (depth > maxDepth) return;
  const lists = (['allOf', 'anyOf', 'oneOf'] as const).flatMap((key) =>
    (v[key] ?? []).map((inner, i): readonly [string, Props] => [`${key}[${i}]`, inner]),
  );
  const inner = v.not === undefined ? lists : [['not', v.not] as const, ...lists];
  for (const [step, schema] of inner) {
    const path = `${checkedAt}.${step}`;
    checkComplete(schema, s, at, path, errors, depth + 1);
    checkBelow(schema, s, at, path, errors, depth + 1);
  }
}

function checkBelow(v: Props, s: Props, at: string, checkedAt: string, errors: FieldError[], depth: number): void {
  const inside = (schema: Props, structure: Props | undefined, step: string): void => {
    if (structure === undefined) {
      errors.push(fieldRequired(`${at}.${step}`, `because it is defined in ${checkedAt}.${step}`));
      return;
    }
    checkComplete(schema, structure, `${at}.${step}`, `${checkedAt}.${step}`, errors, depth + 1);
    checkBelow(schema, structure, `${at}.${step}`, `${checkedAt}.${step}`, errors, depth + 1);
  };
  if (depth > maxDepth) return;
  const items = asProps(v.items);
  if (items !== undefined) inside(items, asProps(s.items), 'items');
  for (const [name, property] of Object.entries(v.properties ?? {}))
    inside(property, own(s.properties ?? {}, name) as Props | undefined, `properties[${name}]`);
}

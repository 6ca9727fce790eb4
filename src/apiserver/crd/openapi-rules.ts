/**
 * What the schemas of v1 definitions may not hold, structural or not: ValidateCustomResourceDefinitionOpenAPISchema of
 * k8s.io/apiextensions-apiserver pkg/apis/apiextensions/validation.
 */

import { fieldPath } from '#kube/crd/field-path.ts';
import type { JSONSchemaProps, ValidationRule } from '#kube/generated/apiextensions-v1.ts';
import { own } from '#kube/json-value.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { maxDepth, schemaTypes } from './schema.ts';
import { asProps } from './structural.ts';

type Props = JSONSchemaProps;

interface Place {
  readonly path: string;
  readonly depth: number;
  readonly root: boolean;
  /** Inside the metadata of an object, embedded or not. */
  readonly inMeta: boolean;
  /** Why there may be no default; undefined where there may. */
  readonly noDefaults: string | undefined;
}

/** Fields of Go's JSONSchemaProps that no schema may use; true where their presence alone is told. */
const unsupported = ['id', 'additionalItems', 'patternProperties', 'definitions', 'dependencies', '$ref'] as const;

/** True when the schema uses what cannot be made a structural schema at all: NewStructural. */
export function isConvertible(errors: readonly FieldError[]): boolean {
  return !errors.some((e) => inconvertible.some((text) => e.message.endsWith(text)));
}

const arrayItems = 'items must be a schema object and not an array';
const falseToOpen = 'must be true or undefined';
const inconvertible = [...unsupported.map((key) => `${key} is not supported`), arrayItems, falseToOpen];

/** Checks a schema and all below it. */
export function openApiErrors(props: Props, path: string): FieldError[] {
  const errors: FieldError[] = [];
  check(props, { path, depth: 0, root: true, inMeta: false, noDefaults: undefined }, errors);
  return errors;
}

const metaFields = new Set(['metadata', 'kind', 'apiVersion']);

function check(p: Props, at: Place, errors: FieldError[]): void {
  const { path, depth } = at;
  // Told by the structural check.
  if (depth > maxDepth) return;
  checkUse(p, at, errors);
  const below = (inner: unknown, step: string, more: Partial<Place> = {}): void => {
    const schema = asProps(inner);
    if (schema !== undefined) check(schema, { ...at, root: false, path: `${path}.${step}`, depth: depth + 1, ...more }, errors);
  };
  checkMapOrFields(p, path, errors);
  const metaMap = 'inside additionalProperties applying to object metadata';
  below(p.additionalProperties, 'additionalProperties', at.inMeta ? { noDefaults: metaMap } : {});
  for (const [name, property] of Object.entries(p.properties ?? {})) {
    const isMeta = metaFields.has(name) && (at.root || p['x-kubernetes-embedded-resource'] === true);
    const noDefaults = isMeta && at.root ? `in top-level ${name}` : at.noDefaults;
    below(property, `properties[${name}]`, { inMeta: at.inMeta || isMeta, noDefaults });
  }
  below(p.not, 'not');
  for (const key of ['allOf', 'oneOf', 'anyOf'] as const) for (const [i, inner] of (p[key] ?? []).entries()) below(inner, `${key}[${i}]`);
  for (const [name, inner] of Object.entries(p.definitions ?? {})) below(inner, `definitions[${name}]`);
  if (Array.isArray(p.items)) for (const [i, inner] of p.items.entries()) below(inner, `items[${i}]`);
  else below(p.items, 'items');
  for (const [name, inner] of Object.entries(p.dependencies ?? {})) below(inner, `dependencies[${name}]`);
  if (p['x-kubernetes-preserve-unknown-fields'] === false)
    errors.push(fieldInvalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, falseToOpen));
  checkMapType(p, path, errors);
  checkListType(p, path, errors);
  checkItems(p, path, errors);
  checkRules(p, path, errors);
}

/** specStandardValidatorV3.validate. */
function checkUse(p: Props, { path, inMeta, noDefaults }: Place, errors: FieldError[]): void {
  const type = p.type ?? '';
  if (type !== '' && !schemaTypes.has(type)) errors.push(fieldNotSupported(`${path}.type`, type, [...schemaTypes].sort()));
  if (p.default !== undefined && noDefaults !== undefined) errors.push(fieldForbidden(`${path}.default`, `must not be set ${noDefaults}`));
  for (const key of unsupported) {
    const value = p[key];
    if (value !== undefined && value !== '' && !(key !== 'dependencies' && isEmptyMap(value)))
      errors.push(fieldForbidden(`${path}.${key}`, `${key} is not supported`));
  }
  if (type === 'null') errors.push(fieldForbidden(`${path}.type`, 'type cannot be set to null, use nullable as an alternative'));
  if (Array.isArray(p.items)) errors.push(fieldForbidden(`${path}.items`, arrayItems));
  if (inMeta && p['x-kubernetes-embedded-resource'] === true)
    errors.push(fieldForbidden(`${path}.x-kubernetes-embedded-resource`, 'must not be used inside of resource meta'));
}

const isEmptyMap = (value: unknown): boolean => asProps(value) !== undefined && Object.keys(value as object).length === 0;

function checkMapOrFields(p: Props, path: string, errors: FieldError[]): void {
  if (p.uniqueItems === true)
    errors.push(fieldForbidden(`${path}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'));
  const hasFields = Object.keys(p.properties ?? {}).length > 0;
  if (hasFields && p.additionalProperties !== undefined && p.additionalProperties !== true)
    errors.push(fieldForbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
}

/** A type that an extension needs. */
function needsType(p: Props, wanted: string, why: string, path: string, errors: FieldError[]): void {
  if (p.type === wanted) return;
  const text = `must be ${wanted} if ${why}`;
  errors.push((p.type ?? '') === '' ? fieldRequired(`${path}.type`, text) : fieldInvalid(`${path}.type`, p.type, text));
}

function checkMapType(p: Props, path: string, errors: FieldError[]): void {
  const type = p['x-kubernetes-map-type'];
  if (type === undefined) return;
  needsType(p, 'object', 'x-kubernetes-map-type is specified', path, errors);
  if (type !== 'atomic' && type !== 'granular')
    errors.push(fieldNotSupported(`${path}.x-kubernetes-map-type`, type, ['atomic', 'granular']));
}

const atomicInSet = 'must be atomic as item of a list with x-kubernetes-list-type=set';

function checkListType(p: Props, path: string, errors: FieldError[]): void {
  const type = p['x-kubernetes-list-type'];
  const keys = p['x-kubernetes-list-map-keys'] ?? [];
  const items = asProps(p.items);
  if (type !== undefined) needsType(p, 'array', 'x-kubernetes-list-type is specified', path, errors);
  if (type === 'set' && p.type === 'array' && items !== undefined) {
    const { 'x-kubernetes-list-type': list, 'x-kubernetes-map-type': map } = items;
    if (items.type === 'array' && list !== undefined && list !== 'atomic')
      errors.push(fieldInvalid(`${path}.items.x-kubernetes-list-type`, list, atomicInSet));
    // Upstream shows the type of the list, of which there is none, and not that of the map.
    if (items.type === 'object' && map !== 'atomic')
      errors.push(fieldInvalid(`${path}.items.x-kubernetes-map-type`, list ?? null, atomicInSet));
  }
  if (type !== undefined && type !== 'atomic' && type !== 'set' && type !== 'map')
    errors.push(fieldNotSupported(`${path}.x-kubernetes-list-type`, type, ['atomic', 'set', 'map']));
  if (keys.length > 0 && type !== 'map') {
    const why = 'must be map if x-kubernetes-list-map-keys is non-empty';
    const field = `${path}.x-kubernetes-list-type`;
    errors.push(type === undefined ? fieldRequired(field, why) : fieldInvalid(field, type, why));
  }
  if (type === 'map') checkMapList(p, keys, path, errors);
}

function checkMapList(p: Props, keys: readonly string[], path: string, errors: FieldError[]): void {
  const field = `${path}.x-kubernetes-list-map-keys`;
  if (keys.length === 0) errors.push(fieldRequired(field, 'must not be empty if x-kubernetes-list-type is map'));
  if (p.items === undefined) errors.push(fieldRequired(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map'));
  const items = asProps(p.items);
  if (items === undefined) return;
  if (items.type !== 'object') {
    errors.push(fieldInvalid(`${path}.items.type`, items.type ?? '', "must be object if parent array's x-kubernetes-list-type is map"));
    return;
  }
  for (const [i, key] of keys.entries()) {
    const property = own(items.properties ?? {}, key) as Props | undefined;
    if (property === undefined) errors.push(fieldInvalid(field, keys, 'entries must all be names of item properties'));
    else if (property.type === 'array' || property.type === 'object')
      errors.push(
        fieldInvalid(
          `${path}.items.properties[${key}].type`,
          items.type,
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      );
    if (keys.indexOf(key) !== i) errors.push(fieldInvalid(field, keys, 'must not contain duplicate entries'));
  }
}

/** Items of sets and maps are there, and their keys too: validateMapListKeysMapSet. */
function checkItems(p: Props, path: string, errors: FieldError[]): void {
  const type = p['x-kubernetes-list-type'];
  const items = asProps(p.items);
  if (items === undefined || (type !== 'set' && type !== 'map')) return;
  if (items.nullable === true)
    errors.push(fieldForbidden(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${type}`));
  if (type === 'set') return;
  const listed = 'this property is in x-kubernetes-list-map-keys, so it';
  for (const key of p['x-kubernetes-list-map-keys'] ?? []) {
    const property = own(items.properties ?? {}, key) as Props | undefined;
    const at = `${path}.items.properties[${key}]`;
    if (property === undefined) continue;
    if (property.default === undefined && items.required?.includes(key) !== true)
      errors.push(fieldRequired(`${at}.default`, `${listed} must have a default or be a required property`));
    if (property.nullable === true) errors.push(fieldForbidden(`${at}.nullable`, `${listed} cannot be nullable`));
  }
}

const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];
const breaks = /[\n\r]/;

/** The texts of rules; whether they compile is told where they are compiled. */
function checkRules(p: Props, path: string, errors: FieldError[]): void {
  for (const [i, r] of (p['x-kubernetes-validations'] ?? []).entries()) checkRule(p, r, `${path}.x-kubernetes-validations[${i}]`, errors);
}

function checkRule(p: Props, r: ValidationRule, at: string, errors: FieldError[]): void {
  const { message = '', messageExpression = '', fieldPath: where = '' } = r;
  if (r.rule.trim() === '') errors.push(fieldRequired(`${at}.rule`, 'rule is not specified'));
  else if (message !== '' && message.trim() === '') errors.push(fieldInvalid(`${at}.message`, message, 'must be non-empty if specified'));
  else if (breaks.test(message.trim())) errors.push(fieldInvalid(`${at}.message`, message, 'must not contain line breaks'));
  else if (breaks.test(r.rule.trim()) && message === '')
    errors.push(fieldRequired(`${at}.message`, 'message must be specified if rule contains line breaks'));
  if (messageExpression !== '' && messageExpression.trim() === '')
    errors.push(fieldRequired(`${at}.messageExpression`, 'messageExpression must be non-empty if specified'));
  if (r.reason !== undefined && !reasons.includes(r.reason)) errors.push(fieldNotSupported(`${at}.reason`, r.reason, reasons));
  if (where === '') return;
  if (where.trim() === '') errors.push(fieldInvalid(`${at}.fieldPath`, where, 'must be non-empty if specified'));
  if (breaks.test(where)) errors.push(fieldInvalid(`${at}.fieldPath`, where, 'must not contain line breaks'));
  if ('problem' in fieldPath(where, p, true)) errors.push(fieldInvalid(`${at}.fieldPath`, where, 'must be a valid path'));
}

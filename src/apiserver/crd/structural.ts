/**
 * What is wrong with the schema in a CustomResourceDefinition: k8s.io/apiextensions-apiserver pkg/apiserver/schema/validation.go
 * (structural schemas) and pkg/apis/apiextensions/validation (what v1 definitions may not hold).
 */
import type { JSONSchemaProps, ValidationRule } from '#kube/generated/apiextensions-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired } from '#kube/validation/field-error.ts';
import { compilePattern, maxDepth, schemaTypes } from './schema.ts';

type Props = JSONSchemaProps;

interface Place {
  readonly path: string;
  readonly depth: number;
  /** The root, a field (also the value of a map) or an item of a list. */
  readonly level: 'root' | 'field' | 'item';
}

/** Checks a schema whole. */
export function schemaErrors(props: Props, path: string): FieldError[] {
  const errors: FieldError[] = [];
  check(props, { path, depth: 0, level: 'root' }, errors);
  checkMetadata(props, path, errors);
  return errors;
}

const asProps = (value: unknown): Props | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Props) : undefined;

function check(p: Props, at: Place, errors: FieldError[]): void {
  const { path, depth } = at;
  if (depth > maxDepth) {
    errors.push(fieldInvalid(path, '', 'the schema is nested too deep'));
    return;
  }
  checkType(p, at, errors);
  checkForbidden(p, path, errors);
  checkEmbedded(p, path, errors);
  checkLists(p, path, errors);
  checkRules(p, path, errors);
  const below = (inner: Props, step: string, level: Place['level']): void =>
    check(inner, { path: `${path}.${step}`, depth: depth + 1, level }, errors);
  const items = asProps(p.items);
  if (items !== undefined) below(items, 'items', 'item');
  const values = asProps(p.additionalProperties);
  if (values !== undefined) below(values, 'additionalProperties', 'field');
  for (const [name, property] of Object.entries(p.properties ?? {}))
    if (at.level !== 'root' || name !== 'metadata') below(property, `properties[${name}]`, 'field');
  for (const [step, inner] of valueSchemas(p)) checkValueSchema(inner, p, `${path}.${step}`, path, errors, depth + 1);
}

const emptyType: Readonly<Record<Place['level'], string>> = {
  root: 'must not be empty at the root',
  field: 'must not be empty for specified object fields',
  item: 'must not be empty for specified array items',
};

function checkType(p: Props, { path, level }: Place, errors: FieldError[]): void {
  const type = p.type ?? '';
  const intOrString = p['x-kubernetes-int-or-string'] === true;
  const open = p['x-kubernetes-preserve-unknown-fields'] === true;
  if (type === 'null') errors.push(fieldForbidden(`${path}.type`, 'type cannot be set to null, use nullable as an alternative'));
  else if (type === '') {
    if (level === 'root' || (!intOrString && !open)) errors.push(fieldRequired(`${path}.type`, emptyType[level]));
  } else if (!schemaTypes.has(type)) errors.push(fieldNotSupported(`${path}.type`, type, [...schemaTypes].sort()));
  else if (level === 'root' && type !== 'object') errors.push(fieldInvalid(`${path}.type`, type, 'must be object at the root'));
  if (level === 'root' && p.nullable === true) errors.push(fieldForbidden(`${path}.nullable`, 'nullable cannot be true at the root'));
  if (type === 'array' && p.items === undefined) errors.push(fieldRequired(`${path}.items`, 'must be specified'));
}

const unsupported = ['definitions', 'dependencies', 'additionalItems', 'patternProperties', 'id'] as const;

function checkForbidden(p: Props, path: string, errors: FieldError[]): void {
  if (p.$ref !== undefined && p.$ref !== '') errors.push(fieldForbidden(`${path}.$ref`, '$ref is not supported'));
  if (p.uniqueItems === true)
    errors.push(fieldForbidden(`${path}.uniqueItems`, 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'));
  for (const key of unsupported)
    if (p[key] !== undefined && p[key] !== '') errors.push(fieldForbidden(`${path}.${key}`, `${key} is not supported`));
  if (Array.isArray(p.items)) errors.push(fieldForbidden(`${path}.items`, 'items must be a schema object and not an array'));
  if (p.additionalProperties === false)
    errors.push(fieldForbidden(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'));
  if (p.properties !== undefined && p.additionalProperties !== undefined && p.additionalProperties !== true)
    errors.push(fieldForbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  if (p.pattern !== undefined && p.pattern !== '' && compilePattern(p.pattern) === undefined)
    errors.push(fieldInvalid(`${path}.pattern`, p.pattern, "must be a valid regular expression, but isn't"));
  if (p['x-kubernetes-preserve-unknown-fields'] === false)
    errors.push(fieldInvalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
}

/** A type that an extension needs. */
function needsType(p: Props, wanted: string, why: string, path: string, errors: FieldError[]): void {
  if (p.type === wanted) return;
  const text = `must be ${wanted} if ${why}`;
  errors.push((p.type ?? '') === '' ? fieldRequired(`${path}.type`, text) : fieldInvalid(`${path}.type`, p.type, text));
}

function checkEmbedded(p: Props, path: string, errors: FieldError[]): void {
  if (p['x-kubernetes-embedded-resource'] !== true) return;
  needsType(p, 'object', 'x-kubernetes-embedded-resource is true', path, errors);
  if (p.properties === undefined && p['x-kubernetes-preserve-unknown-fields'] !== true)
    errors.push(
      fieldRequired(
        `${path}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    );
}

function checkLists(p: Props, path: string, errors: FieldError[]): void {
  const mapType = p['x-kubernetes-map-type'];
  if (mapType !== undefined) {
    needsType(p, 'object', 'x-kubernetes-map-type is specified', path, errors);
    if (mapType !== 'atomic' && mapType !== 'granular')
      errors.push(fieldNotSupported(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']));
  }
  const type = p['x-kubernetes-list-type'];
  const keys = p['x-kubernetes-list-map-keys'] ?? [];
  if (type !== undefined) needsType(p, 'array', 'x-kubernetes-list-type is specified', path, errors);
  if (type !== undefined && type !== 'atomic' && type !== 'set' && type !== 'map')
    errors.push(fieldNotSupported(`${path}.x-kubernetes-list-type`, type, ['atomic', 'map', 'set']));
  if (keys.length > 0 && type !== 'map') {
    const why = 'must be map if x-kubernetes-list-map-keys is non-empty';
    const field = `${path}.x-kubernetes-list-type`;
    errors.push(type === undefined ? fieldRequired(field, why) : fieldInvalid(field, type, why));
  }
  if (type === 'map') checkMapList(p, keys, path, errors);
  if (type === 'set') checkSet(p, path, errors);
}

function checkMapList(p: Props, keys: readonly string[], path: string, errors: FieldError[]): void {
  const field = `${path}.x-kubernetes-list-map-keys`;
  if (keys.length === 0) errors.push(fieldRequired(field, 'must not be empty if x-kubernetes-list-type is map'));
  const items = asProps(p.items);
  if (items === undefined) {
    errors.push(fieldRequired(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map'));
    return;
  }
  if (items.type !== 'object')
    errors.push(fieldInvalid(`${path}.items.type`, items.type ?? '', "must be object if parent array's x-kubernetes-list-type is map"));
  if (items.nullable === true)
    errors.push(fieldForbidden(`${path}.items.nullable`, 'cannot be nullable when x-kubernetes-list-type is map'));
  for (const [i, key] of keys.entries()) {
    if (keys.indexOf(key) !== i) {
      errors.push(fieldInvalid(`${field}[${i}]`, key, 'must not contain duplicate entries'));
      continue;
    }
    const at = `${path}.items.properties[${key}]`;
    const property = items.properties?.[key];
    if (property === undefined) errors.push(fieldInvalid(`${field}[${i}]`, key, 'entries must all be names of item properties'));
    else if (property.type === 'array' || property.type === 'object')
      errors.push(fieldInvalid(`${at}.type`, property.type, "must be a scalar type if parent array's x-kubernetes-list-type is map"));
    else if (property.nullable === true)
      errors.push(fieldForbidden(`${at}.nullable`, 'cannot be nullable when x-kubernetes-list-type is map'));
    else if (property.default === undefined && items.required?.includes(key) !== true)
      errors.push(
        fieldRequired(
          `${at}.default`,
          'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
        ),
      );
  }
}

function checkSet(p: Props, path: string, errors: FieldError[]): void {
  const items = asProps(p.items);
  if (items === undefined) return;
  if (items.nullable === true)
    errors.push(fieldForbidden(`${path}.items.nullable`, 'cannot be nullable when x-kubernetes-list-type is set'));
  const why = 'must be atomic as item of a list with x-kubernetes-list-type=set';
  const { 'x-kubernetes-map-type': map, 'x-kubernetes-list-type': list } = items;
  if (items.type === 'object' && map !== 'atomic') errors.push(fieldInvalid(`${path}.items.x-kubernetes-map-type`, map ?? null, why));
  if (items.type === 'array' && list !== undefined && list !== 'atomic')
    errors.push(fieldInvalid(`${path}.items.x-kubernetes-list-type`, list, why));
}

const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];

/** The texts of rules; whether they compile is told where they are compiled. */
function checkRules(p: Props, path: string, errors: FieldError[]): void {
  for (const [i, r] of ((p['x-kubernetes-validations'] ?? []) as readonly ValidationRule[]).entries()) {
    const at = `${path}.x-kubernetes-validations[${i}]`;
    const breaks = /[\n\r]/;
    if (r.rule.trim() === '') errors.push(fieldRequired(`${at}.rule`, 'rule is not specified'));
    if (r.message !== undefined && r.message !== '' && r.message.trim() === '')
      errors.push(fieldInvalid(`${at}.message`, r.message, 'message must be non-empty if specified'));
    else if (breaks.test(r.message?.trim() ?? ''))
      errors.push(fieldInvalid(`${at}.message`, r.message, 'message must not contain line breaks'));
    else if (breaks.test(r.rule.trim()) && (r.message ?? '') === '')
      errors.push(fieldRequired(`${at}.message`, 'message must be specified if rule contains line breaks'));
    if (r.messageExpression !== undefined && r.messageExpression !== '' && r.messageExpression.trim() === '')
      errors.push(fieldRequired(`${at}.messageExpression`, 'must be non-empty if specified'));
    if (r.reason !== undefined && !reasons.includes(r.reason)) errors.push(fieldNotSupported(`${at}.reason`, r.reason, reasons));
  }
}

/** The schemas that only check values: `anyOf[0]`, `not`. */
function* valueSchemas(p: Props): Generator<readonly [string, Props]> {
  for (const key of ['allOf', 'anyOf', 'oneOf'] as const) for (const [i, inner] of (p[key] ?? []).entries()) yield [`${key}[${i}]`, inner];
  if (p.not !== undefined) yield ['not', p.not];
}

const mustBeUndefined = ['default', 'additionalProperties', 'x-kubernetes-list-type', 'x-kubernetes-map-type'] as const;
const mustBeFalse = [
  'nullable',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
] as const;
const mustBeEmpty = ['title', 'description', 'x-kubernetes-list-map-keys', 'x-kubernetes-validations'] as const;

/** int-or-string may say of which types it is, and nothing else may. */
const isIntOrStringType = (inner: Props, structure: Props): boolean =>
  structure['x-kubernetes-int-or-string'] === true && (inner.type === 'integer' || inner.type === 'string');

/** A schema that checks values says nothing of structure, and knows only fields that the structure has. */
function checkValueSchema(p: Props, structure: Props, path: string, structurePath: string, errors: FieldError[], depth: number): void {
  if (depth > maxDepth) return;
  if ((p.type ?? '') !== '' && !isIntOrStringType(p, structure))
    errors.push(fieldForbidden(`${path}.type`, 'must be empty to be structural'));
  for (const key of mustBeUndefined)
    if (p[key] !== undefined) errors.push(fieldForbidden(`${path}.${key}`, 'must be undefined to be structural'));
  for (const key of mustBeFalse) if (p[key] === true) errors.push(fieldForbidden(`${path}.${key}`, 'must be false to be structural'));
  for (const key of mustBeEmpty)
    if ((p[key]?.length ?? 0) > 0) errors.push(fieldForbidden(`${path}.${key}`, 'must be empty to be structural'));
  const inside = (inner: Props, step: string, found: Props | undefined): void => {
    if (found === undefined) errors.push(fieldRequired(`${structurePath}.${step}`, `because it is defined in ${path}.${step}`));
    else checkValueSchema(inner, found, `${path}.${step}`, `${structurePath}.${step}`, errors, depth + 1);
  };
  const items = asProps(p.items);
  if (items !== undefined) inside(items, 'items', asProps(structure.items));
  for (const [name, property] of Object.entries(p.properties ?? {}))
    inside(property, `properties[${name}]`, structure.properties?.[name] ?? asProps(structure.additionalProperties));
  for (const [step, inner] of valueSchemas(p)) checkValueSchema(inner, structure, `${path}.${step}`, structurePath, errors, depth + 1);
}

/** Of an object's type nothing is said, and of its metadata only which names it may have. */
function checkMetadata(p: Props, path: string, errors: FieldError[]): void {
  for (const [name, type] of [
    ['metadata', 'object'],
    ['apiVersion', 'string'],
    ['kind', 'string'],
  ] as const) {
    const given = p.properties?.[name]?.type ?? '';
    if (given !== '' && given !== type) errors.push(fieldInvalid(`${path}.properties[${name}].type`, given, `must be ${type}`));
  }
  const { metadata } = p.properties ?? {};
  if (metadata === undefined) return;
  const { type: _type, description: _description, properties = {}, ...others } = metadata;
  const names = Object.keys(properties).filter((name) => name !== 'name' && name !== 'generateName');
  const rest = Object.entries(others).filter(([, value]) => value !== undefined && value !== false && value !== '');
  if (names.length > 0 || rest.length > 0)
    errors.push(
      fieldForbidden(
        `${path}.properties[metadata]`,
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    );
}

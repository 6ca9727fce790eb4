/** Objects within custom objects: k8s.io/apiextensions-apiserver pkg/apiserver/schema/objectmeta/validation.go. */
import { isObject, own } from '#kube/json-value.ts';
import type { KindDef } from '#kube/kind.ts';
import { isDns1035Label } from '#kube/names.ts';
import type { KubeObject, ObjectMeta } from '#kube/object.ts';
import type { Schema } from '#kube/schema.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldInvalid, fieldRequired } from '#kube/validation/field-error.ts';
import { validateMeta } from '../meta.ts';

/** What is wrong with apiVersion, kind and metadata of the objects below a value. */
export function embeddedErrors(schema: Schema, value: unknown): FieldError[] {
  const errors: FieldError[] = [];
  walk(schema, value, '', errors);
  return errors;
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function walk(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const [i, item] of value.entries()) walk(schema.items, item, `${path}[${i}]`, errors);
    return;
  }
  if (!isObject(value)) return;
  if (schema.embeddedResource === true) errors.push(...objectErrors(value, path));
  for (const [name, item] of Object.entries(value)) {
    const declared = own(schema.properties ?? {}, name) as Schema | undefined;
    if (declared !== undefined) walk(declared, item, join(path, name), errors);
    else if (typeof schema.additionalProperties === 'object') walk(schema.additionalProperties, item, `${path}[${name}]`, errors);
  }
}

function objectErrors(object: Readonly<Record<string, unknown>>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, problemsOf] of [
    ['apiVersion', versionProblems],
    ['kind', kindProblems],
  ] as const) {
    const value = own(object, name);
    const field = join(path, name);
    if (value === undefined || value === '') errors.push(fieldRequired(field));
    else if (typeof value !== 'string') errors.push(fieldInvalid(field, value, 'must be a string'));
    else for (const why of problemsOf(value)) errors.push(fieldInvalid(field, value, why));
  }
  const metadata = own(object, 'metadata');
  if (isObject(metadata)) errors.push(...metaErrors(metadata, path));
  return errors;
}

/** schema.ParseGroupVersion. */
const versionProblems = (text: string): string[] => (text.split('/').length > 2 ? [`unexpected GroupVersion string: ${text}`] : []);

function kindProblems(kind: string): string[] {
  const problems = isDns1035Label(kind.toLowerCase());
  return problems.length === 0 ? [] : [`may have mixed case, but should otherwise match: ${problems.join(',')}`];
}

/** Any name that could stand in a path will do, and none at all. */
function metaErrors(metadata: ObjectMeta, path: string): FieldError[] {
  const namespaced = (metadata.namespace ?? '') !== '';
  const def = { ref: { group: '', namespaced }, custom: true, nameFormat: 'path' } as unknown as KindDef;
  const named = (metadata.name ?? '') === '' ? { ...metadata, name: 'fakename' } : metadata;
  return validateMeta(def, { metadata: named } as unknown as KubeObject).map((e) => ({ ...e, field: join(path, e.field) }));
}

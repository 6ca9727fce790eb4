/** One version of a CustomResourceDefinition as a KindDef. */
import { type Cel, createCel } from '#kube/cel.ts';
import { type CelValidator, compileValidations } from '#kube/cel-validate.ts';
import { decodeValue } from '#kube/decode.ts';
import type { CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps } from '#kube/generated/apiextensions-v1.ts';
import { humanDuration } from '#kube/human-duration.ts';
import type { ColumnDef, Draft, KindDef, ScaleDef, TableDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import type { Schema } from '#kube/schema.ts';
import { definition } from '#kube/schema-registry.ts';
import { parseJsonPath } from './json-path.ts';
import { customSchema } from './schema.ts';
import { validateCustom } from './validate.ts';

/**
 * The KindDefs of all served versions. `revision`: that of the definition; what was written later was written under it.
 */
export function kindsOf(crd: CustomResourceDefinition, revision: number): KindDef[] {
  const cel = createCel();
  const storage = crd.spec.versions.find((v) => v.storage)?.name ?? '';
  return crd.spec.versions.filter((v) => v.served).map((version) => kindOf(crd, version, storage, revision, cel));
}

function refOf(crd: CustomResourceDefinition, version: string): ResourceRef {
  const { group, names, scope } = crd.spec;
  const accepted = crd.status?.acceptedNames ?? names;
  return {
    group,
    version,
    kind: names.kind,
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    namespaced: scope === 'Namespaced',
    shortNames: accepted.shortNames ?? [],
    categories: accepted.categories ?? [],
  };
}

function kindOf(crd: CustomResourceDefinition, v: CustomResourceDefinitionVersion, storage: string, revision: number, cel: Cel): KindDef {
  const { group, names } = crd.spec;
  const schema = customSchema(v.schema?.openAPIV3Schema as JSONSchemaProps | undefined, crd.spec.preserveUnknownFields === true);
  const hasStatus = v.subresources?.status !== undefined;
  const rules = lazy(() => compileValidations(cel, schema, (name) => definition(name) ?? {}));
  const converts = v.name !== storage || hasDefaults(schema, 0);
  const validate = (object: KubeObject, old?: KubeObject) => {
    const errors = validateCustom(schema, object);
    return errors.length > 0 ? errors : rules().validate(object, old);
  };
  const scale = v.subresources?.scale;
  return {
    ref: refOf(crd, v.name),
    schema,
    listKind: names.listKind ?? `${names.kind}List`,
    storage: { group, plural: names.plural, version: storage },
    ...(converts ? { convert: conversion(schema, `${group}/${v.name}`, `${group}/${storage}`) } : {}),
    ...(converts && v.name === storage ? { servedAsStoredAfter: revision } : {}),
    hasStatus,
    generation: 'spec',
    unconditionalUpdate: false,
    prepareForCreate: (object) => {
      if (hasStatus) delete object['status'];
    },
    validate: (object) => validate(object),
    validateUpdate: (object, old) => validate(object, old),
    validateStatusUpdate: (object, old) => validate(object, old),
    selectableFields: Object.fromEntries((v.selectableFields ?? []).map((f) => selectable(f.jsonPath))),
    table: tableOf(v),
    ...(scale === undefined ? {} : { scale: scaleOf(scale.specReplicasPath, scale.statusReplicasPath, scale.labelSelectorPath) }),
    ...(v.deprecated === true ? { deprecation: v.deprecationWarning ?? `${group}/${v.name} ${names.kind} is deprecated` } : {}),
  };
}

/** CEL rules compile slowly: only when the first object comes. */
function lazy(make: () => CelValidator): () => CelValidator {
  let made: CelValidator | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function hasDefaults(schema: Schema, depth: number): boolean {
  if (schema.default !== undefined) return true;
  if (depth > 50) return false;
  const { properties = {}, items, additionalProperties } = schema;
  if (items !== undefined && hasDefaults(items, depth + 1)) return true;
  if (typeof additionalProperties === 'object' && hasDefaults(additionalProperties, depth + 1)) return true;
  return Object.values(properties).some((p) => hasDefaults(p, depth + 1));
}

/** Conversion "None": only apiVersion changes; what the version's schema does not know is pruned, its defaults are filled in. */
function conversion(schema: Schema, served: string, stored: string): NonNullable<KindDef['convert']> {
  return {
    fromStored: (object) => {
      const decoded = decodeValue(schema, object) as Draft;
      return { ...decoded, kind: object.kind, apiVersion: served };
    },
    toStored: (object) => ({ ...object, apiVersion: stored }),
  };
}

function selectable(jsonPath: string): [string, (object: KubeObject) => string] {
  const path = parseJsonPath(jsonPath);
  return [
    jsonPath.replace(/^\./, ''),
    (object) => {
      const [value] = path.find(object);
      return typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value);
    },
  ];
}

function scaleOf(specReplicasPath: string, statusReplicasPath: string, selectorPath: string | undefined): ScaleDef {
  const selector = selectorPath === undefined || selectorPath === '' ? undefined : parseJsonPath(selectorPath);
  return {
    specReplicasPath,
    statusReplicasPath,
    selector: (object) => {
      const [value] = selector?.find(object) ?? [];
      return typeof value === 'string' ? value : '';
    },
  };
}

const nameColumn: ColumnDef = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description:
    'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically.',
  priority: 0,
};

const ageDescription =
  'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations.';

type Cell = string | number | boolean | null;

function tableOf(v: CustomResourceDefinitionVersion): TableDef {
  const given = v.additionalPrinterColumns ?? [
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: ageDescription },
  ];
  const columns = given.map((c): ColumnDef & { cell: (object: KubeObject, now: Date) => Cell } => {
    const path = parseJsonPath(c.jsonPath);
    const type = c.type as ColumnDef['type'];
    return {
      name: c.name,
      type,
      description: c.description ?? `Custom resource definition column (in JSONPath format): ${c.jsonPath}`,
      priority: c.priority ?? 0,
      cell: (object, now) => cellOf(path.find(object), type, now),
    };
  });
  return {
    columns: [nameColumn, ...columns.map(({ cell: _cell, ...column }) => column)],
    cells: (object, now) => [object.metadata.name ?? '', ...columns.map((c) => c.cell(object, now))],
  };
}

function cellOf(found: readonly unknown[], type: ColumnDef['type'], now: Date): Cell {
  const [value] = found;
  if (value === undefined || value === null) return null;
  if (type === 'integer') return typeof value === 'number' ? Math.trunc(value) : null;
  if (type === 'number') return typeof value === 'number' ? value : null;
  if (type === 'boolean') return typeof value === 'boolean' ? value : null;
  if (type === 'date') {
    const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
    return Number.isNaN(at) ? '<invalid>' : humanDuration(now.getTime() - at);
  }
  const text = (v: unknown): string => (typeof v === 'string' ? v : JSON.stringify(v));
  return found.length > 1 ? found.map(text).join(' ') : text(value);
}

/** One version of a CustomResourceDefinition as a KindDef. */
import type { Cel } from '#kube/cel.ts';
import { type CelValidator, compileValidations } from '#kube/cel-validate.ts';
import { decodeValue, pruneValue } from '#kube/decode.ts';
import type { CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps } from '#kube/generated/apiextensions-v1.ts';
import { humanDuration } from '#kube/human-duration.ts';
import { isObject, own } from '#kube/json-value.ts';
import {
  allVerbs,
  type ColumnDef,
  type Draft,
  type KindDef,
  type KindServing,
  type RemoteConversion,
  type ScaleDef,
  type TableDef,
} from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import type { Schema } from '#kube/schema.ts';
import { definition } from '#kube/schema-registry.ts';
import { StatusError } from '#kube/status-error.ts';
import { standardFinalizer } from '#kube/validation/values.ts';
import { isJsonNumber } from '#lib/exact-json.ts';
import { lazy } from '#lib/lazy.ts';
import { parseJsonPath } from './json-path.ts';
import { customSchema, metadataSchema } from './schema.ts';
import type { SchemaShelf } from './schema-shelf.ts';
import { validateCustom, validateCustomStatus } from './validate.ts';
import type { ConvertObjects } from './webhook-converter.ts';

/** What the kinds of one definition are made from. */
export interface KindSource {
  /** The definition that the kinds are made from, whatever has become of it since. */
  readonly load: () => CustomResourceDefinition;
  readonly serving: KindServing;
  readonly shelf: SchemaShelf;
  readonly cel: () => Cel;
  /** With conversion by a webhook. */
  readonly convert: ConvertObjects | undefined;
  /** Aborts when the server ends. */
  readonly lifetime: AbortSignal;
  /** What was stored in the storage version after this revision was written under the present schema. */
  readonly servedAsStoredAfter: number;
}

/** A schema and its rules, in the form that requests need. */
export interface CompiledSchema {
  readonly schema: Schema;
  /** Restrictions of metadata. */
  readonly metadata: Schema | undefined;
  readonly rules: () => CelValidator;
}

/** The KindDefs of all served versions; of a definition that is going, without the verb to create. */
export function kindsOf(crd: CustomResourceDefinition, source: KindSource): KindDef[] {
  const schemas = schemasOf(crd, source);
  return crd.spec.versions.filter((v) => v.served).map((version) => kindOf(crd, version, source, schemas));
}

/** The kind in its storage version, be that served or not: by which a definition's instances are removed. */
export function storageKindOf(crd: CustomResourceDefinition, source: KindSource): KindDef | undefined {
  const version = crd.spec.versions.find((v) => v.storage);
  return version === undefined ? undefined : kindOf(crd, version, source, schemasOf(crd, source));
}

type SchemaOf = (version: string) => CompiledSchema;

/** Schemas are large and most of them are rarely needed: they are made when they are, and forgotten when others need the room. */
function schemasOf(crd: CustomResourceDefinition, source: KindSource): SchemaOf {
  const keys = new Map(crd.spec.versions.map((v) => [v.name, {}] as const));
  const make = (version: string): CompiledSchema => {
    const { spec } = source.load();
    const found = spec.versions.find((v) => v.name === version);
    // Without its schema everything would be accepted.
    if (found === undefined) throw new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
    const props = found.schema?.openAPIV3Schema as JSONSchemaProps | undefined;
    const schema = customSchema(props, spec.preserveUnknownFields === true);
    const metadata = metadataSchema(props);
    // CEL rules compile slowly: only when the first object comes.
    return { schema, metadata, rules: lazy(() => compileValidations(source.cel(), schema, (name) => definition(name) ?? {})) };
  };
  return (version) => source.shelf.take(keys.get(version) ?? keys, () => make(version));
}

function refOf(crd: CustomResourceDefinition, version: string): ResourceRef {
  const { group, names, scope } = crd.spec;
  const accepted = crd.status?.acceptedNames ?? names;
  return {
    group,
    version,
    kind: accepted.kind,
    plural: accepted.plural,
    singular: accepted.singular ?? accepted.kind.toLowerCase(),
    namespaced: scope === 'Namespaced',
    shortNames: accepted.shortNames ?? [],
    categories: accepted.categories ?? [],
  };
}

/** While a definition goes, its instances may go but no new ones come. */
const terminatingVerbs = allVerbs.filter((verb) => verb !== 'create');

function kindOf(crd: CustomResourceDefinition, v: CustomResourceDefinitionVersion, source: KindSource, schemas: SchemaOf): KindDef {
  // What functions below refer to lives as long as the kind: names, not the definition with its schemas.
  const { group, names, versions } = crd.spec;
  const { name: version } = v;
  const storage = versions.find((s) => s.storage)?.name ?? '';
  const hasStatus = v.subresources?.status !== undefined;
  const scale = v.subresources?.scale;
  const validate = (object: KubeObject, old?: KubeObject) => validateCustom(schemas(version), scale, object, old);
  return {
    ref: refOf(crd, v.name),
    get schema() {
      return schemas(version).schema;
    },
    custom: true,
    serving: source.serving,
    schemaTag: `${crd.metadata.uid ?? ''}/${crd.metadata.generation ?? 0}`,
    listKind: crd.status?.acceptedNames?.listKind ?? names.listKind ?? `${names.kind}List`,
    storage: { group, plural: names.plural, version: storage },
    convert: localConversion(group, v.name, storage, schemas),
    ...(source.convert === undefined ? {} : { remote: remoteConversion(crd, v.name, storage, schemas, source, source.convert) }),
    servedAsStoredAfter: source.servedAsStoredAfter,
    ...(crd.metadata.deletionTimestamp === undefined ? {} : { verbs: terminatingVerbs }),
    hasStatus,
    statusKeepsMetadata: 'all',
    generation: 'spec',
    unconditionalUpdate: false,
    prepareForCreate: (object) => {
      if (hasStatus) delete object['status'];
    },
    warnings: finalizerWarnings,
    validate: (object) => validate(object),
    validateUpdate: (object, old) => validate(object, old),
    validateStatusUpdate: (object, old) => validateCustomStatus(schemas(version), scale, object, old),
    selectableFields: Object.fromEntries((v.selectableFields ?? []).map((f) => selectable(f.jsonPath))),
    table: tableOf(v),
    ...(scale === undefined ? {} : { scale: scaleOf(scale.specReplicasPath, scale.statusReplicasPath, scale.labelSelectorPath) }),
    ...(v.deprecated === true ? { deprecation: v.deprecationWarning ?? `${group}/${v.name} ${names.kind} is deprecated` } : {}),
  };
}

/** Finalizers that are new and may clash with those of others: customresource/strategy.go of the apiextensions server. */
function finalizerWarnings(object: KubeObject, old: KubeObject | undefined): string[] {
  const known = old?.metadata.finalizers ?? [];
  return (object.metadata.finalizers ?? []).flatMap((name) =>
    name.includes('/') || known.includes(name) || standardFinalizer('', name).length === 0
      ? []
      : [
          `metadata.finalizers: ${JSON.stringify(name)}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
        ],
  );
}

/** An object pruned and defaulted by the schema of a version. */
function read(schema: Schema, object: Draft, apiVersion: string): Draft {
  return { ...(decodeValue(schema, object) as Draft), kind: object.kind, apiVersion };
}

/** Conversion "None": only apiVersion changes; what a version's schema does not know is pruned, on reading its defaults are filled in. */
function localConversion(group: string, served: string, stored: string, schemas: SchemaOf): NonNullable<KindDef['convert']> {
  return {
    fromStored: (object) => read(schemas(served).schema, object, `${group}/${served}`),
    toStored: (object) =>
      served === stored
        ? object
        : { ...(pruneValue(schemas(stored).schema, object) as Draft), kind: object.kind, apiVersion: `${group}/${stored}` },
  };
}

function remoteConversion(
  crd: CustomResourceDefinition,
  served: string,
  stored: string,
  schemas: SchemaOf,
  source: KindSource,
  convert: ConvertObjects,
): RemoteConversion {
  const { group } = crd.spec;
  const one = async (object: Draft, apiVersion: string, signal: AbortSignal): Promise<Draft> => {
    const [converted] = await convert([object], apiVersion, signal);
    return converted ?? object;
  };
  return {
    name: `the conversion webhook of ${crd.metadata.name ?? ''}`,
    fromStored: async (objects) => {
      const converted = await convert(objects, `${group}/${served}`, source.lifetime);
      return converted.map((object) => read(schemas(served).schema, object, `${group}/${served}`));
    },
    toStored: async (object, signal) => {
      const converted = await one(object, `${group}/${stored}`, signal);
      return { ...(pruneValue(schemas(stored).schema, converted) as Draft), kind: object.kind, apiVersion: `${group}/${stored}` };
    },
    toVersion: one,
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

/** The value at a path of fields joined by dots. */
function valueAtDots(object: unknown, path: string): unknown {
  let at = object;
  for (const step of path.replace(/^\./, '').split('.')) at = isObject(at) ? own(at, step) : undefined;
  return at;
}

function scaleOf(specReplicasPath: string, statusReplicasPath: string, selectorPath: string | undefined): ScaleDef {
  return {
    specReplicasPath,
    statusReplicasPath,
    selector: (object) => {
      const value = selectorPath === undefined || selectorPath === '' ? undefined : valueAtDots(object, selectorPath);
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

type Cell = string | number | bigint | boolean | null;

interface CustomColumn extends ColumnDef {
  readonly cell: (object: KubeObject, now: Date) => Cell;
}

const creationColumn = (name: string): CustomColumn => ({
  name,
  type: 'date',
  description: ageDescription,
  priority: 0,
  cell: (object, now) => cellOf([object.metadata.creationTimestamp], 'date', now),
});

/** Columns whose paths cannot be read are left out with all the others, as upstream falls back to its default table. */
function columnsOf({ additionalPrinterColumns: given = [] }: CustomResourceDefinitionVersion): readonly CustomColumn[] {
  if (given.length === 0) return [creationColumn('Age')];
  try {
    return given.map((c) => {
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
  } catch {
    return [creationColumn('Created At')];
  }
}

function tableOf(v: CustomResourceDefinitionVersion): TableDef {
  const columns = columnsOf(v);
  return {
    columns: [nameColumn, ...columns.map(({ cell: _cell, ...column }) => column)],
    cells: (object, now) => [object.metadata.name ?? '', ...columns.map((c) => c.cell(object, now))],
  };
}

function cellOf(found: readonly unknown[], type: ColumnDef['type'], now: Date): Cell {
  const [value] = found;
  if (value === undefined || value === null) return null;
  if (type === 'integer') return typeof value === 'number' ? Math.trunc(value) : typeof value === 'bigint' ? value : null;
  if (type === 'number') return isJsonNumber(value) ? value : null;
  if (type === 'boolean') return typeof value === 'boolean' ? value : null;
  if (type === 'date') {
    const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
    return Number.isNaN(at) ? '<invalid>' : humanDuration(now.getTime() - at);
  }
  const text = (v: unknown): string => (typeof v === 'string' ? v : JSON.stringify(v));
  return found.length > 1 ? found.map(text).join(' ') : text(value);
}

/**
 * The schemas of the built-in types, made at build time (build/generate.ts) and shared by everything that is driven by
 * them: decoding, patches, server-side apply, validation, OpenAPI, protobuf.
 */
import data from './generated/schemas.json' with { type: 'json' };
import type { Schema } from './schema.ts';

const definitions = data as unknown as Readonly<Record<string, Schema>>;

export const objectMetaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
export const listMetaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';

/** The definition of an OpenAPI definition name such as io.k8s.api.core.v1.PodSpec. */
export const definition = (name: string): Schema | undefined => (Object.hasOwn(definitions, name) ? definitions[name] : undefined);

/** The names of all definitions. */
export const definitionNames = (): readonly string[] => Object.keys(definitions);

/** The schema that says what is in a value: the definition that `ref` names, or the schema itself. Throws on an unknown name. */
export function resolveSchema(schema: Schema): Schema {
  if (schema.ref === undefined) return schema;
  const found = definition(schema.ref);
  if (found === undefined) throw new Error(`no schema is named ${schema.ref}`);
  return found;
}

/** `io.k8s.api.core.v1.` for a group and version: what the definition names of its types begin with. */
export function definitionPrefix(group: string, version: string): string {
  if (group === 'apiextensions.k8s.io') return `io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.${version}.`;
  if (group === 'apiregistration.k8s.io') return `io.k8s.kube-aggregator.pkg.apis.apiregistration.${version}.`;
  if (group === 'meta.k8s.io') return `io.k8s.apimachinery.pkg.apis.meta.${version}.`;
  const short = group === '' ? 'core' : (group.split('.')[0] ?? group);
  return `io.k8s.api.${short}.${version}.`;
}

/** The definition of a built-in kind, or undefined where no such type is known. */
export const kindSchema = (group: string, version: string, kind: string): Schema | undefined =>
  definition(`${definitionPrefix(group, version)}${kind}`);

/** The schema at a path of field names below a schema; '*' steps into a map's values or a list's items. */
export function schemaAt(root: Schema, path: readonly string[]): Schema | undefined {
  let at: Schema | undefined = root;
  for (const step of path) {
    const here: Schema = resolveSchema(at);
    if (step === '*') at = here.items ?? (typeof here.additionalProperties === 'object' ? here.additionalProperties : undefined);
    else at = here.properties !== undefined && Object.hasOwn(here.properties, step) ? here.properties[step] : undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

/** Descriptions by definition name, then by field ('' is the type's own). Loaded on first use: only OpenAPI needs them. */
export async function loadDescriptions(): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const module = await import('./generated/descriptions.json', { with: { type: 'json' } });
  return module.default as unknown as Readonly<Record<string, Readonly<Record<string, string>>>>;
}

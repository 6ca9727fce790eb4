/** OpenAPI documents of the kinds that are served: v3 for one group and version, v2 for everything. */
import type { KindDef } from './kind.ts';
import type { OpenApiPart } from './openapi-merge.ts';
import { type KindNames, kindPaths } from './openapi-paths.ts';
import {
  type DefinitionSet,
  type Descriptions,
  type Dialect,
  type Json,
  newDefinitionSet,
  refTo,
  renderCustom,
  renderPending,
} from './openapi-schema.ts';
import type { ResourceRef } from './refs.ts';
import { definitionPrefix, objectMetaName } from './schema-registry.ts';

export interface OpenApiInfo {
  /** `v1.36.0+k3ts1`. */
  readonly version: string;
  /** From loadDescriptions() of schema-registry.ts. */
  readonly descriptions: Descriptions;
}

/** The OpenAPI v3 document of the kinds of one group and version: what /openapi/v3/apis/<group>/<version> serves. */
export function openApiV3(kinds: readonly KindDef[], info: OpenApiInfo): Json {
  const { set, paths } = render(kinds, 'v3', info.descriptions);
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: info.version },
    paths,
    components: {
      schemas: sorted(set.rendered),
      securitySchemes: { BearerToken: { type: 'apiKey', description: 'Bearer Token authentication', name: 'authorization', in: 'header' } },
    },
    security: [{ BearerToken: [] }],
  };
}

/** The OpenAPI v2 document of all kinds: what /openapi/v2 serves. */
export function openApiV2(kinds: readonly KindDef[], info: OpenApiInfo): Json {
  const paths: Json = {};
  const definitions = new Map<string, Json>();
  for (const part of openApiV2Parts(kinds, info)) {
    Object.assign(paths, part.paths);
    for (const [name, body] of Object.entries(part.definitions)) definitions.set(name, body as Json);
  }
  return { ...openApiV2Head(info.version), paths, definitions: sorted(definitions) };
}

/** What an OpenAPI v2 document says beside its paths and definitions. */
export const openApiV2Head = (version: string): Json => ({
  swagger: '2.0',
  info: { title: 'Kubernetes', version },
  securityDefinitions: {
    BearerToken: { description: 'Bearer Token authentication', type: 'apiKey', name: 'authorization', in: 'header' },
  },
  security: [{ BearerToken: [] }],
});

/**
 * The paths and definitions of OpenAPI v2, a kind at a time and each but once: with a thousand custom resources the whole would take
 * seconds and hundreds of megabytes.
 */
export function* openApiV2Parts(kinds: readonly KindDef[], info: OpenApiInfo): Generator<OpenApiPart> {
  const set = newDefinitionSet('v2', info.descriptions);
  let told = 0;
  const fresh = (paths: Json): OpenApiPart => {
    renderPending(set);
    const definitions = [...set.rendered].slice(told);
    told = set.rendered.size;
    for (const [name] of definitions) set.rendered.set(name, {});
    return { paths, definitions: Object.fromEntries(definitions) };
  };
  for (const [name, body] of Object.entries(madeDefinitions)) set.rendered.set(name, body);
  for (const kind of kinds) yield fresh(kindPaths(kind, namesOf(kind, set), set));
}

const sorted = (rendered: ReadonlyMap<string, Json>): Json => Object.fromEntries([...rendered].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Definitions that are no kinds' and that paths refer to. */
const madeDefinitions: Readonly<Record<string, Json>> = {
  'io.k8s.apimachinery.pkg.apis.meta.v1.Patch': {
    description: 'Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.',
    type: 'object',
  },
  'io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent': {
    description: 'Event represents a single event to a watched resource.',
    type: 'object',
    required: ['type', 'object'],
    properties: { object: { description: 'The object, or a Status.', type: 'object' }, type: { type: 'string' } },
  },
};

function render(kinds: readonly KindDef[], dialect: Dialect, descriptions: Descriptions): { set: DefinitionSet; paths: Json } {
  const set = newDefinitionSet(dialect, descriptions);
  const paths: Json = {};
  for (const [name, body] of Object.entries(madeDefinitions)) set.rendered.set(name, body);
  for (const kind of kinds) Object.assign(paths, kindPaths(kind, namesOf(kind, set), set));
  renderPending(set);
  return { set, paths };
}

/** Definition names of a kind and of its list; those of custom resources are made here. */
function namesOf(kind: KindDef, set: DefinitionSet): KindNames {
  const { ref } = kind;
  if (kind.custom !== true) {
    const object = `${definitionPrefix(ref.group, ref.version)}${ref.kind}`;
    refTo(object, set);
    return { object, list: `${object}List` };
  }
  const object = customDefinitionName(ref);
  const list = `${object}List`;
  set.rendered.set(object, customDefinition(kind, set));
  set.rendered.set(list, customList(ref, object, set));
  return { object, list };
}

/** `com.example.stable.v1.CronTab`: the definition name of a custom resource. */
export const customDefinitionName = (ref: Pick<ResourceRef, 'group' | 'version' | 'kind'>): string =>
  `${ref.group.split('.').reverse().join('.')}.${ref.version}.${ref.kind}`;

const typeMeta: Json = {
  apiVersion: {
    description: 'APIVersion defines the versioned schema of this representation of an object.',
    type: 'string',
  },
  kind: { description: 'Kind is a string value representing the REST resource this object represents.', type: 'string' },
};

const conventions = 'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md';

function metadataRef(definition: string, description: string, set: DefinitionSet): Json {
  const ref = { $ref: refTo(definition, set) };
  return set.dialect === 'v2' ? { description, ...ref } : { description, allOf: [ref] };
}

/** k8s.io/apiextensions-apiserver pkg/controller/openapi/builder buildKubeNative. */
function customDefinition(kind: KindDef, set: DefinitionSet): Json {
  const { group, version, kind: name } = kind.ref;
  const gvk = { 'x-kubernetes-group-version-kind': [{ group, version, kind: name }] };
  // v2 cannot say that fields are kept which it does not name: kubectl would refuse them, were any named.
  if (kind.schema.preserveUnknownFields === true && set.dialect === 'v2') return { type: 'object', ...gvk };
  const body = renderCustom(kind.schema, set);
  const metadata = metadataRef(objectMetaName, `Standard object's metadata. More info: ${conventions}#metadata`, set);
  const own = body['properties'] as Json | undefined;
  return { ...body, type: 'object', properties: { ...own, ...typeMeta, metadata }, ...gvk };
}

function customList(ref: ResourceRef, object: string, set: DefinitionSet): Json {
  return {
    description: `${ref.kind}List is a list of ${ref.kind}`,
    type: 'object',
    required: ['items'],
    properties: {
      ...typeMeta,
      items: { description: `List of ${ref.plural}.`, type: 'array', items: { $ref: refTo(object, set) } },
      metadata: metadataRef('io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta', 'Standard list metadata.', set),
    },
    'x-kubernetes-group-version-kind': [{ group: ref.group, version: ref.version, kind: `${ref.kind}List` }],
  };
}

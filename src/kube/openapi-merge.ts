/**
 * Joining OpenAPI v2 documents of several servers, and v3 out of v2. kube-openapi pkg/aggregator (FilterSpecByPaths,
 * MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters) and pkg/openapiconv. Documents may be anybody's: what is
 * not as it should be is left out.
 */
import { isArray, isObject, type JsonObject, jsonEqual, own, put } from './json-value.ts';

/** The part of a v2 document that is about one group version, with the definitions that it needs. */
export interface OpenApiPart {
  readonly paths: JsonObject;
  readonly definitions: JsonObject;
}

const definitionPrefix = '#/definitions/';
const parameterPrefix = '#/parameters/';
const maxPaths = 5000;
const maxDefinitions = 5000;

/** A copy in which every $ref is what `rename` gives for it. */
function mapRefs(value: unknown, rename: (ref: string) => string): unknown {
  if (isArray(value)) return value.map((item) => mapRefs(item, rename));
  if (!isObject(value)) return value;
  const out: JsonObject = {};
  for (const [key, item] of Object.entries(value))
    put(out, key, key === '$ref' && typeof item === 'string' ? rename(item) : mapRefs(item, rename));
  return out;
}

/** Parameters that are shared within a document stand where they are used: the joined document has none to refer to. */
function inlineParameters(value: unknown, shared: JsonObject): unknown {
  if (isArray(value))
    return value.flatMap((item) => {
      const ref = isObject(item) ? own(item, '$ref') : undefined;
      if (typeof ref !== 'string' || !ref.startsWith(parameterPrefix)) return [inlineParameters(item, shared)];
      const parameter = own(shared, ref.slice(parameterPrefix.length));
      return isObject(parameter) ? [parameter] : [];
    });
  if (!isObject(value)) return value;
  const out: JsonObject = {};
  for (const [key, item] of Object.entries(value)) put(out, key, inlineParameters(item, shared));
  return out;
}

function refsIn(value: unknown, found: Set<string>): void {
  if (isArray(value)) for (const item of value) refsIn(item, found);
  else if (isObject(value))
    for (const [key, item] of Object.entries(value)) {
      if (key !== '$ref') refsIn(item, found);
      else if (typeof item === 'string' && item.startsWith(definitionPrefix)) found.add(item.slice(definitionPrefix.length));
    }
}

const objectOf = (object: JsonObject, key: string): JsonObject => {
  const value = own(object, key);
  return isObject(value) ? value : {};
};

/** What a document says of the paths of one group version. */
export function partOf(document: JsonObject, { group, version }: { readonly group: string; readonly version: string }): OpenApiPart {
  const prefix = group === '' ? `/api/${version}/` : `/apis/${group}/${version}/`;
  const shared = objectOf(document, 'parameters');
  const paths: JsonObject = {};
  for (const [path, item] of Object.entries(objectOf(document, 'paths')).slice(0, maxPaths))
    if (`${path}/`.startsWith(prefix) && isObject(item)) put(paths, path, inlineParameters(item, shared));
  const all = objectOf(document, 'definitions');
  const names = new Set<string>();
  refsIn(paths, names);
  const definitions: JsonObject = {};
  // A set is walked to its end, also where it grows on the way.
  for (const name of names) {
    const definition = own(all, name);
    if (!isObject(definition) || Object.keys(definitions).length >= maxDefinitions) continue;
    put(definitions, name, definition);
    refsIn(definition, names);
  }
  return { paths, definitions };
}

/** The name under which a definition joins others: its own, unless another one has that. */
function freeName(definitions: JsonObject, name: string, definition: unknown): string {
  for (let i = 1; ; i++) {
    const candidate = i === 1 ? name : `${name}_v${i}`;
    const there = own(definitions, candidate);
    if (there === undefined || jsonEqual(there, definition)) return candidate;
  }
}

/** A v2 document with further parts. A path that is there already stays as it is. */
export function mergeV2(document: JsonObject, parts: readonly OpenApiPart[]): JsonObject {
  if (parts.length === 0) return document;
  const paths: JsonObject = { ...objectOf(document, 'paths') };
  const definitions: JsonObject = { ...objectOf(document, 'definitions') };
  for (const part of parts) {
    const names = new Map<string, string>();
    for (const [name, definition] of Object.entries(part.definitions)) names.set(name, freeName(definitions, name, definition));
    const rename = (ref: string): string => {
      const name = ref.startsWith(definitionPrefix) ? names.get(ref.slice(definitionPrefix.length)) : undefined;
      return name === undefined ? ref : definitionPrefix + name;
    };
    for (const [name, definition] of Object.entries(part.definitions)) {
      const as = names.get(name) ?? name;
      if (!Object.hasOwn(definitions, as)) put(definitions, as, mapRefs(definition, rename));
    }
    for (const [path, item] of Object.entries(part.paths)) if (!Object.hasOwn(paths, path)) put(paths, path, mapRefs(item, rename));
  }
  return { ...document, paths, definitions };
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'];
const schemaPrefix = '#/components/schemas/';

const texts = (value: unknown, otherwise: readonly string[]): readonly string[] => {
  const found = isArray(value) ? value.filter((v) => typeof v === 'string') : [];
  return found.length === 0 ? otherwise : found;
};

const content = (types: readonly string[], schema: unknown): JsonObject => ({
  content: Object.fromEntries(types.map((t) => [t, { schema }])),
});

function operationOf(operation: JsonObject): JsonObject {
  const { parameters, responses, consumes, produces, schemes: _schemes, ...rest } = operation;
  const all = isArray(parameters) ? parameters.filter(isObject) : [];
  const body = all.find((p) => own(p, 'in') === 'body');
  const answers = isObject(responses) ? Object.entries(responses) : [];
  return {
    ...rest,
    ...parametersOf(all),
    ...(body === undefined
      ? {}
      : { requestBody: { required: own(body, 'required') === true, ...content(texts(consumes, ['*/*']), own(body, 'schema')) } }),
    responses: Object.fromEntries(
      answers.flatMap(([code, answer]) => {
        if (!isObject(answer)) return [];
        const schema = own(answer, 'schema');
        const text = own(answer, 'description');
        return [
          [
            code,
            {
              description: typeof text === 'string' ? text : '',
              ...(schema === undefined ? {} : content(texts(produces, ['application/json']), schema)),
            },
          ],
        ];
      }),
    ),
  };
}

function parametersOf(all: readonly JsonObject[]): JsonObject {
  const parameters = all
    .filter((p) => own(p, 'in') !== 'body')
    .map(({ type, format, uniqueItems, ...p }) => ({
      ...p,
      schema: {
        ...(type === undefined ? {} : { type }),
        ...(format === undefined ? {} : { format }),
        ...(uniqueItems === undefined ? {} : { uniqueItems }),
      },
    }));
  return parameters.length === 0 ? {} : { parameters };
}

/** The v3 document that says what a part of a v2 document says. */
export function v3Of(part: OpenApiPart): JsonObject {
  const paths: JsonObject = {};
  for (const [path, item] of Object.entries(part.paths)) {
    if (!isObject(item)) continue;
    const shared = own(item, 'parameters');
    const out: JsonObject = isArray(shared) ? parametersOf(shared.filter(isObject)) : {};
    for (const method of methods) {
      const operation = own(item, method);
      if (isObject(operation)) out[method] = operationOf(operation);
    }
    put(paths, path, out);
  }
  const document = {
    openapi: '3.0.0',
    info: { title: 'Generic API Server', version: '' },
    paths,
    components: { schemas: part.definitions },
  };
  const rename = (ref: string): string => (ref.startsWith(definitionPrefix) ? schemaPrefix + ref.slice(definitionPrefix.length) : ref);
  const renamed = mapRefs(document, rename);
  return isObject(renamed) ? renamed : document;
}

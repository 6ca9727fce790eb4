/** The paths and operations of a kind in OpenAPI v2 and v3. */
import { allVerbs, type KindDef } from './kind.ts';
import { type DefinitionSet, type Json, refTo } from './openapi-schema.ts';
import { type OperationParameter, type SubresourceDoc, subresourceDocs } from './openapi-subresources.ts';
import { apiVersionOf } from './refs.ts';

type Parameter = OperationParameter;

const parameter = (name: string, type: Parameter['type'], description: string): Parameter => ({ name, type, description });

const pretty = parameter('pretty', 'string', "If 'true', then the output is pretty printed.");
const dryRun = parameter('dryRun', 'string', 'When present, modifications are not persisted. The only legal value is All.');
const fieldManager = parameter('fieldManager', 'string', 'The name of the actor that makes the change.');
const fieldValidation = parameter('fieldValidation', 'string', 'What happens to unknown and duplicate fields: Ignore, Warn or Strict.');
const force = parameter('force', 'boolean', 'Take fields that other managers own; for apply only.');
const selection: readonly Parameter[] = [
  parameter('labelSelector', 'string', 'Restricts the objects by their labels.'),
  parameter('fieldSelector', 'string', 'Restricts the objects by their fields.'),
  parameter('limit', 'integer', 'The most objects to return at once.'),
  parameter('continue', 'string', 'Where an earlier list left off.'),
  parameter('resourceVersion', 'string', 'The version that the answer must have, or at least have.'),
  parameter('resourceVersionMatch', 'string', 'How resourceVersion is meant: Exact or NotOlderThan.'),
  parameter('sendInitialEvents', 'boolean', 'Begin a watch with the objects that exist, followed by a bookmark.'),
  parameter('timeoutSeconds', 'integer', 'How long the call may last.'),
];
const watching: readonly Parameter[] = [
  parameter('allowWatchBookmarks', 'boolean', 'Send bookmarks in a watch.'),
  parameter('watch', 'boolean', 'Stream changes instead of listing.'),
];
const deletion: readonly Parameter[] = [
  dryRun,
  parameter('gracePeriodSeconds', 'integer', 'Seconds that the object gets to end.'),
  parameter('ignoreStoreReadErrorWithClusterBreakingPotential', 'boolean', 'Delete what cannot be read.'),
  parameter('orphanDependents', 'boolean', 'Deprecated: use propagationPolicy.'),
  parameter('propagationPolicy', 'string', 'What happens to dependents: Orphan, Background or Foreground.'),
];

const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const listTypes = [...objectTypes, 'application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch'];
const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

const metaPrefix = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

interface OperationSpec {
  readonly action: string;
  readonly id: string;
  readonly description: string;
  readonly query: readonly Parameter[];
  /** Definition of the body, and of the answer; absent: text. */
  readonly body?: string;
  readonly answer?: string;
  /** Content types of the answer. Default: those of objects. */
  readonly produces?: readonly string[];
  readonly codes: readonly string[];
  readonly gvk: Json;
}

interface PathContext {
  readonly set: DefinitionSet;
  readonly tag: string;
  /** True for custom resources: no strategic merge, no protobuf. */
  readonly custom: boolean;
}

function renderParameter(p: Parameter, where: 'query' | 'path', set: DefinitionSet): Json {
  const head = { name: p.name, in: where, description: p.description, ...(where === 'path' ? { required: true } : {}) };
  return set.dialect === 'v2' ? { ...head, type: p.type, uniqueItems: true } : { ...head, schema: { type: p.type, uniqueItems: true } };
}

const streamed = new Set(['list', 'watch', 'watchlist']);

function contentTypes(spec: OperationSpec, { custom }: PathContext): { readonly reads: string[]; readonly writes: string[] } {
  const usable = (types: readonly string[]): string[] =>
    types.filter((t) => !custom || (!t.includes('protobuf') && !t.includes('strategic')));
  return {
    reads: usable(spec.action === 'patch' ? patchTypes : objectTypes),
    writes: spec.produces === undefined ? usable(streamed.has(spec.action) ? listTypes : objectTypes) : [...spec.produces],
  };
}

function renderOperation(spec: OperationSpec, context: PathContext): Json {
  const { set } = context;
  const { reads, writes } = contentTypes(spec, context);
  const parameters = spec.query.map((p) => renderParameter(p, 'query', set));
  const schema = spec.answer === undefined ? { type: 'string' } : { $ref: refTo(spec.answer, set) };
  const common = {
    description: spec.description,
    operationId: spec.id,
    tags: [context.tag],
    'x-kubernetes-action': spec.action,
    'x-kubernetes-group-version-kind': spec.gvk,
  };
  const unauthorized = { '401': { description: 'Unauthorized' } };
  const texts: Readonly<Record<string, string>> = { '200': 'OK', '201': 'Created', '202': 'Accepted' };
  const answers = (render: (text: string) => Json): Json => ({
    ...Object.fromEntries(spec.codes.map((code) => [code, render(texts[code] ?? '')])),
    ...unauthorized,
  });
  const body = spec.body === undefined ? undefined : { $ref: refTo(spec.body, set) };
  if (set.dialect === 'v2') {
    const required = spec.action !== 'delete' && spec.action !== 'deletecollection';
    const bodyParameter = body === undefined ? [] : [{ name: 'body', in: 'body', ...(required ? { required } : {}), schema: body }];
    return {
      ...common,
      consumes: spec.action === 'patch' ? reads : ['*/*'],
      produces: writes,
      schemes: ['https'],
      parameters: [...bodyParameter, ...parameters],
      responses: answers((description) => ({ description, schema })),
    };
  }
  const content = (types: readonly string[], of: Json): Json => Object.fromEntries(types.map((type) => [type, { schema: of }]));
  return {
    ...common,
    parameters,
    ...(body === undefined ? {} : { requestBody: { content: content(spec.action === 'patch' ? reads : ['*/*'], body) } }),
    responses: answers((description) => ({ description, content: content(writes, schema) })),
  };
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** `RbacAuthorizationV1`: group and version as they are in operation ids. */
export function operationGroup(group: string, version: string): string {
  const parts = group === '' ? ['core'] : group.replace(/\.k8s\.io$/, '').split('.');
  return parts.map((part) => part.split('-').map(capital).join('')).join('') + capital(version);
}

/** Where the definition names of a kind's objects and lists are. */
export interface KindNames {
  readonly object: string;
  readonly list: string;
}

/** All paths of a kind below its group-version. */
export function kindPaths(kind: KindDef, names: KindNames, set: DefinitionSet): Record<string, Json> {
  const { ref } = kind;
  const base = `/${ref.group === '' ? 'api' : 'apis'}/${apiVersionOf(ref)}`;
  const scoped = ref.namespaced ? `${base}/namespaces/{namespace}` : base;
  const collection = `${scoped}/${ref.plural}`;
  const context: PathContext = { set, tag: tagOf(ref.group, ref.version), custom: kind.schema.custom === true };
  const parameters = (...extra: Parameter[]): Json[] => [
    ...extra.map((p) => renderParameter(p, 'path', set)),
    ...(ref.namespaced
      ? [renderParameter(parameter('namespace', 'string', 'object name and auth scope, such as for teams and projects'), 'path', set)]
      : []),
    renderParameter(pretty, 'query', set),
  ];
  const named = parameter('name', 'string', `name of the ${ref.kind}`);
  const paths: Record<string, Json> = {};
  const add = (path: string, operations: Json, parameterList: Json[]): void => {
    if (Object.keys(operations).length > 0) paths[path] = { ...operations, parameters: parameterList };
  };
  add(collection, collectionOperations(kind, names, context), parameters());
  add(`${collection}/{name}`, objectOperations(kind, names.object, '', context), parameters(named));
  if (kind.hasStatus === true)
    add(`${collection}/{name}/status`, objectOperations(kind, names.object, 'Status', context), parameters(named));
  if (kind.scale !== undefined) {
    add(`${collection}/{name}/scale`, objectOperations(kind, 'io.k8s.api.autoscaling.v1.Scale', 'Scale', context), parameters(named));
  }
  for (const doc of subresourceDocs(kind)) {
    const rest = doc.rest === undefined ? [] : [doc.rest];
    add(`${collection}/{name}${doc.path}`, subresourceOperations(kind, doc, context), parameters(named, ...rest));
  }
  if (!context.custom && verbsOf(kind).has('watch')) Object.assign(paths, watchPaths(kind, base, context, parameters, named));
  if (ref.namespaced && verbsOf(kind).has('list')) {
    const id = `list${operationGroup(ref.group, ref.version)}${ref.kind}ForAllNamespaces`;
    const query = [...watching, ...selection];
    const spec = {
      action: 'list',
      id,
      description: `list or watch objects of kind ${ref.kind}`,
      query,
      answer: names.list,
      codes: ['200'],
    };
    paths[`${base}/${ref.plural}`] = {
      get: renderOperation({ ...spec, gvk: gvkOf(kind) }, context),
      parameters: [renderParameter(pretty, 'query', set)],
    };
  }
  return paths;
}

function subresourceOperations(kind: KindDef, doc: SubresourceDoc, context: PathContext): Json {
  const { ref } = kind;
  const name = `${ref.namespaced ? 'Namespaced' : ''}${ref.kind}${doc.suffix}`;
  const group = operationGroup(ref.group, ref.version);
  return Object.fromEntries(
    doc.operations.map((o) => {
      // connectCoreV1GetNamespacedPodExec, but readCoreV1NamespacedPodLog.
      const id = o.action === 'connect' ? `connect${group}${o.prefix.slice('connect'.length)}${name}` : `${o.prefix}${group}${name}`;
      const writing = o.action === 'get' || o.action === 'connect' ? [] : [dryRun, fieldManager, fieldValidation];
      const spec: OperationSpec = {
        action: o.action,
        id,
        description: o.description,
        query: [...doc.query, ...writing, ...(o.action === 'patch' ? [force] : [])],
        ...(o.definition === undefined || o.action === 'get' ? {} : { body: o.action === 'patch' ? `${metaPrefix}Patch` : o.definition }),
        ...(o.definition === undefined ? {} : { answer: o.definition }),
        ...(doc.produces === undefined ? {} : { produces: doc.produces }),
        codes: o.action === 'post' ? ['200', '201', '202'] : o.action === 'put' || o.action === 'patch' ? ['200', '201'] : ['200'],
        gvk: { ...doc.kind },
      };
      return [o.method, renderOperation(spec, context)];
    }),
  );
}

/** The deprecated paths below /watch. */
function watchPaths(
  kind: KindDef,
  base: string,
  context: PathContext,
  parameters: (...extra: Parameter[]) => Json[],
  named: Parameter,
): Record<string, Json> {
  const { ref } = kind;
  const group = operationGroup(ref.group, ref.version);
  const query = [...watching, ...selection];
  const watch = (action: 'watch' | 'watchlist', id: string, changes: string, instead: string): Json => ({
    get: renderOperation(
      {
        action,
        id: `watch${group}${id}`,
        description: `watch ${changes} of ${ref.kind}. deprecated: use the 'watch' parameter with a list operation instead${instead}.`,
        query,
        answer: `${metaPrefix}WatchEvent`,
        codes: ['200'],
        gvk: gvkOf(kind),
      },
      context,
    ),
  });
  const list = (id: string): Json => watch('watchlist', id, 'individual changes to a list', '');
  const single = ", filtered to a single item with the 'fieldSelector' parameter";
  const scope = ref.namespaced ? 'Namespaced' : '';
  const collection = `${base}/watch/${ref.namespaced ? 'namespaces/{namespace}/' : ''}${ref.plural}`;
  return {
    ...(ref.namespaced
      ? {
          [`${base}/watch/${ref.plural}`]: {
            ...list(`${ref.kind}ListForAllNamespaces`),
            parameters: [renderParameter(pretty, 'query', context.set)],
          },
        }
      : {}),
    [collection]: { ...list(`${scope}${ref.kind}List`), parameters: parameters() },
    [`${collection}/{name}`]: {
      ...watch('watch', `${scope}${ref.kind}`, 'changes to an object of kind', single),
      parameters: parameters(named),
    },
  };
}

const tagOf = (group: string, version: string): string => {
  const text = operationGroup(group, '');
  return `${text.slice(0, 1).toLowerCase()}${text.slice(1)}_${version}`;
};

const verbsOf = (kind: KindDef): Set<string> => new Set(kind.verbs ?? allVerbs);
const gvkOf = (kind: KindDef): Json => ({ group: kind.ref.group, version: kind.ref.version, kind: kind.ref.kind });

function collectionOperations(kind: KindDef, names: KindNames, context: PathContext): Json {
  const { ref } = kind;
  const id = operationGroup(ref.group, ref.version);
  const scope = ref.namespaced ? 'Namespaced' : '';
  const verbs = verbsOf(kind);
  const gvk = gvkOf(kind);
  const operation = (verb: string, method: string, spec: Omit<OperationSpec, 'gvk'>): Json =>
    verbs.has(verb) ? { [method]: renderOperation({ ...spec, gvk }, context) } : {};
  return {
    ...operation('list', 'get', {
      action: 'list',
      id: `list${id}${scope}${ref.kind}`,
      description: `list or watch objects of kind ${ref.kind}`,
      query: [...watching, ...selection],
      answer: names.list,
      codes: ['200'],
    }),
    ...operation('create', 'post', {
      action: 'post',
      id: `create${id}${scope}${ref.kind}`,
      description: `create ${article(ref.kind)} ${ref.kind}`,
      query: [dryRun, fieldManager, fieldValidation],
      body: names.object,
      answer: names.object,
      codes: ['200', '201', '202'],
    }),
    ...operation('deletecollection', 'delete', {
      action: 'deletecollection',
      id: `delete${id}Collection${scope}${ref.kind}`,
      description: `delete collection of ${ref.kind}`,
      query: [...selection, ...deletion],
      body: `${metaPrefix}DeleteOptions`,
      answer: `${metaPrefix}Status`,
      codes: ['200'],
    }),
  };
}

const article = (word: string): string => (/^[AEIOU]/.test(word) ? 'an' : 'a');

/** get, put, patch and (not for subresources) delete of one object. */
function objectOperations(kind: KindDef, definition: string, subresource: string, context: PathContext): Json {
  const { ref } = kind;
  const id = operationGroup(ref.group, ref.version);
  const scope = ref.namespaced ? 'Namespaced' : '';
  const name = `${id}${scope}${ref.kind}${subresource}`;
  const what = subresource === '' ? `the specified ${ref.kind}` : `${subresource.toLowerCase()} of the specified ${ref.kind}`;
  const verbs = verbsOf(kind);
  const gvk = subresource === 'Scale' ? { group: 'autoscaling', version: 'v1', kind: 'Scale' } : gvkOf(kind);
  const operation = (verb: string, method: string, spec: Omit<OperationSpec, 'gvk'>): Json =>
    verbs.has(verb) ? { [method]: renderOperation({ ...spec, gvk }, context) } : {};
  const writing = [dryRun, fieldManager, fieldValidation];
  return {
    ...operation('get', 'get', {
      action: 'get',
      id: `read${name}`,
      description: `read ${what}`,
      query: [],
      answer: definition,
      codes: ['200'],
    }),
    ...operation('update', 'put', {
      action: 'put',
      id: `replace${name}`,
      description: `replace ${what}`,
      query: writing,
      body: definition,
      answer: definition,
      codes: ['200', '201'],
    }),
    ...operation('patch', 'patch', {
      action: 'patch',
      id: `patch${name}`,
      description: `partially update ${what}`,
      query: [...writing, force],
      body: `${metaPrefix}Patch`,
      answer: definition,
      codes: ['200', '201'],
    }),
    ...(subresource === ''
      ? operation('delete', 'delete', {
          action: 'delete',
          id: `delete${name}`,
          description: `delete ${article(ref.kind)} ${ref.kind}`,
          query: deletion,
          body: `${metaPrefix}DeleteOptions`,
          answer: `${metaPrefix}Status`,
          codes: ['200', '202'],
        })
      : {}),
  };
}

/**
 * Makes src/kube/generated/ from the official JavaScript client (@kubernetes/client-node: which fields exist, which
 * are required, descriptions) joined with the tables in build/facts/ (Go types, protobuf numbers, list types, merge
 * keys, defaults, enums):
 *
 *   <group>-<version>.ts   one TypeScript interface for each API type
 *   schemas.json           one Schema (src/kube/schema.ts) for each API type, by OpenAPI definition name
 *   descriptions.json      definition name → {"": type description, field: description}
 *
 * Run by `npm run generate`; does nothing when its inputs have not changed.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Schema } from '../src/kube/schema.ts';

const root = join(import.meta.dirname, '..');
const facts = join(root, 'build/facts');
const models = join(root, 'node_modules/@kubernetes/client-node/dist/gen/models');
const out = join(root, 'src/kube/generated');

interface Field {
  readonly gv: string;
  readonly type: string;
  readonly json: string;
  readonly goType: string;
  readonly proto: number | undefined;
  readonly optional: boolean;
  readonly listType: string;
  readonly listMapKeys: string;
  readonly patchStrategy: string;
  readonly patchMergeKey: string;
  readonly structType: string;
  readonly default: string;
}

interface ClientModel {
  readonly description: string;
  readonly fields: ReadonlyMap<string, { type: string; required: boolean; description: string }>;
}

function readTsv(file: string): string[][] {
  return readFileSync(join(facts, file), 'utf8')
    .split('\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}

function readFields(): Field[] {
  return ['api-fields.tsv', 'extra-fields.tsv'].flatMap(readTsv).map((c) => ({
    gv: c[0] ?? '',
    type: c[1] ?? '',
    json: c[2] ?? '',
    goType: c[3] ?? '',
    proto: c[4] ? Number(c[4]) : undefined,
    optional: c[6] === 'y',
    listType: c[7] ?? '',
    listMapKeys: c[8] ?? '',
    patchStrategy: c[9] ?? '',
    patchMergeKey: c[10] ?? '',
    structType: c[11] ?? '',
    default: c[12] ?? '',
  }));
}

const unescapeText = (text: string): string => text.replaceAll("\\'", "'").replaceAll('\\"', '"').replaceAll('\\n', '\n');
const doc = (text: string): string =>
  unescapeText(
    text
      .replace(/^\s*\/\*\*\s*/, '')
      .replace(/\s*\*\/\s*$/, '')
      .replaceAll(/^\s*\* ?/gm, '')
      .trim(),
  );

function readClientModel(name: string): ClientModel | undefined {
  const file = join(models, `${name}.d.ts`);
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, 'utf8');
  const types = new Map<string, { baseName: string; type: string }>();
  const js = readFileSync(join(models, `${name}.js`), 'utf8');
  const mapText = /attributeTypeMap = (\[[\s\S]*?\n\]);/.exec(js)?.[1] ?? '[]';
  for (const a of JSON.parse(mapText) as { name: string; baseName: string; type: string }[]) types.set(a.name, a);
  const fields = new Map<string, { type: string; required: boolean; description: string }>();
  for (const m of text.matchAll(/(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)?\s*'([^'\n]+)'(\?)?: /g)) {
    const attribute = types.get(m[2] ?? '');
    if (attribute === undefined) continue;
    fields.set(attribute.baseName, {
      type: attribute.type,
      required: m[3] === undefined,
      description: doc(m[1] ?? ''),
    });
  }
  const description = /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)\s*export declare class/.exec(text)?.[1] ?? '';
  return { description: doc(description), fields };
}

const capital = (s: string): string => s.slice(0, 1).toUpperCase() + s.slice(1);

function clientModelOf(gv: string, type: string): ClientModel | undefined {
  const [group = '', version = ''] = gv.split('/');
  const v = capital(version);
  return readClientModel(`${capital(group)}${v}${type}`) ?? readClientModel(`${v}${type}`);
}

/** The full API group of a group's short name in the facts. */
export const groupNames: Readonly<Record<string, string>> = {
  core: '',
  apps: 'apps',
  autoscaling: 'autoscaling',
  batch: 'batch',
  flowcontrol: 'flowcontrol.apiserver.k8s.io',
  policy: 'policy',
};
const fullGroup = (short: string): string => groupNames[short] ?? `${short === 'rbac' ? 'rbac.authorization' : short}.k8s.io`;

const definitionPrefix = (gv: string): string => {
  const [group = '', version = ''] = gv.split('/');
  if (group === 'meta') return `io.k8s.apimachinery.pkg.apis.meta.${version}`;
  if (group === 'apiextensions') return `io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.${version}`;
  if (group === 'apiregistration') return `io.k8s.kube-aggregator.pkg.apis.apiregistration.${version}`;
  return `io.k8s.api.${group}.${version}`;
};
const definitionName = (gv: string, type: string): string => `${definitionPrefix(gv)}.${type}`;
const moduleName = (gv: string): string => gv.replace('/', '-');

const prefixes: Readonly<Record<string, string>> = {
  metav1: 'meta/v1',
  corev1: 'core/v1',
  apiv1: 'core/v1',
  v1: 'core/v1',
  authenticationv1: 'authentication/v1',
};

/** Go names of map or slice types, which the client shows only as their element types. */
const goAliases: Readonly<Record<string, string>> = {
  ResourceList: 'map[string]resource.Quantity',
  ExtraValue: '[]string',
  Verbs: '[]string',
  FinalizerName: 'string',
  ValidationRules: '[]ValidationRule',
  JSONSchemaDefinitions: 'map[string]JSONSchemaProps',
  JSONSchemaDependencies: 'map[string]JSONSchemaPropsOrStringArray',
};

/** Go structs without fields: that they are there is what they say. */
const emptyStructs = new Set(['CustomResourceSubresourceStatus']);

/**
 * Fields that upstream marks `+optional` while their JSON tags have no omitempty, so that zero values are written: older
 * clients insist on them.
 */
const alwaysWritten = new Set([
  'apps/v1 StatefulSetStatus availableReplicas',
  'authentication/v1 TokenRequestSpec audiences',
  'authentication/v1 TokenRequestStatus expirationTimestamp',
  'authentication/v1 TokenRequestStatus token',
  'core/v1 Event reportingComponent',
  'core/v1 Event reportingInstance',
  'discovery/v1 EndpointSlice endpoints',
  ...['currentHealthy', 'desiredHealthy', 'disruptionsAllowed', 'expectedPods'].map((f) => `policy/v1 PodDisruptionBudgetStatus ${f}`),
  'rbac/v1 RoleRef apiGroup',
  'scheduling/v1 PriorityClass value',
]);

/** String types whose constants upstream does not mark `+enum`: other values are legal, or the OpenAPI documents leave them open. */
const openTypes = new Set([
  ...[
    'ConditionStatus',
    'ClaimResourceStatus',
    'CustomResourceCleanupFinalizer',
    'DiscoveryFreshness',
    'FinalizerName',
    'FieldValueErrorReason',
  ],
  ...['IPFamily', 'IncludeObjectPolicy', 'KeyUsage', 'LoadBalancerIPMode', 'NodeAddressType', 'OSName', 'PodResizeStatus', 'ResourceName'],
  ...[
    'ResourceScope',
    'SecretType',
    'StatusReason',
    'StorageMedium',
    'CauseType',
    'RowConditionType',
    'VolumeLifecycleMode',
    'FSGroupPolicy',
  ],
  ...['CustomResourceDefinitionConditionType', 'DaemonSetConditionType', 'DeploymentConditionType', 'HorizontalPodAutoscalerConditionType'],
  ...['JobConditionType', 'MigrationConditionType', 'NamespaceConditionType', 'NodeConditionType', 'PersistentVolumeClaimConditionType'],
  ...[
    'PodConditionType',
    'ReplicaSetConditionType',
    'ReplicationControllerConditionType',
    'RequestConditionType',
    'ComponentConditionType',
  ],
  ...['ContainerRestartPolicy', 'RecursiveReadOnlyMode', 'ContainerRestartRuleAction', 'ContainerRestartRuleOnExitCodesOperator'],
  ...[
    'ConversionStrategyType',
    'ConcurrencyPolicyName',
    'LimitResponseType',
    'FlowDistinguisherMethodType',
    'PriorityLevelEnablement',
    'SubjectKind',
  ],
  ...[
    'CoordinatedLeaseStrategy',
    'ResourceResizeRestartPolicy',
    'ResourceHealthStatus',
    'LimitType',
    'PolicyTypeName',
    'LabelSelectorOperator',
  ],
  ...['HPAScalingPolicyType', 'MetricSourceType', 'MetricTargetType', 'ScalingPolicySelect', 'NodePhaseName', 'ManagedFieldsOperationType'],
]);

/** What the names in `+default=ref(…)` stand for. */
const defaultRefs: Readonly<Record<string, string>> = {
  'ref(AzureDataDiskCachingReadWrite)': 'ReadWrite',
  'ref(AzureSharedBlobDisk)': 'Shared',
};

interface Typed {
  readonly schema: Schema;
  readonly ts: string;
}

const goPrimitives: Readonly<Record<string, Typed>> = {
  string: { schema: { type: 'string' }, ts: 'string' },
  bool: { schema: { type: 'boolean' }, ts: 'boolean' },
  int: { schema: { type: 'integer', format: 'int32' }, ts: 'number' },
  int32: { schema: { type: 'integer', format: 'int32' }, ts: 'number' },
  int64: { schema: { type: 'integer', format: 'int64' }, ts: 'number' },
  float64: { schema: { type: 'number', format: 'double' }, ts: 'number' },
  byte: { schema: { type: 'integer', format: 'byte' }, ts: 'number' },
  'metav1.Time': { schema: { type: 'string', format: 'date-time' }, ts: 'string' },
  Time: { schema: { type: 'string', format: 'date-time' }, ts: 'string' },
  'metav1.MicroTime': { schema: { type: 'string', format: 'micro-time' }, ts: 'string' },
  MicroTime: { schema: { type: 'string', format: 'micro-time' }, ts: 'string' },
  'metav1.Duration': { schema: { type: 'string', format: 'duration' }, ts: 'string' },
  'resource.Quantity': { schema: { type: 'string', format: 'quantity' }, ts: 'Quantity' },
  'intstr.IntOrString': { schema: { type: 'string', format: 'int-or-string' }, ts: 'number | string' },
  'runtime.RawExtension': { schema: { type: 'object', preserveUnknownFields: true, format: 'raw' }, ts: 'RawObject' },
  JSON: { schema: { preserveUnknownFields: true, format: 'json' }, ts: 'unknown' },
  FieldsV1: { schema: { type: 'object', preserveUnknownFields: true, format: 'fields-v1' }, ts: 'RawObject' },
  JSONSchemaPropsOrArray: { schema: { preserveUnknownFields: true, format: 'json-schema-or-array' }, ts: 'unknown' },
  JSONSchemaPropsOrBool: { schema: { preserveUnknownFields: true, format: 'json-schema-or-bool' }, ts: 'unknown' },
  JSONSchemaPropsOrStringArray: { schema: { preserveUnknownFields: true, format: 'json-schema-or-string-array' }, ts: 'unknown' },
};

function generate(): void {
  const fields = readFields();
  const structs = new Map<string, Field[]>();
  for (const f of fields) {
    const key = `${f.gv} ${f.type}`;
    const list = structs.get(key);
    if (list === undefined) structs.set(key, [f]);
    else list.push(f);
  }
  const enums = new Map<string, string[]>(readTsv('api-enums.tsv').map((c) => [`${c[0]} ${c[1]}`, (c[2] ?? '').split(',')]));

  /** Types that are owned as a whole wherever they are used: +structType=atomic on the type. */
  const atomicStructs = new Set(readTsv('atomic-structs.tsv').map((c) => `${c[0]} ${c[1]}`));

  /** The group-version and bare name that a Go type name means when it is used in group-version `gv`. */
  function resolveName(gv: string, goName: string): { gv: string; name: string } {
    const dot = goName.indexOf('.');
    if (dot < 0) return { gv, name: goName };
    const prefix = goName.slice(0, dot);
    const name = goName.slice(dot + 1);
    const target = prefixes[prefix] ?? gv;
    for (const candidate of [target, 'meta/v1', 'core/v1']) {
      if (structs.has(`${candidate} ${name}`) || enums.has(`${candidate} ${name}`)) return { gv: candidate, name };
    }
    return { gv: target, name };
  }

  function typed(gv: string, goType: string, imports: Map<string, Set<string>>, clientType: string | undefined): Typed {
    const go = goType.replace(/^\*/, '');
    if (go === '[]byte') return { schema: { type: 'string', format: 'byte' }, ts: 'string' };
    if (go.startsWith('[]')) {
      const item = typed(gv, go.slice(2), imports, /^Array<(.*)>$/.exec(clientType ?? '')?.[1]);
      const ts = /[|]/.test(item.ts) ? `(${item.ts})` : item.ts;
      return { schema: { type: 'array', items: item.schema }, ts: `readonly ${ts}[]` };
    }
    const map = /^map\[[^\]]+\](.*)$/.exec(go);
    if (map !== null) {
      const value = typed(gv, map[1] ?? '', imports, undefined);
      return { schema: { type: 'object', additionalProperties: value.schema }, ts: `{ readonly [key: string]: ${value.ts} }` };
    }
    const primitive = goPrimitives[go];
    if (primitive !== undefined) return primitive;
    const { gv: owner, name } = resolveName(gv, go);
    if (structs.has(`${owner} ${name}`)) {
      if (owner !== gv) {
        const set = imports.get(owner) ?? new Set<string>();
        imports.set(owner, set.add(name));
      }
      const alias = owner === gv ? name : `${owner.replace(/[/]/g, '_')}.${name}`;
      return { schema: { ref: definitionName(owner, name) }, ts: alias };
    }
    const named = `${go.startsWith('types.') ? 'types' : (owner.split('/')[1] ?? '')}.${name}`;
    if (emptyStructs.has(name))
      return { schema: { type: 'object', properties: {}, goType: named }, ts: '{ readonly [key: string]: never }' };
    const alias = goAliases[name];
    if (alias !== undefined) {
      const plain = typed(gv, alias, imports, undefined);
      return { schema: { ...plain.schema, goType: named }, ts: plain.ts };
    }
    const values = enums.get(`${owner} ${name}`);
    if (values !== undefined) {
      const closed = openTypes.has(name) ? {} : { enum: values.filter((v) => v !== '') };
      return { schema: { type: 'string', goType: named, ...closed }, ts: 'string' };
    }
    if (clientType === 'number') return { schema: { type: 'integer', format: 'int32', goType: named }, ts: 'number' };
    return { schema: { type: 'string', goType: named }, ts: 'string' };
  }

  interface Property {
    readonly json: string;
    readonly schema: Schema;
    readonly ts: string;
    readonly required: boolean;
    readonly description: string;
  }

  function propertiesOf(gv: string, type: string, imports: Map<string, Set<string>>, client: ClientModel | undefined): Property[] {
    const list: Property[] = [];
    for (const f of structs.get(`${gv} ${type}`) ?? []) {
      if (f.json === '(inline)') {
        if (f.goType.endsWith('TypeMeta')) {
          for (const json of ['apiVersion', 'kind']) {
            const description = client?.fields.get(json)?.description ?? '';
            list.push({ json, schema: { type: 'string' }, ts: 'string', required: false, description });
          }
          continue;
        }
        const { gv: owner, name } = resolveName(gv, f.goType.replace(/^\*/, ''));
        for (const p of propertiesOf(owner, name, imports, client ?? clientModelOf(owner, name))) {
          const inner = p.schema.proto;
          const proto = f.proto === undefined || inner === undefined ? inner : [f.proto, ...inner];
          list.push({ ...p, schema: { ...p.schema, ...(proto ? { proto } : {}) } });
        }
        continue;
      }
      const known = client?.fields.get(f.json);
      const t = typed(gv, f.goType, imports, known?.type);
      const schema: Schema = {
        ...t.schema,
        ...(f.proto === undefined ? {} : { proto: [f.proto] }),
        ...(f.listType === '' ? {} : { listType: f.listType as 'atomic' | 'set' | 'map' }),
        ...(f.listMapKeys === '' ? {} : { listMapKeys: f.listMapKeys.split(',') }),
        ...(f.patchStrategy === '' ? {} : { patchStrategy: f.patchStrategy.split(',') }),
        ...(f.patchMergeKey === '' ? {} : { patchMergeKey: f.patchMergeKey }),
        ...(f.structType === '' ? {} : { mapType: f.structType as 'atomic' | 'granular' }),
        ...(f.default === '' ? {} : { default: defaultValue(t.schema, defaultRefs[f.default] ?? f.default) }),
        ...(f.goType.startsWith('*') ? { pointer: true } : {}),
        ...(f.optional && !alwaysWritten.has(`${gv} ${type} ${f.json}`) ? { omitEmpty: true } : {}),
      };
      list.push({
        json: f.json,
        schema,
        ts: t.ts,
        required: known?.required ?? !f.optional,
        description: known?.description ?? '',
      });
    }
    return list;
  }

  const schemas: Record<string, Schema> = {};
  const descriptions: Record<string, Record<string, string>> = {};
  const modules = new Map<string, { code: string[]; imports: Map<string, Set<string>> }>();
  for (const key of structs.keys()) {
    const [gv = '', type = ''] = key.split(' ');
    const module = modules.get(gv) ?? { code: [], imports: new Map<string, Set<string>>() };
    modules.set(gv, module);
    const client = clientModelOf(gv, type);
    const properties = propertiesOf(gv, type, module.imports, client);
    const isKind =
      properties.some((p) => p.json === 'kind' && p.schema.proto === undefined) && properties.some((p) => p.json === 'metadata');
    const [short = '', version = ''] = gv.split('/');
    const group = fullGroup(short);
    const name = definitionName(gv, type);
    const required = properties.filter((p) => p.required).map((p) => p.json);
    schemas[name] = {
      type: 'object',
      properties: Object.fromEntries(properties.map((p) => [p.json, p.schema])),
      ...(atomicStructs.has(key) ? { mapType: 'atomic' } : {}),
      ...(required.length > 0 ? { required } : {}),
      ...(isKind && short !== 'meta' ? { gvk: { group, version, kind: type } } : {}),
    };
    const text: Record<string, string> = { '': client?.description ?? '' };
    for (const p of properties) if (p.description !== '') text[p.json] = p.description;
    descriptions[name] = text;
    module.code.push(
      `export interface ${type} {`,
      ...properties.map((p) => {
        const always = p.required || (isKind && ['apiVersion', 'kind', 'metadata'].includes(p.json));
        return `  readonly ${/^\w+$/.test(p.json) ? p.json : JSON.stringify(p.json)}${always ? '' : '?'}: ${p.ts};`;
      }),
      '}',
    );
  }

  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const [gv, module] of modules) {
    const text = module.code.join('\n');
    const shared = ['Quantity', 'RawObject'].filter((name) => new RegExp(`: .*\\b${name}\\b`).test(text));
    const head = [
      '// Made by build/generate.ts.',
      ...[...module.imports.keys()].map((o) => `import type * as ${o.replace(/[/]/g, '_')} from './${moduleName(o)}.ts';`),
      ...(shared.length > 0 ? [`import type { ${shared.join(', ')} } from '../schema.ts';`] : []),
    ];
    writeFileSync(join(out, `${moduleName(gv)}.ts`), `${head.join('\n')}\n${text}\n`);
  }
  writeFileSync(join(out, 'schemas.json'), JSON.stringify(schemas));
  writeFileSync(join(out, 'descriptions.json'), JSON.stringify(descriptions));
}

function defaultValue(schema: Schema, text: string): string | number | boolean {
  if (schema.type === 'boolean') return text === 'true';
  if (schema.type === 'integer' || schema.type === 'number') return Number(text);
  return text;
}

function fingerprint(): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(facts).sort()) hash.update(readFileSync(join(facts, file)));
  hash.update(readFileSync(import.meta.filename));
  hash.update(readFileSync(join(root, 'node_modules/@kubernetes/client-node/package.json')));
  return hash.digest('hex');
}

const stamp = join(out, '.fingerprint');
const print = fingerprint();
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== print) {
  generate();
  writeFileSync(stamp, print);
}

/**
 * CustomResourceDefinitions at work: names accepted, kinds served from the moment the definition is written, instances
 * removed before the definition goes. k8s.io/apiextensions-apiserver pkg/controller/{status,establish,finalizer}.
 */
import { createCel } from '#kube/cel.ts';
import { compileValidations } from '#kube/cel-validate.ts';
import type {
  CustomResourceDefinitionCondition as Condition,
  CustomResourceDefinition,
  JSONSchemaProps,
  CustomResourceDefinitionNames as Names,
  CustomResourceDefinitionStatus as Status,
} from '#kube/generated/apiextensions-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import { allVerbs } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { customResourceDefinitions } from '#kube/refs.ts';
import { definition } from '#kube/schema-registry.ts';
import { type FieldError, invalid } from '#kube/status-error.ts';
import { fieldInvalid } from '#kube/validation/field-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Logger } from '#platform/log.ts';
import type { WatchCache } from '#store/contract.ts';
import { type HookedWrite, type KindHooks, timestamp } from '../core.ts';
import type { Registry } from '../registry.ts';
import { cleanupFinalizer } from './instances.ts';
import { parseJsonPath } from './json-path.ts';
import { kindsOf } from './kind.ts';
import { customSchema, schemaErrors } from './schema.ts';

export interface DefinitionsDeps {
  readonly registry: Registry;
  readonly cache: WatchCache;
  readonly log: Logger;
  /** Deletes every instance of a kind, as a client would: finalizers are respected. */
  readonly deleteAll: (crd: CustomResourceDefinition, signal: AbortSignal) => Promise<void>;
  /** Takes the cleanup finalizer off a definition. */
  readonly release: (name: string, signal: AbortSignal) => Promise<void>;
}

export interface Definitions {
  readonly hooks: KindHooks;
  /** Serves a stored definition: at start. */
  readonly adopt: (crd: Stored<CustomResourceDefinition>) => void;
  readonly close: () => Promise<void>;
}

type Draft = { -readonly [K in keyof CustomResourceDefinition]: CustomResourceDefinition[K] };

export function createDefinitions(deps: DefinitionsDeps): Definitions {
  const { registry, log } = deps;
  const tasks = new TaskGroup();
  /** Versions in the registry, by name of the definition. */
  const served = new Map<string, { readonly group: string; readonly plural: string; readonly versions: readonly string[] }>();
  const cleaning = new Set<string>();

  const withdraw = (name: string): void => {
    const known = served.get(name);
    if (known === undefined) return;
    served.delete(name);
    for (const version of known.versions) registry.remove({ group: known.group, version, plural: known.plural });
  };
  const serve = (crd: CustomResourceDefinition): void => {
    const { name = '', resourceVersion = '0' } = crd.metadata;
    if (!isTrue(crd.status, 'Established')) return;
    try {
      const kinds = kindsOf(crd, Number(resourceVersion));
      withdraw(name);
      for (const kind of kinds) registry.add(crd.metadata.deletionTimestamp === undefined ? kind : { ...kind, verbs: terminatingVerbs });
      served.set(name, { group: crd.spec.group, plural: crd.spec.names.plural, versions: kinds.map((k) => k.ref.version) });
    } catch (error) {
      log.error('a custom resource definition cannot be served', { name, error });
    }
  };
  const clean = (crd: CustomResourceDefinition): void => {
    const { name = '', deletionTimestamp, finalizers = [] } = crd.metadata;
    if (deletionTimestamp === undefined || !finalizers.includes(cleanupFinalizer) || cleaning.has(name)) return;
    cleaning.add(name);
    tasks.spawn(async (signal) => {
      try {
        await removeInstances(deps, crd, signal);
      } catch (error) {
        if (!signal.aborted) log.warn('instances of a custom resource definition cannot be removed', { name, error });
      } finally {
        cleaning.delete(name);
      }
    });
  };
  return {
    adopt: (crd) => {
      serve(crd);
      clean(crd);
    },
    hooks: {
      beforeWrite: (write) => prepare(registry, write),
      afterWrite: (object, old) => {
        const crd = object as unknown as CustomResourceDefinition;
        if (!onlyMetadata(crd, old as unknown as CustomResourceDefinition | undefined)) serve(crd);
        clean(crd);
      },
      afterDelete: (object) => withdraw(object.metadata.name ?? ''),
    },
    close: () => tasks.close(),
  };
}

/** While a definition goes, its instances may go but no new ones come. */
const terminatingVerbs = allVerbs.filter((verb) => verb !== 'create');

const onlyMetadata = (now: CustomResourceDefinition, old: CustomResourceDefinition | undefined): boolean =>
  old !== undefined &&
  now.metadata.deletionTimestamp === old.metadata.deletionTimestamp &&
  jsonEqual(now.spec, old.spec) &&
  jsonEqual(now.status, old.status);

const isTrue = (status: Status | undefined, type: string): boolean =>
  status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;

/** Checks the schemas and sets names and conditions, so that a definition is in use as soon as it is written. Throws StatusError Invalid. */
function prepare(registry: Registry, write: HookedWrite): undefined {
  const crd = write.draft as unknown as Draft;
  const errors = definitionErrors(crd, write.old as unknown as CustomResourceDefinition | undefined);
  if (errors.length > 0) throw invalid(customResourceDefinitions, crd.metadata.name ?? '', errors);
  if (crd.spec.names === undefined || crd.spec.versions === undefined) return undefined;
  const now = timestamp(write.context.now.getTime());
  const problem = nameProblem(registry, crd);
  const before: Status = crd.status ?? {};
  const accepted: Names | undefined = problem === undefined ? crd.spec.names : (before.acceptedNames ?? { plural: '', kind: '' });
  const conditions = [...(before.conditions ?? [])];
  setCondition(
    conditions,
    problem === undefined
      ? { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' }
      : { type: 'NamesAccepted', status: 'False', ...problem },
    now,
  );
  if (problem === undefined)
    setCondition(
      conditions,
      { type: 'Established', status: 'True', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' },
      now,
    );
  else if (!isTrue(before, 'Established'))
    setCondition(conditions, { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' }, now);
  crd.status = { ...before, conditions, acceptedNames: accepted };
  return undefined;
}

function setCondition(conditions: Condition[], condition: Condition, now: string): void {
  const at = conditions.findIndex((c) => c.type === condition.type);
  const before = conditions[at];
  const lastTransitionTime = before?.status === condition.status ? (before.lastTransitionTime ?? now) : now;
  if (at < 0) conditions.push({ ...condition, lastTransitionTime });
  else conditions[at] = { ...condition, lastTransitionTime };
}

/** A name that another resource of the group has already. */
function nameProblem(registry: Registry, crd: CustomResourceDefinition): { readonly reason: string; readonly message: string } | undefined {
  const { group, names } = crd.spec;
  const others = registry
    .versions(group)
    .flatMap((v) => registry.resourcesOf(group, v))
    .filter((r) => r.def.ref.plural !== names.plural || !r.custom)
    .map((r) => r.def);
  const taken = (name: string): boolean =>
    others.some((o) => o.ref.plural === name || o.ref.singular === name || o.ref.shortNames.includes(name));
  const used = (reason: string, name: string) => ({ reason, message: `${JSON.stringify(name)} is already in use` });
  if (taken(names.plural)) return used('PluralConflict', names.plural);
  if (names.singular !== undefined && taken(names.singular)) return used('SingularConflict', names.singular);
  for (const short of names.shortNames ?? []) if (taken(short)) return used('ShortNamesConflict', short);
  if (others.some((o) => o.ref.kind === names.kind || o.listKind === names.kind)) return used('KindConflict', names.kind);
  if (names.listKind !== undefined && others.some((o) => o.ref.kind === names.listKind || o.listKind === names.listKind))
    return used('ListKindConflict', names.listKind);
  return undefined;
}

function definitionErrors(crd: Draft, old: CustomResourceDefinition | undefined): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, version] of (crd.spec.versions ?? []).entries()) {
    const schema = version.schema?.openAPIV3Schema as JSONSchemaProps | undefined;
    const path = `spec.versions[${i}]`;
    for (const [j, column] of (version.additionalPrinterColumns ?? []).entries())
      errors.push(...pathErrors(column.jsonPath, `${path}.additionalPrinterColumns[${j}].jsonPath`));
    for (const [j, field] of (version.selectableFields ?? []).entries())
      errors.push(...pathErrors(field.jsonPath, `${path}.selectableFields[${j}].jsonPath`));
    const before = old?.spec.versions.find((v) => v.name === version.name)?.schema?.openAPIV3Schema;
    if (schema === undefined || jsonEqual(schema, before)) continue;
    const at = `${path}.schema.openAPIV3Schema`;
    const found = schemaErrors(schema, at);
    errors.push(...(found.length > 0 ? found : ruleErrors(schema, at)));
  }
  return errors;
}

function pathErrors(jsonPath: string, field: string): FieldError[] {
  try {
    if (!jsonPath.startsWith('.') && !jsonPath.startsWith('[')) throw new Error('should start with a dot');
    parseJsonPath(jsonPath);
    return [];
  } catch (error) {
    return [fieldInvalid(field, jsonPath, `is invalid: ${error instanceof Error ? error.message : String(error)}`)];
  }
}

/** CEL rules that do not compile, or could cost far too much. */
function ruleErrors(props: JSONSchemaProps, path: string): FieldError[] {
  if (!JSON.stringify(props).includes('x-kubernetes-validations')) return [];
  const { errors } = compileValidations(createCel(), customSchema(props, false), (name) => definition(name) ?? {});
  return errors.map((e) =>
    e.forbidden === true
      ? { field: `${path}.${e.field}`, type: 'FieldValueForbidden', message: `Forbidden: ${e.message}` }
      : fieldInvalid(`${path}.${e.field}`, e.value, e.message),
  );
}

/** Deletes the instances, waits until the last is gone, and lets the definition go. */
async function removeInstances(deps: DefinitionsDeps, crd: CustomResourceDefinition, signal: AbortSignal): Promise<void> {
  const { cache } = deps;
  const { name = '' } = crd.metadata;
  const prefix = `/registry/${crd.spec.group}/${crd.spec.names.plural}/`;
  const watch = cache.watch(prefix, cache.revision());
  const stop = (): void => watch.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (cache.count(prefix) > 0) {
      await deps.deleteAll(crd, signal);
      if (cache.count(prefix) > 0) for await (const _events of watch) if (cache.count(prefix) === 0) break;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    watch.close();
  }
  if (signal.aborted) return;
  await deps.release(name, signal);
}

/**
 * CustomResourceDefinitions at work: names accepted, kinds served from the moment the definition is written, instances
 * removed before the definition goes. k8s.io/apiextensions-apiserver pkg/controller/{status,establish,finalizer}.
 */
import { type Cel, type CelTimes, createCel } from '#kube/cel.ts';
import { definitionErrors } from '#kube/crd/validation.ts';
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionNames as Names,
  CustomResourceDefinitionStatus as Status,
} from '#kube/generated/apiextensions-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import type { KindDef } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { customResourceDefinitions } from '#kube/refs.ts';
import { notFound } from '#kube/status-error.ts';
import { lazy } from '#lib/lazy.ts';
import { createPace } from '#lib/pace.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { WatchCache } from '#store/contract.ts';
import { type HeldWrite, type HookedWrite, type KindHooks, timestamp } from '../core.ts';
import type { Registry } from '../registry.ts';
import { isTrue, statusFor, type TakenNames, withCondition } from './conditions.ts';
import { cleanupFinalizer } from './instances.ts';
import { type KindSource, kindsOf, storageKindOf } from './kind.ts';
import { schemaErrors } from './schema-check.ts';
import { createSchemaShelf } from './schema-shelf.ts';
import { createServing, type Serving } from './serving.ts';
import { type ConverterDeps, type ConvertObjects, createWebhookConverter } from './webhook-converter.ts';

type Crd = CustomResourceDefinition;

export interface DefinitionsDeps {
  readonly registry: Registry;
  readonly cache: Pick<WatchCache, 'revision'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly converter: ConverterDeps;
  /** Gives the definition that is stored now, as often as it is called: also when it has changed since. Undefined where there is none. */
  readonly snapshot: (name: string) => (() => Stored<Crd>) | undefined;
  /** Writes a definition's status past admission, with what `change` makes of it; undefined where there is no such definition. */
  readonly setStatus: (name: string, change: (crd: Crd) => Status) => Promise<Stored<Crd> | undefined>;
  /** Deletes every instance of a kind: finalizers are respected. */
  readonly deleteInstances: (kind: KindDef, signal: AbortSignal) => Promise<void>;
  /** Resolves when a kind has no instances. */
  readonly instancesGone: (kind: KindDef, signal: AbortSignal) => Promise<void>;
  readonly celTimes: CelTimes;
  /** Told when the types of a resource are others than before, or gone. */
  readonly typesChanged: (group: string, plural: string) => void;
  /** Takes the cleanup finalizer off a definition. */
  readonly release: (name: string, signal: AbortSignal) => Promise<void>;
}

export interface Definitions {
  readonly hooks: KindHooks;
  /** Serves a stored definition: at start. */
  readonly adopt: (crd: Stored<Crd>) => void;
  readonly close: () => Promise<void>;
}

type Draft = { -readonly [K in keyof Crd]: Crd[K] };

/** What is remembered of each definition; the definition itself stays in the store, as bytes. */
interface Known {
  readonly group: string;
  readonly accepted: Names | undefined;
  readonly waiting: boolean;
  /** What its schemas are of, and from which revision they hold. */
  readonly tag: string;
  readonly since: number;
  readonly served: { readonly plural: string; readonly versions: readonly string[] };
  readonly kept: Kept;
}

/** What the kinds of one state of a definition share. */
interface Kept {
  readonly serving: Serving;
  /** The bytes that the kinds are made from; renewed when only the rest of the definition is written. */
  load: () => Stored<Crd>;
}

/** Schemas kept compiled. */
const shelfCapacity = 128;
/** Between attempts to remove the instances of a definition that goes. */
const retryMs = 5_000;

export function createDefinitions(deps: DefinitionsDeps): Definitions {
  const { registry, log } = deps;
  const tasks = new TaskGroup();
  const shelf = createSchemaShelf(shelfCapacity);
  const pace = createPace();
  const cel = lazy(() => createCel(deps.celTimes));
  const known = new Map<string, Known>();
  const cleaning = new Set<string>();

  const keep = (name: string): Kept => ({ serving: createServing(), load: snapshotOf(name) });
  const snapshotOf = (name: string): (() => Stored<Crd>) =>
    deps.snapshot(name) ??
    (() => {
      throw notFound(customResourceDefinitions, name);
    });
  const sourceOf = (crd: Crd, since: number, kept: Kept): KindSource => {
    const { name = '' } = crd.metadata;
    const { conversion } = crd.spec;
    const load = (): Crd => kept.load();
    const convert: ConvertObjects | undefined =
      conversion?.strategy === 'Webhook' && conversion.webhook !== undefined
        ? createWebhookConverter(name, conversion.webhook, deps.converter)
        : undefined;
    return { load, serving: kept.serving, shelf, cel, convert, lifetime: tasks.signal, servedAsStoredAfter: since };
  };
  const withdraw = (name: string): void => {
    const before = known.get(name);
    if (before === undefined) return;
    const { plural, versions } = before.served;
    for (const version of versions) registry.remove({ group: before.group, version, plural });
    end(before.kept);
    if (versions.length > 0) deps.typesChanged(before.group, plural);
  };
  /** Requests under way end in their own time, and then the watches. */
  const end = ({ serving }: Kept): void => tasks.spawn(() => serving.end());
  const note = (crd: Crd, since: number, versions: readonly string[], kept: Kept): void => {
    known.set(crd.metadata.name ?? '', {
      group: crd.spec.group,
      accepted: crd.status?.acceptedNames,
      waiting: !isTrue(crd.status, 'NamesAccepted'),
      tag: tagOf(crd),
      since,
      served: { plural: crd.status?.acceptedNames?.plural ?? crd.spec.names.plural, versions },
      kept,
    });
  };
  /** `sameSpec`: only other things than the spec have changed, such as the generation when a deletion begins. */
  const serve = (crd: Crd, revision: number, sameSpec: boolean): void => {
    const { name = '' } = crd.metadata;
    const before = known.get(name);
    const since = before?.tag === tagOf(crd) ? before.since : revision;
    // As upstream: names and conditions of no consequence for what is served leave it as it is.
    const same = sameSpec && jsonEqual(before?.accepted, crd.status?.acceptedNames);
    const kept = (same ? before?.kept : undefined) ?? keep(name);
    if (!isTrue(crd.status, 'Established')) {
      withdraw(name);
      note(crd, since, [], kept);
      return;
    }
    try {
      kept.load = snapshotOf(name);
      const kinds = kindsOf(crd, sourceOf(crd, since, kept));
      const versions = kinds.map((k) => k.ref.version);
      for (const version of before?.served.versions ?? [])
        if (!versions.includes(version)) registry.remove({ group: crd.spec.group, version, plural: crd.spec.names.plural });
      for (const kind of kinds) registry.add(kind);
      note(crd, since, versions, kept);
      if (before !== undefined && before.kept !== kept) end(before.kept);
      if (before?.kept !== kept || before.served.versions.length === 0) deps.typesChanged(crd.spec.group, crd.spec.names.plural);
    } catch (error) {
      log.error('a custom resource definition cannot be served', { name, error });
    }
  };
  /** The bytes of before would be kept for nothing. */
  const renew = (crd: Crd): void => {
    const found = known.get(crd.metadata.name ?? '');
    if (found !== undefined) found.kept.load = snapshotOf(crd.metadata.name ?? '');
  };
  const taken = (crd: Crd): TakenNames => takenNames(registry, known, crd);
  /** Definitions whose names were not all free try again when names of their group come free. */
  const reconsider = (group: string): void => {
    for (const [name, k] of known) {
      if (!k.waiting || k.group !== group) continue;
      tasks.spawn(async (signal) => {
        const now = timestamp(deps.clock.now());
        const crd = await deps.setStatus(name, (current) => statusFor(current, taken(current), now));
        if (crd !== undefined && !signal.aborted) serve(crd, deps.cache.revision(), true);
      });
    }
  };
  const clean = (crd: Crd): void => {
    const { name = '', deletionTimestamp, finalizers = [] } = crd.metadata;
    if (deletionTimestamp === undefined || !finalizers.includes(cleanupFinalizer) || cleaning.has(name)) return;
    cleaning.add(name);
    tasks.spawn(async (signal) => {
      try {
        // What was creating objects when the definition began to go has ended then.
        const kept = keep(name);
        await known.get(name)?.kept.serving.drained();
        await removeInstances(deps, name, storageKindOf(crd, sourceOf(crd, deps.cache.revision(), kept)), signal);
      } finally {
        cleaning.delete(name);
      }
    });
  };
  return {
    adopt: (crd) => {
      serve(crd, Number(crd.metadata.resourceVersion), false);
      clean(crd);
    },
    hooks: {
      // Large schemas take a while to check: many that come at once leave turns to the requests of others.
      beforeWrite: (write) => pace.run(() => prepare(write, taken, cel)),
      afterWrite: (object, old) => {
        const crd = object as unknown as Crd;
        const before = old as unknown as Crd | undefined;
        if (!onlyMetadata(crd, before)) serve(crd, deps.cache.revision(), jsonEqual(crd.spec, before?.spec));
        else renew(crd);
        if (before !== undefined && !jsonEqual(crd.status?.acceptedNames, before.status?.acceptedNames)) reconsider(crd.spec.group);
        clean(crd);
      },
      afterDelete: (object) => {
        const crd = object as unknown as Crd;
        withdraw(crd.metadata.name ?? '');
        known.delete(crd.metadata.name ?? '');
        reconsider(crd.spec.group);
      },
    },
    close: () => tasks.close(),
  };
}

const tagOf = (crd: Crd): string => `${crd.metadata.uid ?? ''}/${crd.metadata.generation ?? 0}`;

const onlyMetadata = (now: Crd, old: Crd | undefined): boolean =>
  old !== undefined &&
  now.metadata.deletionTimestamp === old.metadata.deletionTimestamp &&
  jsonEqual(now.spec, old.spec) &&
  jsonEqual(now.status, old.status);

/** Names that other definitions and the built-in kinds of the group have. */
function takenNames(registry: Registry, known: ReadonlyMap<string, Known>, crd: Crd): TakenNames {
  const { group } = crd.spec;
  const resources = new Set<string>();
  const kinds = new Set<string>();
  const take = (names: Names): void => {
    for (const name of [names.plural, names.singular ?? '', ...(names.shortNames ?? [])]) if (name !== '') resources.add(name);
    for (const name of [names.kind, names.listKind ?? '']) if (name !== '') kinds.add(name);
  };
  for (const [name, k] of known) if (k.group === group && k.accepted !== undefined && name !== crd.metadata.name) take(k.accepted);
  for (const version of registry.versions(group))
    for (const { custom, def } of registry.resourcesOf(group, version))
      if (!custom) take({ ...def.ref, listKind: def.listKind ?? `${def.ref.kind}List`, shortNames: def.ref.shortNames });
  return { resources, kinds };
}

/** Checks the definition and sets names and conditions, so that it is in use as soon as it is written. */
function prepare(write: HookedWrite, taken: (crd: Crd) => TakenNames, cel: () => Cel): HeldWrite {
  const crd = write.draft as unknown as Draft;
  const errors = definitionErrors(crd, write.old as unknown as Crd | undefined, (schema, path) => schemaErrors(schema, path, cel));
  if (errors.length === 0) crd.status = statusFor(crd, taken(crd), timestamp(write.context.now.getTime()));
  return { undo: () => undefined, errors };
}

/** Deletes the instances, waits until the last is gone, and lets the definition go. Tries until it succeeds. */
async function removeInstances(deps: DefinitionsDeps, name: string, kind: KindDef | undefined, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  const terminating = async (status: string, reason: string, message: string): Promise<void> => {
    const now = timestamp(clock.now());
    await deps.setStatus(name, (crd) => ({
      ...crd.status,
      conditions: withCondition(crd.status?.conditions ?? [], { type: 'Terminating', status, reason, message }, now),
    }));
  };
  for (;;) {
    try {
      await terminating('True', 'InstanceDeletionInProgress', 'CustomResource deletion is in progress');
      if (kind !== undefined) {
        await deps.deleteInstances(kind, signal);
        await deps.instancesGone(kind, signal);
      }
      if (signal.aborted) return;
      await terminating('False', 'InstanceDeletionCompleted', 'removed all instances');
      await deps.release(name, signal);
      return;
    } catch (error) {
      if (signal.aborted) return;
      log.warn('instances of a custom resource definition cannot be removed', { name, error });
      const why = error instanceof Error ? error.message : String(error);
      await terminating('True', 'InstanceDeletionFailed', `could not list instances: ${why}`);
      await clock.sleep(retryMs, signal);
    }
  }
}

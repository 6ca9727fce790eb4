/** Feeds the garbage collector with every deletable resource: the built-in ones once, custom ones as their definitions come and go. */

import type { KubeClient } from '#client/contract.ts';
import type { Informer } from '#client/informer.ts';
import { createInformer } from '#client/informer.ts';
import type { CustomResourceDefinition } from '#kube/generated/apiextensions-v1.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { apiServices, apiVersionOf, customResourceDefinitions, type ResourceRef } from '#kube/refs.ts';
import { TaskGroup } from '#lib/task-group.ts';
import type { ControllerDeps } from './controller.ts';
import { discover } from './discovery.ts';

export interface MonitorHandlers {
  readonly changed: (resource: ResourceRef, object: Stored<KubeObject>) => void;
  readonly gone: (resource: ResourceRef, object: Stored<KubeObject>) => void;
}

export interface Monitors {
  /** Runs until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** Resolves when what was served at the start has been read. */
  readonly synced: (signal: AbortSignal) => Promise<void>;
  /** The resource that serves a kind. */
  readonly resourceOf: (apiVersion: string, kind: string) => ResourceRef | undefined;
}

/** Never collected: they own and are owned by nothing, and there are many. */
const ignored: ReadonlySet<string> = new Set(['/events', 'events.k8s.io/events']);
const settleMs = 500;
const retryMs = 5000;

interface Monitor {
  readonly ref: ResourceRef;
  readonly informer: Informer<KubeObject>;
  readonly tasks: TaskGroup;
  /** Served by somebody else, a definition or another server: when that cannot be listed (its webhook is down), the rest goes on. */
  readonly foreign: boolean;
}

export function createMonitors(deps: ControllerDeps, readClient: KubeClient, handlers: MonitorHandlers): Monitors {
  const { informers, clock, log } = deps;
  // A platform installs a thousand definitions of some fifty kB: their schemas are not held here too.
  const crds = createInformer(customResourceDefinitions, { ...deps, client: readClient }, {}, withoutSchemas);
  const services = informers.informer(apiServices);
  const kinds = new Map<string, ResourceRef>();
  const monitors = new Map<string, Monitor>();
  const first = Promise.withResolvers<void>();
  let wake: (() => void) | undefined;
  let changed = true;

  const follow = (informer: Informer<KubeObject>, ref: ResourceRef): void => {
    informer.addHandler({
      added: (object) => handlers.changed(ref, object),
      updated: (object) => handlers.changed(ref, object),
      deleted: (object) => handlers.gone(ref, object),
    });
  };
  const add = (key: string, ref: ResourceRef, foreign: boolean, signal: AbortSignal): void => {
    const tasks = new TaskGroup(signal);
    const shared = informers.existing(ref);
    const informer = shared ?? createInformer(ref, { ...deps, client: readClient }, {}, ownershipOf(ref));
    monitors.set(key, { ref, informer, tasks, foreign });
    follow(informer, ref);
    if (shared === undefined) tasks.spawn(informer.run);
  };
  /** The resource is no longer served: its objects are gone with it. */
  const drop = async (key: string, monitor: Monitor): Promise<void> => {
    monitors.delete(key);
    await monitor.tasks.close();
    for (const object of monitor.informer.list()) handlers.gone(monitor.ref, object);
  };

  const refresh = async (signal: AbortSignal): Promise<void> => {
    const { resources, failures } = await discover(readClient, signal);
    const custom = new Set(crds.list().map((crd) => crd.spec.group));
    const served = new Set<string>();
    kinds.clear();
    for (const { ref, verbs } of resources) {
      kinds.set(`${ref.group}/${ref.kind}`, ref);
      const resource = `${ref.group}/${ref.plural}`;
      if (ignored.has(resource) || !['delete', 'list', 'watch'].every((verb) => verbs.includes(verb))) continue;
      const key = `${apiVersionOf(ref)}/${ref.plural}`;
      served.add(key);
      if (!monitors.has(key)) add(key, ref, custom.has(ref.group) || isAggregated(ref), signal);
    }
    for (const [key, monitor] of [...monitors]) if (!served.has(key) && !failures.has(apiVersionOf(monitor.ref))) await drop(key, monitor);
  };
  const isAggregated = (ref: ResourceRef): boolean =>
    services.list().some((s) => s.spec?.service !== undefined && s.spec.group === ref.group && s.spec.version === ref.version);

  const poke = (): void => {
    changed = true;
    wake?.();
  };
  const next = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      if (changed || signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  const spec = (crd: {
    readonly metadata: { readonly generation?: number };
    readonly status?: { readonly conditions?: unknown };
  }): string => `${crd.metadata.generation}${JSON.stringify(crd.status?.conditions ?? [])}`;
  crds.addHandler({ added: poke, updated: (crd, old) => (spec(crd) === spec(old) ? undefined : poke()), deleted: poke });
  services.addHandler({ added: poke, updated: poke, deleted: poke });

  return {
    synced: (signal) => {
      signal.addEventListener('abort', () => first.reject(signal.reason), { once: true });
      return first.promise;
    },
    resourceOf: (apiVersion, kind) => kinds.get(`${apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''}/${kind}`),
    run: async (signal) => {
      const definitions = new TaskGroup(signal);
      definitions.spawn(crds.run);
      await Promise.all([crds.synced(signal), services.synced(signal)]);
      while (!signal.aborted) {
        await next(signal);
        if (signal.aborted) break;
        changed = false;
        try {
          await refresh(signal);
          await Promise.all(
            [...monitors.values()]
              .filter((m) => !m.tasks.signal.aborted && (!m.foreign || m.informer.hasSynced()))
              .map((m) => m.informer.synced(signal)),
          );
          first.resolve();
          // Definitions tend to come many at a time.
          await clock.sleep(settleMs, signal);
        } catch (error) {
          if (signal.aborted) break;
          log.warn('cannot discover what to collect, will retry', { error });
          changed = true;
          await clock.sleep(retryMs, signal).catch(() => undefined);
        }
      }
      await Promise.all([definitions.close(), ...[...monitors.values()].map((m) => m.tasks.close())]);
    },
  };
}

/** What tells of a definition whether discovery has changed. */
const withoutSchemas = (crd: Stored<CustomResourceDefinition>): Stored<CustomResourceDefinition> => {
  const { managedFields: _, annotations: __, ...metadata } = crd.metadata;
  return { ...crd, metadata, spec: { ...crd.spec, versions: [] } };
};

/** All that collecting needs to know of an object. The rest, such as the data of a ConfigMap, is not held in memory. */
const ownershipOf =
  (ref: ResourceRef) =>
  ({ metadata }: Stored<KubeObject>): Stored<KubeObject> => {
    const { uid, name, namespace, resourceVersion, creationTimestamp, deletionTimestamp, ownerReferences, finalizers } = metadata;
    return {
      kind: ref.kind,
      apiVersion: apiVersionOf(ref),
      metadata: {
        uid,
        name,
        resourceVersion,
        creationTimestamp,
        ...(namespace === undefined ? {} : { namespace }),
        ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
        ...(ownerReferences === undefined ? {} : { ownerReferences }),
        ...(finalizers === undefined ? {} : { finalizers }),
      },
    };
  };

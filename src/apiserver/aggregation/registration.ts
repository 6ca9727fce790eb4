/**
 * An APIService for every group version that this server serves itself: those of built-in kinds once at start, those of
 * custom kinds as long as there are any. kube-aggregator pkg/controllers/autoregister, pkg/controlplane/controller/crdregistration
 * and kube-aggregator pkg/controllers/status/local.
 */
import type { APIService, APIServiceSpec } from '#kube/generated/apiregistration-v1.ts';
import { jsonEqual } from '#kube/json-value.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { timestamp } from '../core.ts';
import type { InProcessTransport } from '../in-process.ts';
import type { Registry } from '../registry.ts';
import { type ApiServices, availableCondition, type StoredApiService } from './api-services.ts';
import { createKeyedWork } from './keyed-work.ts';
import { apiServiceName, builtinPriority, customPriority, registrationGroup } from './priorities.ts';

const label = 'kube-aggregator.kubernetes.io/automanaged';
const collection = '/apis/apiregistration.k8s.io/v1/apiservices';

interface Desired {
  readonly spec: APIServiceSpec;
  /** onstart: brought up to date when the server starts, then left alone. true: kept as it is to be. */
  readonly managed: 'onstart' | 'true';
}

export interface RegistrationDeps {
  readonly registry: Registry;
  readonly apiServices: ApiServices;
  /** Acts as the server itself. */
  readonly transport: InProcessTransport;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Registration {
  /** Registers what is served now; resolves when that is done. */
  readonly start: () => Promise<void>;
  /** Follows changes until the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** What is to be registered, by name. */
function desiredServices(registry: Registry): ReadonlyMap<string, Desired> {
  const desired = new Map<string, Desired>();
  for (const group of registry.groups()) {
    if (group === registrationGroup) continue;
    for (const version of registry.versions(group)) {
      const custom = registry.resourcesOf(group, version).every((r) => r.custom);
      const priority = custom ? customPriority : builtinPriority(group, version);
      if (priority === undefined) continue;
      const spec = {
        ...(group === '' ? {} : { group }),
        version,
        groupPriorityMinimum: priority.group,
        versionPriority: priority.version,
      };
      desired.set(apiServiceName(group, version), { spec, managed: custom ? 'true' : 'onstart' });
    }
  }
  return desired;
}

const managedOf = (object: StoredApiService): string => object.metadata.labels?.[label] ?? '';

/** What is to be done about one name: the table at checkAPIService of autoregister_controller.go. `atStart`: it is the first look after a start. */
export function registrationStep(
  current: StoredApiService | undefined,
  desired: Desired | undefined,
  atStart: boolean,
): 'create' | 'update' | 'delete' | undefined {
  if (desired?.managed === 'onstart' && !atStart) return undefined;
  if (current === undefined) return desired === undefined ? undefined : 'create';
  const managed = managedOf(current);
  if (managed !== 'true' && managed !== 'onstart') return undefined;
  if (managed === 'onstart' && !atStart) return undefined;
  if (desired === undefined) return 'delete';
  return jsonEqual(current.spec, desired.spec) ? undefined : 'update';
}

export function createRegistration(deps: RegistrationDeps): Registration {
  const { registry, apiServices, transport, clock } = deps;
  let desired: ReadonlyMap<string, Desired> = new Map();

  const write = async (name: string, atStart: boolean): Promise<void> => {
    const current = apiServices.get(name);
    const wanted = desired.get(name);
    const step = registrationStep(current, wanted, atStart);
    try {
      if (step === 'create' && wanted !== undefined) await call('POST', collection, newService(name, wanted));
      else if (step === 'update' && current !== undefined) await call('PUT', `${collection}/${name}`, { ...current, spec: wanted?.spec });
      else if (step === 'delete' && current !== undefined)
        await transport.call({
          method: 'DELETE',
          path: `${collection}/${name}`,
          contentType: 'application/json',
          body: { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: current.metadata.uid } },
        });
      else if (current !== undefined) await markLocal(current);
    } catch (error) {
      // Somebody was quicker: what they wrote is looked at when its event comes.
      if (!isStatus(error, 'AlreadyExists', 'NotFound', 'Conflict')) throw error;
    }
  };
  const call = (method: 'POST' | 'PUT', path: string, body: unknown): Promise<unknown> =>
    transport.call({ method, path, contentType: 'application/json', body });
  /** One that no longer points to a service is available from then on. */
  const markLocal = async (current: StoredApiService): Promise<void> => {
    const before = availableCondition(current);
    if (current.spec?.service !== undefined || before?.reason === 'Local') return;
    const lastTransitionTime = before?.status === 'True' ? before.lastTransitionTime : timestamp(clock.now());
    const message = 'Local APIServices are always available';
    const condition = { type: 'Available', status: 'True', reason: 'Local', message, lastTransitionTime };
    const others = (current.status?.conditions ?? []).filter((c) => c.type !== 'Available');
    await call('PUT', `${collection}/${current.metadata.name}/status`, { ...current, status: { conditions: [...others, condition] } });
  };

  const work = createKeyedWork(
    {
      name: 'registration of API services',
      workers: 5,
      retry: { baseMs: 100, maxMs: 60_000 },
      work: async (name) => {
        await write(name, false);
        return undefined;
      },
    },
    deps,
  );
  const refresh = (): void => {
    const before = desired;
    desired = desiredServices(registry);
    for (const name of desired.keys()) if (!before.has(name)) work.add(name);
    for (const name of before.keys()) if (!desired.has(name)) work.add(name);
  };
  return {
    start: async () => {
      desired = desiredServices(registry);
      const known = [...apiServices.all()].map((s) => s.metadata.name);
      await Promise.all([...new Set([...desired.keys(), ...known])].map((name) => write(name, true)));
      let scheduled = false;
      registry.onChange(() => {
        if (scheduled) return;
        scheduled = true;
        // A definition that changes is taken out and put back at once: only what comes of it counts.
        queueMicrotask(() => {
          scheduled = false;
          refresh();
        });
      });
      apiServices.onChange(work.add);
      refresh();
    },
    run: work.run,
  };
}

const newService = (name: string, { spec, managed }: Desired): APIService => ({
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  metadata: { name, labels: { [label]: managed } },
  spec,
});

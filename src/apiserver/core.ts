/** What every verb has at hand. */
import type { Draft, KindDef, StrategyContext } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import type { FieldError } from '#kube/status-error.ts';
import type { Turns } from '#lib/turns.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';
import type { WatchCache } from '#store/contract.ts';
import type { AdmissionChain } from './admission/chain.ts';
import type { ApiRequest, Authorize, ObjectStore } from './contract.ts';
import type { Registry, Resource } from './registry.ts';
import type { RequestInfo } from './request-info.ts';

/**
 * Work that some kinds need around their writes and that no schema can say: allocation of addresses and ports for
 * services, making a kind from a CustomResourceDefinition. Listed by group and plural in hooks.ts.
 */
export interface KindHooks {
  /** After defaulting and before validation of a create or update; may change the draft. `undo` runs when the write fails. */
  readonly beforeWrite?: (write: HookedWrite) => HeldWrite | undefined | Promise<HeldWrite | undefined>;
  /** After the write is visible. */
  readonly afterWrite?: (object: KubeObject, old: KubeObject | undefined) => void;
  /** After the object is gone. */
  readonly afterDelete?: (object: KubeObject) => void;
}

/** What a hook holds for a write that is under way. */
export interface HeldWrite {
  readonly undo: () => void;
  /** What is wrong with the object: told together with what validation finds. */
  readonly errors?: readonly FieldError[];
}

export interface HookedWrite {
  readonly draft: Draft;
  readonly old: KubeObject | undefined;
  readonly dryRun: boolean;
  readonly context: StrategyContext;
}

export interface Core {
  readonly cache: WatchCache;
  readonly registry: Registry;
  readonly objects: ObjectStore;
  readonly admission: AdmissionChain;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly hooks: ReadonlyMap<string, KindHooks>;
  /** By key in the store: writers that lost a race try again one after another. */
  readonly turns: Turns;
}

/** A request for a resource, after routing and authorization. */
export interface VerbRequest {
  readonly core: Core;
  readonly request: ApiRequest;
  readonly info: RequestInfo;
  readonly resource: Resource;
  /** Collects the texts of Warning headers. */
  readonly warnings: string[];
}

export const hooksOf = (core: Core, def: KindDef): KindHooks | undefined => core.hooks.get(`${def.ref.group}/${def.ref.plural}`);

export function strategyContext(core: Core, request: ApiRequest, info: RequestInfo): StrategyContext {
  return { user: request.user, now: new Date(core.clock.now()), namespace: info.namespace, subresource: info.subresource };
}

/** Times in objects have no fractions: metav1.Time. */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/**
 * A kind as data. Built-in kinds are written in resources/<group>/<kind>.ts; a CustomResourceDefinition makes the same
 * at run time. The API server knows kinds only through this.
 */
import type { KubeObject } from './object.ts';
import type { ResourceRef } from './refs.ts';
import type { Schema } from './schema.ts';
import type { FieldError } from './status-error.ts';

/**
 * An object while the API server works on it: decoded, pruned to its schema, not yet frozen. Strategy functions may
 * change it in place; nothing else may.
 */
export type Draft = { -readonly [K in keyof KubeObject]: KubeObject[K] } & { [field: string]: unknown };

/** Who asks, and when: what strategies may depend on. */
export interface StrategyContext {
  readonly user: {
    readonly name: string;
    readonly uid?: string;
    readonly groups: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
  readonly now: Date;
  readonly namespace: string;
  readonly subresource: string;
}

export interface ColumnDef {
  readonly name: string;
  /** string, integer, number, boolean or date. */
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: 'name';
  readonly description: string;
  /** 0: always shown; 1: only with -o wide. */
  readonly priority: number;
}

/** What `kubectl get` shows: columns, and one row of cells for an object (ages as kubectl prints them, relative to `now`). */
export interface TableDef<T extends KubeObject = KubeObject> {
  readonly columns: readonly ColumnDef[];
  readonly cells: (object: T, now: Date) => readonly (string | number | bigint | boolean | null)[];
  /** TableRow conditions: upstream marks pods that are Succeeded or Failed as Completed. */
  readonly completed?: (object: T) => { readonly reason: string; readonly message: string } | undefined;
}

export interface ScaleDef {
  /** Dotted paths below the object. */
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  /** The selector as a string, for status.selector of Scale. */
  readonly selector: (object: KubeObject) => string;
}

/** Conversion by a webhook. */
export interface RemoteConversion {
  /** For messages. */
  readonly name: string;
  /** Objects as they are stored, in whichever version, in the kind's own version and in order. Ends in bounded time. Rejects with StatusError. */
  readonly fromStored: (objects: readonly Draft[]) => Promise<readonly Draft[]>;
  /** An object of the kind's version as it is to be stored. Rejects with StatusError. */
  readonly toStored: (object: Draft, signal: AbortSignal) => Promise<Draft>;
  /** An object of the kind's version in another one, neither pruned nor defaulted: whose fields are whose is kept by version. Rejects with StatusError. */
  readonly toVersion: (object: Draft, apiVersion: string, signal: AbortSignal) => Promise<Draft>;
}

/** Kinds that come and go while the server runs: what a definition makes is replaced when the definition changes. */
export interface KindServing {
  /** Begins a request; the returned function ends it. Watches do not count. */
  readonly enter: () => () => void;
  /** Aborts when the kind has been replaced or withdrawn, and its last request is answered: watches end then. */
  readonly ended: AbortSignal;
}

export interface KindDef<T extends KubeObject = KubeObject> {
  readonly ref: ResourceRef<T>;
  /** Schema of the object; its `properties` hold apiVersion, kind, metadata and the rest. Of custom resources it is made when it is read: do not hold it. */
  readonly schema: Schema;
  /** Made by a CustomResourceDefinition. */
  readonly custom?: boolean;
  readonly serving?: KindServing;
  /** With `custom`: changes whenever the schema may have changed; tells documents apart without making them. */
  readonly schemaTag?: string;
  /** Which stored group, resource and version this kind's bytes are kept under: equal to ref, unless several versions share one store (autoscaling v1 and v2; core and events.k8s.io Event). */
  readonly storage?: { readonly group: string; readonly plural: string; readonly version: string };
  /** Conversion from and to the stored version; absent where ref is the stored version. */
  readonly convert?: { readonly fromStored: (object: Draft) => Draft; readonly toStored: (object: Draft) => Draft };
  /** Conversion that only somebody else can do; with `convert` for what is stored in this very version. See convertAhead in apiserver/view.ts. */
  readonly remote?: RemoteConversion;
  /** Kind of lists; default: the kind with "List" appended. */
  readonly listKind?: string;
  /**
   * With `convert`: what is stored in this version and was written after this revision is served as it is stored. Custom resources:
   * their schema, defaults and storage version change while the server runs.
   */
  readonly servedAsStoredAfter?: number;
  /** Text of a Warning header on every answer: the version is deprecated. */
  readonly deprecation?: string;
  /** A finalizer that a deletion begins with (CustomResourceDefinitions: the instances go first). */
  readonly deletionFinalizer?: string;
  /** Verbs in discovery and the router. Default: all eight. Reviews and Binding have only 'create'. */
  readonly verbs?: readonly Verb[];
  /** Defaults beyond those in the schema; runs on decode, after schema defaults, also of objects read from an older schema. */
  readonly defaults?: (object: Draft) => void;
  /** Before create: resets status, sets what only the server may. */
  readonly prepareForCreate?: (object: Draft, context: StrategyContext) => void;
  /** Before update of the main resource. Resetting status to the old one and generation are done by the server: see `hasStatus`, `generation`. */
  readonly prepareForUpdate?: (object: Draft, old: T, context: StrategyContext) => void;
  /** Before update of status: everything but status and metadata is taken from the old object first; see statusKeepsMetadata. */
  readonly prepareForStatusUpdate?: (object: Draft, old: T, context: StrategyContext) => void;
  /**
   * What a write of status may not touch of metadata: these fields are taken from the old object. 'all': labels, annotations,
   * finalizers and owners (upstream's ResetObjectMetaForStatus). Default: none; labels and annotations may be written by the way.
   */
  readonly statusKeepsMetadata?: 'all' | readonly ('labels' | 'ownerReferences')[];
  readonly validate?: (object: T, context: StrategyContext) => readonly FieldError[];
  readonly validateUpdate?: (object: T, old: T, context: StrategyContext) => readonly FieldError[];
  readonly validateStatusUpdate?: (object: T, old: T, context: StrategyContext) => readonly FieldError[];
  /** Of the object as a subresource changes it, by the subresource's name. */
  readonly validateParts?: Readonly<Record<string, (object: T, old: T, context: StrategyContext) => readonly FieldError[]>>;
  /** Kubectl-visible warnings for an accepted object. */
  readonly warnings?: (object: T, old: T | undefined) => readonly string[];
  /** How metadata.name is checked; default 'subdomain' (DNS-1123). 'path': any legal path segment (RBAC). */
  readonly nameFormat?: 'subdomain' | 'label' | 'path';
  /** True: the object has a status subresource. */
  readonly hasStatus?: boolean;
  readonly scale?: ScaleDef;
  /** 'spec': metadata.generation starts at 1 and grows when anything but metadata and status changes. Default: no generation. */
  readonly generation?: 'spec';
  /** PUT on a name that does not exist creates it. */
  readonly createOnUpdate?: boolean;
  /** PUT and status PUT without resourceVersion overwrite. Default true. */
  readonly unconditionalUpdate?: boolean;
  /** Grace period in seconds for a deletion that does not give one, or undefined for immediate deletion. Pods. */
  readonly gracefulDeletion?: (object: T, requestedSeconds: number | undefined) => number | undefined;
  /** At the beginning of a deletion that does not remove the object at once (namespaces: phase Terminating). */
  readonly prepareForDelete?: (object: Draft) => void;
  /** True while an object that is being deleted must stay for reasons beyond metadata.finalizers (namespaces: spec.finalizers). */
  readonly holdsDeletion?: (object: T) => boolean;
  /** DELETE answers with the object instead of a Status. */
  readonly returnsDeleted?: boolean;
  /** Default propagation when DeleteOptions names none. */
  readonly defaultPropagation?: 'Background' | 'Orphan';
  /** Field selectors beyond metadata.name and metadata.namespace. */
  readonly selectableFields?: Readonly<Record<string, (object: T) => string>>;
  readonly table?: TableDef<T>;
  /** 'lazy': visible at once, on disk within seconds (node leases, Events). */
  readonly durability?: 'sync' | 'lazy';
  /** Seconds after which the store forgets an object of this kind (Events: 3600). */
  readonly ttlSeconds?: number;
  /** The kind is a question that is answered and never stored (SubjectAccessReview, TokenReview). */
  readonly ephemeral?: boolean;
  /** Names of further subresources that apiserver/subresources/ implements, for discovery (pods: log, exec…). */
  readonly subresources?: readonly string[];
}

export type Verb = 'create' | 'get' | 'list' | 'watch' | 'update' | 'patch' | 'delete' | 'deletecollection';

export const allVerbs: readonly Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

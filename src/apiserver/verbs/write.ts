/**
 * The path that every write takes: admission, strategy, validation, the store. k8s.io/apiserver pkg/registry/generic/registry
 * Store and pkg/registry/rest.
 */
import type { Draft, KindDef, StrategyContext } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import { apiVersionOf } from '#kube/refs.ts';
import {
  alreadyExists,
  conflict,
  type FieldError,
  generatedNameTaken,
  invalid,
  isStatus,
  modifiedMessage,
  notFound,
  StatusError,
} from '#kube/status-error.ts';
import type { CachedEntry } from '#store/contract.ts';
import type { AdmissionOperation, AdmissionRequest } from '../contract.ts';
import { hooksOf, strategyContext, type VerbRequest } from '../core.ts';
import { objectKeyOf } from '../keys.ts';
import { trackFields } from '../managed-fields.ts';
import {
  canonicalJson,
  carryMeta,
  dedupOwners,
  generatedName,
  initializeMeta,
  metaOf,
  specChanged,
  validateMeta,
  validateMetaUpdate,
} from '../meta.ts';
import { parseResourceVersion } from '../options.ts';
import { createEntry, deleteEntry, encodeFor, readEntry, updateEntry } from '../storage.ts';
import { convertAhead, isStoredAs, looseEntry, presentStored, viewOf } from '../view.ts';

const afterAdmission = ' after mutating admission happens';

/** Attempts to find a free generated name, as upstream since 1.30. */
const nameAttempts = 8;

export interface WriteResult {
  readonly entry: CachedEntry;
  readonly created: boolean;
}

const optionKinds = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions' } as const;

/** The options of a write as admission sees them: those of a patch are an update's. */
function writeOptions(
  r: VerbRequest,
  operation: Exclude<AdmissionOperation, 'CONNECT'>,
  dryRun: boolean,
  more: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const given = (name: string): object => {
    const value = r.request.query.get(name) ?? '';
    return value === '' ? {} : { [name]: value };
  };
  return {
    kind: optionKinds[operation],
    apiVersion: 'meta.k8s.io/v1',
    ...(dryRun ? { dryRun: ['All'] } : {}),
    ...(operation === 'DELETE' ? {} : { ...given('fieldManager'), ...given('fieldValidation') }),
    ...Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)),
  };
}

export function admissionRequest(
  r: VerbRequest,
  operation: AdmissionOperation,
  at: { readonly namespace: string; readonly name: string; readonly dryRun: boolean },
  object: Draft | undefined,
  oldObject: KubeObject | undefined,
  options: Readonly<Record<string, unknown>> = {},
): AdmissionRequest {
  return {
    operation,
    def: r.resource.def,
    subresource: r.info.subresource,
    namespace: at.namespace,
    name: at.name,
    object,
    oldObject,
    options: operation === 'CONNECT' ? options : writeOptions(r, operation, at.dryRun, options),
    dryRun: at.dryRun,
    user: r.request.user,
    signal: r.request.signal,
    warn: (message) => {
      r.warnings.push(message);
    },
    audit: (key, value, level) => r.request.annotate?.(key, value, level),
  };
}

const fail = (r: VerbRequest, object: KubeObject, errors: readonly FieldError[]): void => {
  if (errors.length > 0) throw invalid(r.resource.def.ref, object.metadata.name ?? '', errors);
};

/**
 * Writes a new object. `draft` is decoded and defaulted; its namespace is checked. `tracked`: managedFields are set already.
 * Throws StatusError.
 */
export async function createObject(r: VerbRequest, draft: Draft, dryRun: boolean, tracked = false): Promise<CachedEntry> {
  const { core } = r;
  const { def } = r.resource;
  const meta = metaOf(draft);
  const generated = (meta.name === undefined || meta.name === '') && meta.generateName !== undefined && meta.generateName !== '';
  const namespace = def.ref.namespaced ? r.info.namespace : '';
  const context = strategyContext(core, r.request, r.info);
  dedupOwners(draft, r.warnings, '');
  if (!tracked) await trackFields(r, undefined, draft);
  const admission = admissionRequest(r, 'CREATE', { namespace, name: meta.name ?? '', dryRun }, draft, undefined);
  await core.admission.admit(admission);
  dedupOwners(draft, r.warnings, afterAdmission);
  if (meta.resourceVersion !== undefined && meta.resourceVersion !== '' && meta.resourceVersion !== '0')
    throw new StatusError('BadRequest', 'resourceVersion should not be set on objects to be created');
  if (!generated) {
    initializeMeta(core, def, draft);
    def.prepareForCreate?.(draft, context);
    try {
      return await createOnce(r, draft, context, { ...admission, name: meta.name ?? '' }, dryRun);
    } catch (error) {
      if (isStatus(error, 'AlreadyExists') && (meta.generateName ?? '') !== '') throw generatedNameTaken(def.ref, meta.name ?? '');
      throw error;
    }
  }
  for (let attempt = 1; ; attempt++) {
    // Strategies write the name and the uid into the object (jobs: into labels), so each name begins with an object of its own.
    const named = structuredClone(draft);
    initializeMeta(core, def, named);
    const name = generatedName(core, meta.generateName ?? '');
    metaOf(named).name = name;
    def.prepareForCreate?.(named, context);
    try {
      return await createOnce(r, named, context, { ...admission, object: named, name }, dryRun);
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error;
      if (attempt >= nameAttempts) throw generatedNameTaken(def.ref, name);
    }
  }
}

async function createOnce(
  r: VerbRequest,
  draft: Draft,
  context: StrategyContext,
  admission: AdmissionRequest,
  dryRun: boolean,
): Promise<CachedEntry> {
  const { core } = r;
  const { def } = r.resource;
  const hooks = hooksOf(core, def);
  const held = await hooks?.beforeWrite?.({ draft, old: undefined, dryRun, context });
  try {
    const object = draft as unknown as KubeObject;
    fail(r, object, [...validateMeta(def, object), ...(held?.errors ?? []), ...(def.validate?.(object, context) ?? [])]);
    r.warnings.push(...(def.warnings?.(object, undefined) ?? []));
    await core.admission.validate(admission);
    const name = object.metadata.name ?? '';
    if (dryRun) {
      if (readEntry(core, def, admission.namespace, name) !== undefined) throw alreadyExists(def.ref, name);
      held?.undo();
      return looseEntry({
        key: objectKeyOf(def, admission.namespace, name),
        value: await encodeFor(def, draft, r.request.signal),
        revision: 0,
        createRevision: 0,
      });
    }
    const bytes = await encodeFor(def, draft, r.request.signal);
    const entry = await createEntry(core, def, { namespace: admission.namespace, name }, bytes);
    hooks?.afterWrite?.(viewOf(def).object(entry), undefined);
    return entry;
  } catch (error) {
    held?.undo();
    throw error;
  }
}

export interface UpdatePlan {
  /** Makes the new object from the current one; called again when a retry finds a newer one. Undefined `current`: there is none. */
  readonly build: (current: Stored | undefined, entry: CachedEntry | undefined) => Promise<Draft> | Draft;
  readonly dryRun: boolean;
  /** PUT on a free name, or server-side apply, may create. */
  readonly createAllowed: boolean;
  /** A patch without resourceVersion is tried again on the newer object. */
  readonly retryConflicts: boolean;
  /** True: `build` has set managedFields (server-side apply). */
  readonly tracked?: boolean;
  /** 'status' and further subresources write only their part. Default: the main resource. */
  readonly part?: UpdatePart;
}

/** What a subresource may write. */
export interface UpdatePart {
  /** Changes the draft so that only what the subresource may change differs from the old object. */
  readonly restrict: (draft: Draft, old: Stored, context: StrategyContext) => void;
  readonly validate?: (object: KubeObject, old: Stored, context: StrategyContext) => readonly FieldError[];
  /** Admission has seen the body that asked for this write (a Binding). */
  readonly skipAdmission?: boolean;
  /** What admission sees instead of the object (a Scale). */
  readonly seen?: {
    readonly of: (object: Stored | Draft) => Draft;
    /** Takes over what admission has changed. */
    readonly take: (draft: Draft, seen: Draft) => void;
  };
}

const maxConflictRetries = 100;

/**
 * Updates, or creates where the plan allows. Who loses a race tries again, one after another, so that many writers of one object
 * need about one attempt each. Throws StatusError.
 */
export async function updateObject(r: VerbRequest, plan: UpdatePlan): Promise<WriteResult> {
  const { core } = r;
  const { def } = r.resource;
  const namespace = def.ref.namespaced ? r.info.namespace : '';
  let turn: Awaited<ReturnType<typeof core.turns.take>> | undefined;
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attemptUpdate(r, plan, namespace);
      } catch (error) {
        if (!(error instanceof RaceLost)) throw error;
        if (attempt >= maxConflictRetries) throw error.cause;
        turn ??= await core.turns.take(objectKeyOf(def, namespace, r.info.name), r.request.signal);
      }
    }
  } finally {
    turn?.release();
  }
}

/** Throws RaceLost where another attempt may succeed. */
async function attemptUpdate(r: VerbRequest, plan: UpdatePlan, namespace: string): Promise<WriteResult> {
  const { def } = r.resource;
  const entry = readEntry(r.core, def, namespace, r.info.name);
  if (entry !== undefined) return { entry: await updateOnce(r, plan, entry, namespace), created: false };
  if (!plan.createAllowed) throw notFound(def.ref, r.info.name);
  try {
    return await createThroughUpdate(r, plan);
  } catch (error) {
    if (isStatus(error, 'AlreadyExists')) throw new RaceLost('', { cause: error });
    throw error;
  }
}

/** Somebody else's write came in between: the update is to be tried again on the newer object. */
class RaceLost extends Error {}

async function createThroughUpdate(r: VerbRequest, plan: UpdatePlan): Promise<WriteResult> {
  const draft = await plan.build(undefined, undefined);
  const meta = metaOf(draft);
  if (meta.uid !== undefined && meta.uid !== '')
    throw conflict(r.resource.def.ref, r.info.name, `Precondition failed: UID in precondition: ${meta.uid}, UID in object meta: `);
  if (parseResourceVersion(meta.resourceVersion) !== undefined && meta.resourceVersion !== '0')
    throw notFound(r.resource.def.ref, r.info.name);
  return { entry: await createObject({ ...r, info: { ...r.info, verb: 'create' } }, draft, plan.dryRun, plan.tracked), created: true };
}

async function updateOnce(r: VerbRequest, plan: UpdatePlan, entry: CachedEntry, namespace: string): Promise<CachedEntry> {
  const { core } = r;
  const { def } = r.resource;
  await convertAhead(def, [entry], r.request.signal);
  const old = viewOf(def).object(entry);
  const context = strategyContext(core, r.request, r.info);
  const draft = await plan.build(old, entry);
  const unconditional = checkPreconditions(r, draft, old);
  carryMeta(draft, old);
  // Upstream drops duplicates from patched objects only after admission.
  if (r.info.verb !== 'patch') dedupOwners(draft, r.warnings, '');
  if (plan.tracked !== true) await trackFields(r, old, draft);
  const { seen } = plan.part ?? {};
  const body = seen === undefined ? draft : seen.of(draft);
  const was = seen === undefined ? old : (seen.of(old) as unknown as KubeObject);
  const admission = admissionRequest(r, 'UPDATE', { namespace, name: r.info.name, dryRun: plan.dryRun }, body, was);
  if (plan.part?.skipAdmission !== true) await core.admission.admit(admission);
  seen?.take(draft, body);
  dedupOwners(draft, r.warnings, afterAdmission);
  restrict(r, plan, draft, old, context);
  metaOf(draft).resourceVersion = old.metadata.resourceVersion;
  const hooks = plan.part === undefined ? hooksOf(core, def) : undefined;
  const held = await hooks?.beforeWrite?.({ draft, old, dryRun: plan.dryRun, context });
  try {
    const object = draft as unknown as KubeObject;
    validateUpdate(r, plan, { object, old, context, found: held?.errors ?? [] });
    if (plan.part?.skipAdmission !== true) await core.admission.validate(admission);
    const result = await commit(r, plan, { draft, old, entry, unconditional });
    if (plan.dryRun) held?.undo();
    return result;
  } catch (error) {
    held?.undo();
    throw error;
  }
}

/** True when the write is bound to no version. Throws StatusError Conflict or Invalid. */
function checkPreconditions(r: VerbRequest, draft: Draft, old: Stored): boolean {
  const { def } = r.resource;
  const { name } = r.info;
  const meta = draft.metadata;
  if (meta.uid !== undefined && meta.uid !== '' && meta.uid !== old.metadata.uid)
    throw conflict(def.ref, name, `Precondition failed: UID in precondition: ${meta.uid}, UID in object meta: ${old.metadata.uid}`);
  const version = parseResourceVersion(meta.resourceVersion);
  if (version === undefined || version === 0) {
    if (def.unconditionalUpdate === false)
      throw invalid(def.ref, name, [
        { field: 'metadata.resourceVersion', type: 'FieldValueInvalid', message: 'Invalid value: 0: must be specified for an update' },
      ]);
    return true;
  }
  if (String(version) !== old.metadata.resourceVersion) throw conflict(def.ref, name, modifiedMessage);
  return false;
}

function restrict(r: VerbRequest, plan: UpdatePlan, draft: Draft, old: Stored, context: StrategyContext): void {
  const { def } = r.resource;
  if (plan.part !== undefined) {
    plan.part.restrict(draft, old, context);
    return;
  }
  if (def.hasStatus === true) {
    if (old['status' as keyof Stored] === undefined) delete draft['status'];
    else draft['status'] = structuredClone(old['status' as keyof Stored]);
  }
  def.prepareForUpdate?.(draft, old, context);
  if (def.generation === 'spec' && specChanged(draft as unknown as KubeObject, old, def.hasStatus !== true))
    metaOf(draft).generation = (old.metadata.generation ?? 0) + 1;
}

interface Validation {
  readonly object: KubeObject;
  readonly old: Stored;
  readonly context: StrategyContext;
  /** What a hook found wrong. */
  readonly found: readonly FieldError[];
}

function validateUpdate(r: VerbRequest, plan: UpdatePlan, { object, old, context, found }: Validation): void {
  const { def } = r.resource;
  const errors = [...validateMeta(def, object), ...validateMetaUpdate(object, old), ...found];
  if (plan.part === undefined) errors.push(...(def.validateUpdate?.(object, old, context) ?? def.validate?.(object, context) ?? []));
  else errors.push(...(plan.part.validate?.(object, old, context) ?? []));
  fail(r, object, errors);
  if (plan.part === undefined) r.warnings.push(...(def.warnings?.(object, old) ?? []));
}

interface Commit {
  readonly draft: Draft;
  readonly old: Stored;
  readonly entry: CachedEntry;
  readonly unconditional: boolean;
}

/** True when the object is being deleted and nothing holds it any more. */
export function isFinished(r: VerbRequest, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  return (
    deletionTimestamp !== undefined &&
    (finalizers ?? []).length === 0 &&
    (deletionGracePeriodSeconds ?? 0) === 0 &&
    r.resource.def.holdsDeletion?.(object) !== true
  );
}

async function commit(r: VerbRequest, plan: UpdatePlan, c: Commit): Promise<CachedEntry> {
  const { core } = r;
  const { def } = r.resource;
  const hooks = hooksOf(core, def);
  const object = c.draft as unknown as KubeObject;
  const bytes = await encodeFor(def, c.draft, r.request.signal);
  const served = presentStored(bytes, c.entry.revision);
  if (plan.dryRun) return looseEntry({ ...entryFields(c.entry), value: served });
  if (isFinished(r, object)) {
    const removed = await raced(plan, c, () => deleteEntry(core, def, c.entry, r.info.name));
    hooks?.afterDelete?.(object);
    return looseEntry({ ...entryFields(removed), value: presentStored(bytes, removed.revision) });
  }
  if (sameContent(def, served, c, object)) return c.entry;
  const entry = await raced(plan, c, () => updateEntry(core, def, c.entry, bytes, r.info.name));
  hooks?.afterWrite?.(viewOf(def).object(entry), c.old);
  return entry;
}

/** A write that changes nothing is none: key order does not count. But what is stored in an older version is rewritten in the current one. */
function sameContent(def: KindDef, served: Uint8Array, c: Commit, object: KubeObject): boolean {
  if (served.length !== c.entry.value.length) return false;
  if (Buffer.compare(served, c.entry.value) === 0) return true;
  const { group, version } = def.storage ?? def.ref;
  const current = def.servedAsStoredAfter === undefined || isStoredAs(c.entry.value, def.ref.kind, apiVersionOf({ group, version }));
  return current && canonicalJson(c.old) === canonicalJson(object);
}

const entryFields = (e: CachedEntry): Pick<CachedEntry, 'key' | 'revision' | 'createRevision'> => ({
  key: e.key,
  revision: e.revision,
  createRevision: e.createRevision,
});

async function raced<T>(plan: UpdatePlan, c: Commit, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (isStatus(error, 'Conflict', 'NotFound') && (c.unconditional || plan.retryConflicts)) throw new RaceLost('', { cause: error });
    throw error;
  }
}

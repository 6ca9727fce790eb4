/** DELETE: preconditions, finalizers, grace. k8s.io/apiserver pkg/registry/generic/registry Store.Delete and rest.BeforeDelete. */

import type { Draft } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { conflict, isStatus, notFound } from '#kube/status-error.ts';
import type { CachedEntry } from '#store/contract.ts';
import { readValue } from '../codec.ts';
import type { ApiResponse } from '../contract.ts';
import { hooksOf, timestamp, type VerbRequest } from '../core.ts';
import { metaOf } from '../meta.ts';
import { type DeleteParameters, parseDeleteParameters } from '../options.ts';
import { deleteEntry, encodeFor, readEntry, updateEntry } from '../storage.ts';
import { convertAhead, looseEntry, presentStored, viewOf } from '../view.ts';
import { admissionRequest } from './write.ts';

/** The options of a deletion from the body or the query. Throws StatusError. */
export function deleteParameters(r: VerbRequest): DeleteParameters {
  const { request } = r;
  if (request.object !== undefined) return parseDeleteParameters(request.query, request.object);
  if (request.body === undefined || request.body.length === 0) return parseDeleteParameters(request.query, undefined);
  return parseDeleteParameters(request.query, readValue(request));
}

export async function remove(r: VerbRequest): Promise<ApiResponse> {
  const { def } = r.resource;
  const parameters = deleteParameters(r);
  const outcome = await deleteObject(r, parameters);
  if (outcome.removed && def.returnsDeleted !== true) return { type: 'object', status: 200, object: success(r, outcome.entry) };
  return { type: 'entry', status: !outcome.removed && parameters.orphanDependentsFalse ? 202 : 200, def, entry: outcome.entry };
}

function success(r: VerbRequest, entry: CachedEntry): unknown {
  const { def } = r.resource;
  // The same in every version: no conversion is needed for it.
  const { uid } = (entry.object() as Stored).metadata;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name: r.info.name, ...(def.ref.group === '' ? {} : { group: def.ref.group }), kind: def.ref.plural, uid },
  };
}

interface Outcome {
  /** True when the object is gone; else `entry` is the object that awaits its finalizers or its grace period. */
  readonly removed: boolean;
  readonly entry: CachedEntry;
}

const maxRetries = 100;

/** Deletes one object as upstream does. Throws StatusError. */
export async function deleteObject(r: VerbRequest, p: DeleteParameters): Promise<Outcome> {
  const { core } = r;
  const { def } = r.resource;
  const namespace = def.ref.namespaced ? r.info.namespace : '';
  for (let attempt = 1; ; attempt++) {
    const entry = readEntry(core, def, namespace, r.info.name);
    if (entry === undefined) throw notFound(def.ref, r.info.name);
    await convertAhead(def, [entry], r.request.signal);
    const old = viewOf(def).object(entry);
    checkPreconditions(r, old, p);
    const options = { gracePeriodSeconds: p.gracePeriodSeconds, propagationPolicy: p.propagation };
    const admission = admissionRequest(r, 'DELETE', { namespace, name: r.info.name, dryRun: p.dryRun }, undefined, old, options);
    await core.admission.admit(admission);
    await core.admission.validate(admission);
    try {
      return await deleteOnce(r, entry, old, p);
    } catch (error) {
      if (attempt >= maxRetries || !isStatus(error, 'Conflict')) throw error;
    }
  }
}

function checkPreconditions(r: VerbRequest, old: Stored, p: DeleteParameters): void {
  const { uid, resourceVersion } = p.preconditions;
  const { def } = r.resource;
  if (uid !== undefined && uid !== old.metadata.uid)
    throw conflict(def.ref, r.info.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`);
  if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion)
    throw conflict(
      def.ref,
      r.info.name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${old.metadata.resourceVersion}`,
    );
}

async function deleteOnce(r: VerbRequest, entry: CachedEntry, old: Stored, p: DeleteParameters): Promise<Outcome> {
  const { core } = r;
  const { def } = r.resource;
  const draft = structuredClone(old) as unknown as Draft;
  const grace = markGraceful(r, draft, old, p);
  if (grace === 'pending') return { removed: false, entry };
  const finalizers = deletionFinalizers(r, old, p);
  const held = finalizers.length > 0 || def.holdsDeletion?.(old) === true;
  const meta = metaOf(draft);
  if (finalizers.length > 0) meta.finalizers = finalizers;
  else delete meta.finalizers;
  if (grace === 'none' && held) markDeleting(r, draft, old);
  if (held || (grace === 'graceful' && (meta.deletionGracePeriodSeconds ?? 0) > 0)) {
    def.prepareForDelete?.(draft);
    return { removed: false, entry: await writeMarked(r, entry, draft, p) };
  }
  if (p.dryRun) return { removed: true, entry };
  const removed = await deleteEntry(core, def, entry, r.info.name);
  hooksOf(core, def)?.afterDelete?.(old);
  return { removed: true, entry: removed };
}

async function writeMarked(r: VerbRequest, entry: CachedEntry, draft: Draft, p: DeleteParameters): Promise<CachedEntry> {
  const { core } = r;
  const { def } = r.resource;
  const bytes = await encodeFor(def, draft, r.request.signal);
  const served = presentStored(bytes, entry.revision);
  if (p.dryRun) return looseEntry({ key: entry.key, value: served, revision: entry.revision, createRevision: entry.createRevision });
  if (Buffer.compare(served, entry.value) === 0) return entry;
  const old = viewOf(def).object(entry);
  const written = await updateEntry(core, def, entry, bytes, r.info.name);
  hooksOf(core, def)?.afterWrite?.(viewOf(def).object(written), old);
  return written;
}

/** Sets the beginning of a deletion that waits for finalizers only. */
function markDeleting(r: VerbRequest, draft: Draft, old: Stored): void {
  const meta = metaOf(draft);
  if (old.metadata.deletionTimestamp !== undefined) {
    meta.deletionGracePeriodSeconds = 0;
    return;
  }
  meta.deletionTimestamp = timestamp(r.core.clock.now());
  meta.deletionGracePeriodSeconds = 0;
  if (meta.generation !== undefined && meta.generation > 0) meta.generation += 1;
}

/** Graceful deletion (rest.BeforeDelete). 'pending': it is under way already and nothing is to change. */
function markGraceful(r: VerbRequest, draft: Draft, old: Stored, p: DeleteParameters): 'none' | 'graceful' | 'pending' {
  const { def } = r.resource;
  if (def.gracefulDeletion === undefined) return 'none';
  const meta = metaOf(draft);
  const requested = p.gracePeriodSeconds !== undefined && p.gracePeriodSeconds < 0 ? 1 : p.gracePeriodSeconds;
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  if (deletionTimestamp !== undefined) {
    if (deletionGracePeriodSeconds === undefined) return 'none';
    if (requested === undefined || requested >= deletionGracePeriodSeconds)
      return deletionGracePeriodSeconds === 0 && (old.metadata.finalizers ?? []).length === 0 ? 'none' : 'pending';
    meta.deletionTimestamp = timestamp(Date.parse(deletionTimestamp) - (deletionGracePeriodSeconds - requested) * 1000);
    meta.deletionGracePeriodSeconds = requested;
    return 'graceful';
  }
  const period = def.gracefulDeletion(old, requested);
  if (period === undefined) return 'none';
  meta.deletionTimestamp = timestamp(r.core.clock.now() + period * 1000);
  meta.deletionGracePeriodSeconds = period;
  if (meta.generation !== undefined && meta.generation > 0) meta.generation += 1;
  return 'graceful';
}

/** The finalizers an object has once the way its dependents go has been chosen: deletionFinalizersForGarbageCollection. */
function deletionFinalizers(r: VerbRequest, old: Stored, p: DeleteParameters): string[] {
  const existing = old.metadata.finalizers ?? [];
  const others = existing.filter((f) => f !== 'orphan' && f !== 'foregroundDeletion');
  const { propagation } = p;
  const orphan =
    propagation === undefined
      ? existing.includes('orphan') || (!existing.includes('foregroundDeletion') && r.resource.def.defaultPropagation === 'Orphan')
      : propagation === 'Orphan';
  const foreground = propagation === undefined ? existing.includes('foregroundDeletion') && !orphan : propagation === 'Foreground';
  const own = r.resource.def.deletionFinalizer;
  if (own !== undefined && old.metadata.deletionTimestamp === undefined && !others.includes(own)) others.push(own);
  const wanted = [...others, ...(orphan ? ['orphan'] : []), ...(foreground ? ['foregroundDeletion'] : [])];
  return wanted.length === existing.length && wanted.every((f) => existing.includes(f)) ? [...existing] : wanted;
}

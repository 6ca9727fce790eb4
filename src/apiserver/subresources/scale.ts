/** The scale subresource: autoscaling/v1 Scale over any kind that says where its replicas are. */
import { decodeObject } from '#kube/decode.ts';
import type { Scale } from '#kube/generated/autoscaling-v1.ts';
import { humanDuration } from '#kube/human-duration.ts';
import type { ColumnDef, Draft, KindDef, ScaleDef } from '#kube/kind.ts';
import type { KubeObject, Stored } from '#kube/object.ts';
import type { ResourceRef } from '#kube/refs.ts';
import { kindSchema } from '#kube/schema-registry.ts';
import { conflict, invalid, notFound, StatusError } from '#kube/status-error.ts';
import type { CachedEntry } from '#store/contract.ts';
import { draftOf, parseValue, readDraft } from '../codec.ts';
import type { ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { appliedObject } from '../managed-fields.ts';
import { matchName, matchNamespace, metaOf, specChanged } from '../meta.ts';
import { parseWriteParameters, type WriteParameters } from '../options.ts';
import { readEntry } from '../storage.ts';
import { applyPatch, checkPatchOptions, type PatchType, patchTypeOf } from '../verbs/patch.ts';
import { type UpdatePart, updateObject } from '../verbs/write.ts';
import { convertAhead, viewOf } from '../view.ts';
import type { Subresource } from './subresource.ts';

const ref: ResourceRef<Scale> = {
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
  plural: 'scales',
  singular: 'scale',
  namespaced: true,
  shortNames: [],
  categories: [],
};
const column = (name: string, type: ColumnDef['type'], description: string): ColumnDef => ({ name, type, description, priority: 0 });

/** Columns as upstream prints a Scale. */
const scaleKind: KindDef = {
  ref: ref as ResourceRef,
  schema: kindSchema('autoscaling', 'v1', 'Scale') ?? {},
  table: {
    columns: [
      { ...column('Name', 'string', 'Name of the object that is scaled.'), format: 'name' },
      column('Desired', 'integer', 'How many replicas are wanted.'),
      column('Available', 'integer', 'How many replicas there are.'),
      column('Age', 'string', 'Time since the object was created.'),
    ],
    cells: (object, now) => {
      const { spec, status, metadata } = object as Scale;
      const created = metadata?.creationTimestamp;
      const age = created === undefined ? '<unknown>' : humanDuration(now.getTime() - Date.parse(created));
      return [metadata?.name ?? '', spec?.replicas ?? 0, status?.replicas ?? 0, age];
    },
  },
};

export function scaleSubresource(scale: ScaleDef): Subresource {
  return {
    name: 'scale',
    kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
    verbs: ['get', 'patch', 'update'],
    handle: (r) => handle(r, scale),
  };
}

/** The value at a dotted path. */
export function valueAt(object: unknown, path: string): unknown {
  let at = object;
  for (const step of path.split('.').filter((s) => s !== '')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

function setAt(object: Record<string, unknown>, path: string, value: unknown): void {
  const steps = path.split('.').filter((s) => s !== '');
  let at = object;
  for (const step of steps.slice(0, -1)) {
    const inner = Object.hasOwn(at, step) ? at[step] : undefined;
    const next = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {};
    at[step] = next;
    at = next;
  }
  at[steps.at(-1) ?? ''] = value;
}

const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0);

export function scaleOf(object: Stored, scale: ScaleDef): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const replicas = numberOf(valueAt(object, scale.specReplicasPath));
  const selector = scale.selector(object);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: numberOf(valueAt(object, scale.statusReplicasPath)), ...(selector === '' ? {} : { selector }) },
  };
}

async function handle(r: VerbRequest, scale: ScaleDef): Promise<ApiResponse> {
  const view = viewOf(r.resource.def);
  const answer = async (entry: CachedEntry): Promise<ApiResponse> => {
    await convertAhead(r.resource.def, [entry], r.request.signal);
    return { type: 'object', status: 200, object: scaleOf(view.object(entry), scale), def: scaleKind };
  };
  if (r.info.verb === 'get') {
    const entry = readEntry(r.core, r.resource.def, r.info.namespace, r.info.name);
    if (entry === undefined) throw notFound(r.resource.def.ref, r.info.name);
    if (r.resource.custom && (await hasNoReplicas(r, entry, scale)))
      throw new StatusError('InternalError', `Internal error occurred: the spec replicas field "${scale.specReplicasPath}" does not exist`);
    return await answer(entry);
  }
  const type = r.info.verb === 'patch' ? patchTypeOf(r.request, false) : undefined;
  const parameters = parseWriteParameters(r.request.query, type === undefined ? 'UpdateOptions' : 'PatchOptions');
  const wanted = type === undefined ? sentScale(r, parameters) : patchedScale(r, scale, type, parameters);
  const { entry } = await updateObject(r, {
    build: async (current) => {
      if (current === undefined) throw notFound(r.resource.def.ref, r.info.name);
      return await wanted(current);
    },
    dryRun: parameters.dryRun,
    createAllowed: false,
    retryConflicts: type !== undefined,
    tracked: type === 'apply',
    part: replicasPart(scale),
  });
  return await answer(entry);
}

/** Custom resources need not say how many replicas they want: upstream's ScaleREST of pkg/registry/customresource then knows no scale. */
async function hasNoReplicas(r: VerbRequest, entry: CachedEntry, scale: ScaleDef): Promise<boolean> {
  await convertAhead(r.resource.def, [entry], r.request.signal);
  return valueAt(viewOf(r.resource.def).object(entry), scale.specReplicasPath) === undefined;
}

/** Gives the object that is to be written. */
type WantedObject = (current: Stored) => Draft | Promise<Draft>;

function sentScale(r: VerbRequest, parameters: WriteParameters): WantedObject {
  const sent = readDraft(scaleKind, r.request, parameters.fieldValidation, r.warnings);
  return (current) => withReplicas(r, current, sent);
}

function patchedScale(r: VerbRequest, scale: ScaleDef, type: PatchType, parameters: WriteParameters): WantedObject {
  checkPatchOptions(type, parameters);
  const value = r.request.object ?? parseValue(r.request, type === 'apply' ? 'yaml' : 'json');
  if (type === 'apply') return async (current) => await appliedReplicas(r, scale, current, value, parameters.force === true);
  return (current) => {
    const patched = applyPatch(type, scaleOf(current, scale), value, scaleKind);
    const said = valueAt(patched, 'spec.replicas') ?? valueAt(current, scale.specReplicasPath);
    if (r.resource.custom && said === undefined)
      throw new StatusError('BadRequest', `the spec replicas field "${scale.specReplicasPath}" cannot be empty`);
    return withReplicas(r, current, draftOf(scaleKind, patched, parameters.fieldValidation, r.warnings));
  };
}

/**
 * Server-side apply of a Scale: who applies it owns the replicas of the object itself, by way of the scale subresource
 * (apimachinery's managedfields ScaleHandler). Throws StatusError.
 */
async function appliedReplicas(r: VerbRequest, scale: ScaleDef, current: Stored, value: unknown, force: boolean): Promise<Draft> {
  const sent = decodeObject(scaleKind, value).object;
  const wanted = withReplicas(r, current, sent);
  const patch: Record<string, unknown> = { apiVersion: current.apiVersion, kind: current.kind };
  setAt(patch, scale.specReplicasPath, valueAt(wanted, scale.specReplicasPath));
  const applied = draftOf(r.resource.def, await appliedObject(r, current, patch, force), 'Ignore', []);
  const { resourceVersion } = wanted.metadata;
  if (resourceVersion === undefined) delete metaOf(applied).resourceVersion;
  else metaOf(applied).resourceVersion = resourceVersion;
  return applied;
}

/** The object with the replicas that a Scale asks for. Throws StatusError. */
function withReplicas(r: VerbRequest, current: Stored, sent: Draft): Draft {
  const { ref: of, scale } = r.resource.def;
  const path = scale?.specReplicasPath ?? '';
  matchName(sent, r.info.name);
  if (of.namespaced) matchNamespace(r.resource.def, sent, r.info.namespace);
  const replicas = numberOf((sent['spec'] as { replicas?: number } | undefined)?.replicas);
  if (replicas < 0 || !Number.isInteger(replicas))
    throw invalid(ref, r.info.name, [
      {
        field: 'spec.replicas',
        type: 'FieldValueInvalid',
        message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
      },
    ]);
  const { uid, resourceVersion } = sent.metadata;
  if (uid !== undefined && uid !== '' && uid !== current.metadata.uid)
    throw conflict(of, r.info.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`);
  const draft = structuredClone(current) as unknown as Draft;
  if (draft['spec'] === undefined && !path.includes('spec')) throw new StatusError('BadRequest', 'the object has no replicas');
  setAt(draft, path, replicas);
  if (resourceVersion === undefined) delete metaOf(draft).resourceVersion;
  else metaOf(draft).resourceVersion = resourceVersion;
  return draft;
}

const replicasPart = (scale: ScaleDef): UpdatePart => ({
  seen: {
    of: (object) => scaleOf(object as unknown as Stored, scale) as unknown as Draft,
    take: (draft, seen) => setAt(draft, scale.specReplicasPath, numberOf((seen as unknown as Scale).spec?.replicas)),
  },
  restrict: (draft, old) => {
    const replicas = valueAt(draft, scale.specReplicasPath);
    const { managedFields } = draft.metadata;
    const kept = structuredClone(old) as unknown as Draft;
    for (const key of Object.keys(draft)) delete draft[key];
    Object.assign(draft, kept);
    setAt(draft, scale.specReplicasPath, replicas);
    const meta = metaOf(draft);
    if (managedFields === undefined) delete meta.managedFields;
    else meta.managedFields = managedFields;
    if (meta.generation !== undefined && specChanged(draft as unknown as KubeObject, old)) meta.generation += 1;
  },
});

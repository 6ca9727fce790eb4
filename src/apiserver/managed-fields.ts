/** Who owns which fields: metadata.managedFields of every write, and server-side apply. */
import { applyPatch, type OtherVersion, updateManagedFields } from '#kube/apply.ts';
import { managerName } from '#kube/apply-managers.ts';
import type { Draft, KindDef } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { apiVersionOf, splitApiVersion } from '#kube/refs.ts';
import type { Resolve } from '#kube/schema.ts';
import { definition } from '#kube/schema-registry.ts';
import { StatusError } from '#kube/status-error.ts';
import { convertFields } from './convert.ts';
import type { VerbRequest } from './core.ts';
import { metaOf } from './meta.ts';
import { keptByStatus } from './subresources/status.ts';

/** The built-in definition of a name; custom resources have no others. */
export const resolveDefinition: Resolve = (name) => definition(name) ?? {};

/** Fields that an endpoint does not write whatever it is sent: resetFields of upstream's strategies. */
function ignoredBy(def: KindDef, subresource: string): readonly (readonly string[])[] {
  if (subresource === 'status')
    return [['spec'], ...(def.statusKeepsMetadata === 'all' ? [['metadata']] : keptByStatus(def).map((field) => ['metadata', field]))];
  return subresource === '' && def.hasStatus === true ? [['status']] : [];
}

function common(r: VerbRequest, convert: ConvertBetween) {
  const { def } = r.resource;
  const kinds = siblings(r);
  return {
    manager: managerName(r.request.query.get('fieldManager') ?? '', r.request.headers['user-agent']),
    schema: def.schema,
    resolve: resolveDefinition,
    apiVersion: apiVersionOf(def.ref),
    subresource: r.info.subresource,
    now: new Date(r.core.clock.now()),
    ignored: ignoredBy(def, r.info.subresource),
    ...(kinds.some((k) => k.convert !== undefined) ? { otherVersion: otherVersions(def, kinds, convert) } : {}),
  };
}

const siblings = (r: VerbRequest): KindDef[] => {
  const { group, plural } = r.resource.def.ref;
  return r.core.registry.versions(group).flatMap((version) => r.core.registry.resource(group, version, plural)?.def ?? []);
};

/** An object in another version of its kind. */
type ConvertBetween = (from: KindDef, to: KindDef, object: unknown) => unknown;

/** The same kind in another version. */
const otherVersions =
  (def: KindDef, kinds: readonly KindDef[], convert: ConvertBetween) =>
  (apiVersion: string): OtherVersion | undefined => {
    const { version } = splitApiVersion(apiVersion);
    const other = kinds.find((k) => k.ref.version === version);
    if (other === undefined) return undefined;
    const between = (from: KindDef, to: KindDef) => (object: unknown) => convert(from, to, object);
    return { schema: other.schema, convert: between(def, other), convertBack: between(other, def) };
  };

const convertLocally: ConvertBetween = (from, to, object) => convertFields(object, from, to);

/** A conversion is wanted whose result is not there yet. */
class Unconverted extends Error {
  readonly key: string;
  readonly convert: () => Promise<unknown>;
  constructor(key: string, convert: () => Promise<unknown>) {
    super('not converted yet');
    this.key = key;
    this.convert = convert;
  }
}

/** Managers that wrote in other versions make a few conversions each; more than this is no history that anybody has. */
const maxConversions = 200;

/**
 * Runs a computation that converts objects as it goes. Where a webhook converts, the computation is run again for each answer that it
 * was found to need: it has no side effects, and mostly all managers are of one version and nothing is converted. Rejects with StatusError.
 */
async function converting<T>(r: VerbRequest, compute: (convert: ConvertBetween) => T): Promise<T> {
  if (siblings(r).every((def) => def.remote === undefined)) return compute(convertLocally);
  const answers = new Map<string, unknown>();
  const convert: ConvertBetween = (from, to, object) => {
    const key = JSON.stringify([from.ref.version, to.ref.version, object]);
    if (answers.has(key)) return answers.get(key);
    const draft = structuredClone(object) as Draft;
    throw new Unconverted(key, async () => await from.remote?.toVersion(draft, apiVersionOf(to.ref), r.request.signal));
  };
  while (answers.size < maxConversions) {
    try {
      return compute(convert);
    } catch (error) {
      if (!(error instanceof Unconverted)) throw error;
      answers.set(error.key, await error.convert());
    }
  }
  throw new StatusError('InternalError', 'the fields of this object are managed in too many versions');
}

/** Sets a draft's managedFields for a create, update or patch. `live`: the object before the write. Rejects with StatusError. */
export async function trackFields(r: VerbRequest, live: Stored | undefined, draft: Draft): Promise<void> {
  const entries = await converting(r, (convert) => updateManagedFields({ ...common(r, convert), live, next: draft }));
  const meta = metaOf(draft);
  if (entries.length === 0) delete meta.managedFields;
  else meta.managedFields = entries;
}

/** The object that server-side apply makes, not decoded yet. Rejects with StatusError BadRequest or Conflict. */
export async function appliedObject(r: VerbRequest, live: Stored | undefined, patch: unknown, force: boolean): Promise<unknown> {
  return await converting(r, (convert) => applyPatch({ ...common(r, convert), live, patch, force }).object);
}

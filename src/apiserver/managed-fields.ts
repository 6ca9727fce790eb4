/** Who owns which fields: metadata.managedFields of every write, and server-side apply. */
import { applyPatch, type OtherVersion, updateManagedFields } from '#kube/apply.ts';
import { managerName } from '#kube/apply-managers.ts';
import type { Draft, KindDef } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { apiVersionOf, splitApiVersion } from '#kube/refs.ts';
import type { Resolve } from '#kube/schema.ts';
import { definition } from '#kube/schema-registry.ts';
import { convertFields } from './convert.ts';
import type { VerbRequest } from './core.ts';
import { metaOf } from './meta.ts';

/** The built-in definition of a name; custom resources have no others. */
export const resolveDefinition: Resolve = (name) => definition(name) ?? {};

/** Fields that an endpoint does not write whatever it is sent: resetFields of upstream's strategies. */
function ignoredBy(def: KindDef, subresource: string): readonly (readonly string[])[] {
  if (subresource === 'status') return [['spec'], ['metadata']];
  return subresource === '' && def.hasStatus === true ? [['status']] : [];
}

function common(r: VerbRequest) {
  const { def } = r.resource;
  return {
    manager: managerName(r.request.query.get('fieldManager') ?? '', r.request.headers['user-agent']),
    schema: def.schema,
    resolve: resolveDefinition,
    apiVersion: apiVersionOf(def.ref),
    subresource: r.info.subresource,
    now: new Date(r.core.clock.now()),
    ignored: ignoredBy(def, r.info.subresource),
    ...(def.convert === undefined && !hasConvertedSibling(r) ? {} : { otherVersion: otherVersions(r) }),
  };
}

const siblings = (r: VerbRequest): KindDef[] => {
  const { group, plural } = r.resource.def.ref;
  return r.core.registry.versions(group).flatMap((version) => r.core.registry.resource(group, version, plural)?.def ?? []);
};

const hasConvertedSibling = (r: VerbRequest): boolean => siblings(r).some((def) => def.convert !== undefined);

/** The same kind in another version, by way of the stored one. */
const otherVersions =
  (r: VerbRequest) =>
  (apiVersion: string): OtherVersion | undefined => {
    const { version } = splitApiVersion(apiVersion);
    const other = siblings(r).find((def) => def.ref.version === version);
    if (other === undefined) return undefined;
    const { def } = r.resource;
    const between = (from: KindDef, to: KindDef) => (object: unknown) => convertFields(object, from, to);
    return { schema: other.schema, convert: between(def, other), convertBack: between(other, def) };
  };

/** Sets a draft's managedFields for a create, update or patch. `live`: the object before the write. */
export function trackFields(r: VerbRequest, live: Stored | undefined, draft: Draft): void {
  const entries = updateManagedFields({ ...common(r), live, next: draft });
  const meta = metaOf(draft);
  if (entries.length === 0) delete meta.managedFields;
  else meta.managedFields = entries;
}

/** The object that server-side apply makes, not decoded yet. Throws StatusError BadRequest or Conflict. */
export function appliedObject(r: VerbRequest, live: Stored | undefined, patch: unknown, force: boolean): unknown {
  return applyPatch({ ...common(r), live, patch, force }).object;
}

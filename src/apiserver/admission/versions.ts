/** A request as webhooks and policies see it whose rules name another version of its resource (matchPolicy Equivalent). */

import type { JsonObject } from '#kube/json-value.ts';
import type { Draft, KindDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import { apiVersionOf, splitApiVersion } from '#kube/refs.ts';
import type { Schema } from '#kube/schema.ts';
import { kindSchema } from '#kube/schema-registry.ts';
import { draftOf } from '../codec.ts';
import type { AdmissionRequest } from '../contract.ts';
import { convertObject } from '../convert.ts';

/** `def`, `object` and `oldObject` are of the version that was matched. */
export interface VersionedRequest extends AdmissionRequest {
  /** The request as it came. */
  readonly requested: AdmissionRequest;
}

/** Bodies of subresources (Binding, Scale) and the options of connections are of kinds of their own, the same for all versions. */
const isOf = (object: KubeObject | Draft, def: KindDef): boolean =>
  object.kind === def.ref.kind && object.apiVersion === apiVersionOf(def.ref);

/**
 * The request in a version that serves the same stored objects. Where that is its own, its objects are shared, not copied. Rejects with
 * StatusError where a webhook cannot convert them.
 */
export async function inVersion(r: AdmissionRequest, def: KindDef): Promise<VersionedRequest> {
  if (def === r.def) return { ...r, requested: r };
  const convert = async <T extends KubeObject | Draft>(object: T | undefined): Promise<T | undefined> =>
    object === undefined || !isOf(object, r.def) ? object : ((await convertObject(object, r.def, def, r.signal)) as T);
  return { ...r, def, object: await convert(r.object), oldObject: await convert(r.oldObject), requested: r };
}

/** An object of the matched version in that of the request. Rejects with StatusError. */
export const backFrom = async (v: VersionedRequest, object: Draft): Promise<Draft> =>
  v.def === v.requested.def || !isOf(object, v.def) ? object : await convertObject(object, v.def, v.requested.def, v.signal);

/** The schema of a request's object. */
export function schemaOf(object: Draft, def: KindDef): Schema {
  if (isOf(object, def)) return def.schema;
  const { group, version } = splitApiVersion(object.apiVersion);
  return kindSchema(group, version, object.kind) ?? {};
}

/** What an object was changed to, decoded and defaulted where it is of the request's own kind. Throws StatusError. */
export function decodedAs(v: VersionedRequest, object: Draft, value: JsonObject): Draft {
  return isOf(object, v.def) ? draftOf(v.def, value, 'Ignore', []) : (value as Draft);
}

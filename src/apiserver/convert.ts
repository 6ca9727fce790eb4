/** The versions of one resource: an object of one of them in another, by way of the stored one. */
import type { Draft, KindDef } from '#kube/kind.ts';
import { apiVersionOf } from '#kube/refs.ts';

/** An object, or a part of one, as another KindDef of the same stored resource has it, of those that the server converts itself. The argument is left as it is. */
export function convertFields(object: unknown, from: KindDef, to: KindDef): Draft {
  const copy = structuredClone(object) as Draft;
  const stored = from.convert?.toStored(copy) ?? copy;
  return to.convert?.fromStored(stored) ?? stored;
}

/** A whole object in another version. Rejects with StatusError where a webhook cannot convert it. */
export async function convertObject(object: object, from: KindDef, to: KindDef, signal: AbortSignal): Promise<Draft> {
  const apiVersion = apiVersionOf(to.ref);
  if (from.remote !== undefined) return await from.remote.toVersion(structuredClone(object) as Draft, apiVersion, signal);
  return { ...convertFields(object, from, to), kind: to.ref.kind, apiVersion };
}

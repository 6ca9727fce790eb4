/** JSON merge patch (RFC 7386), as kube-apiserver applies it (evanphx/json-patch v4). */
import { isArray, isObject, type JsonObject, jsonTypeName, put } from './json-value.ts';
import { badRequest } from './status-error.ts';

/** Without null members: they have nothing to remove in a value that is new. */
function pruned(value: unknown): unknown {
  if (isArray(value)) return value.map(pruned);
  if (!isObject(value)) return value;
  const out: JsonObject = {};
  for (const [key, v] of Object.entries(value)) if (v !== null) put(out, key, pruned(v));
  return out;
}

function merge(target: JsonObject, patch: JsonObject): JsonObject {
  const out: JsonObject = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      delete out[key];
      continue;
    }
    const current = Object.hasOwn(out, key) ? out[key] : undefined;
    if (isObject(current)) put(out, key, isObject(value) ? merge(current, value) : value);
    else put(out, key, pruned(value));
  }
  return out;
}

/** Applies a merge patch. Neither argument is changed; the result may share parts with both. Throws BadRequest unless the patch is an object. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isObject(patch)) {
    throw badRequest(`error decoding patch: json: cannot unmarshal ${jsonTypeName(patch)} into Go value of type map[string]interface {}`);
  }
  return merge(isObject(document) ? document : {}, patch);
}

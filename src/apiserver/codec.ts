/** Bodies of requests as drafts of a kind: decoding and defaulting. */
import { type Decoded, decodeBody, decodeObject, type FieldValidation } from '#kube/decode.ts';
import type { Draft, KindDef } from '#kube/kind.ts';
import { badRequest } from '#kube/status-error.ts';
import type { ApiRequest } from './contract.ts';

/** The body of a request, decoded and defaulted. Warnings are added to `warnings`. Throws StatusError. */
export function readDraft(def: KindDef, request: ApiRequest, validation: FieldValidation, warnings: string[]): Draft {
  const decoded =
    request.object === undefined
      ? decodeBody(def, requireBody(request), request.headers['content-type'] ?? '', validation)
      : decodeObject(def, request.object, validation);
  warnings.push(...decoded.warnings);
  return withDefaults(def, decoded);
}

/** A JSON value such as the result of a patch as a draft, decoded and defaulted. Throws StatusError. */
export function draftOf(def: KindDef, value: unknown, validation: FieldValidation, warnings: string[]): Draft {
  const decoded = decodeObject(def, value, validation);
  warnings.push(...decoded.warnings);
  return withDefaults(def, decoded);
}

function withDefaults(def: KindDef, decoded: Decoded): Draft {
  def.defaults?.(decoded.object);
  return decoded.object;
}

export function requireBody(request: ApiRequest): Uint8Array {
  if (request.body === undefined || request.body.length === 0) throw badRequest('no body was sent: an object is required');
  return request.body;
}

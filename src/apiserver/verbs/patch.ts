/** PATCH: JSON patch, merge patch, strategic merge patch, server-side apply. */
import type { FieldValidation } from '#kube/decode.ts';
import { goPrint, isObject } from '#kube/json-value.ts';
import type { Draft, KindDef } from '#kube/kind.ts';
import type { Stored } from '#kube/object.ts';
import { strictErrors } from '#kube/parse-body.ts';
import { applyJsonPatch } from '#kube/patch-json.ts';
import { applyMergePatch } from '#kube/patch-merge.ts';
import { applyStrategicPatch } from '#kube/patch-strategic.ts';
import { badRequest, type FieldError, invalid, StatusError } from '#kube/status-error.ts';
import { draftOf, parseRequest } from '../codec.ts';
import type { ApiRequest, ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { appliedObject, resolveDefinition } from '../managed-fields.ts';
import { matchName, matchNamespace } from '../meta.ts';
import { parseWriteParameters, type WriteParameters } from '../options.ts';
import { type UpdatePart, updateObject } from './write.ts';

export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export type PatchType = keyof typeof patchTypes;

/** The kind of a patch by its content type. Throws StatusError UnsupportedMediaType. */
export function patchTypeOf(request: ApiRequest, custom: boolean): PatchType {
  const media = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const types = Object.entries(patchTypes).filter(([type]) => !custom || type !== 'strategic');
  const found = types.find(([, name]) => name === media);
  if (found === undefined)
    throw new StatusError(
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: ${types.map(([, name]) => name).join(', ')}`,
    );
  return found[0] as PatchType;
}

/** A parsed patch. */
interface PatchBody {
  readonly value: unknown;
  /** What a strict decoder has against it: keys that occur twice, unknown members of JSON patch operations. */
  readonly problems: readonly string[];
}

/** Throws StatusError BadRequest. */
function patchBody(request: ApiRequest, type: PatchType, validation: FieldValidation): PatchBody {
  if (request.object !== undefined) return { value: request.object, problems: [] };
  const { value, duplicates } = parseRequest(request, type === 'apply' ? 'yaml' : 'json', validation !== 'Ignore');
  if (type === 'apply' && validation === 'Strict' && duplicates.length > 0)
    throw badRequest(`error strict decoding YAML: error converting YAML to JSON: ${strictErrors(duplicates).join(', ')}`);
  if (type !== 'json' || validation === 'Ignore') return { value, problems: duplicates };
  return { value, problems: [...duplicates, ...unknownMembers(value)].map((problem) => `json patch ${problem}`) };
}

const operationMembers = new Set(['op', 'path', 'from', 'value']);

const unknownMembers = (operations: unknown): string[] =>
  Array.isArray(operations)
    ? operations.flatMap((operation: unknown, i) =>
        Object.keys(isObject(operation) ? operation : {})
          .filter((member) => !operationMembers.has(member))
          .map((member) => `unknown field "[${i}].${member}"`),
      )
    : [];

/** Applies a patch (but not server-side apply) to a JSON value. Throws StatusError. */
export function applyPatch(type: Exclude<PatchType, 'apply'>, current: unknown, patch: unknown, def: Pick<KindDef, 'schema'>): unknown {
  switch (type) {
    case 'json':
      return applyJsonPatch(current, patch);
    case 'merge':
      return applyMergePatch(current, patch);
    case 'strategic':
      return applyStrategicPatch(current, patch, def.schema, resolveDefinition);
  }
}

/** PATCH of an object, or of the part of it that a subresource writes. Throws StatusError. */
export async function patch(r: VerbRequest, part?: UpdatePart): Promise<ApiResponse> {
  const { def, custom } = r.resource;
  const parameters = parseWriteParameters(r.request.query, 'PatchOptions');
  const type = patchTypeOf(r.request, custom);
  const body = patchBody(r.request, type, parameters.fieldValidation);
  checkPatchOptions(type, parameters);
  const warned = r.warnings.length;
  const { entry, created } = await updateObject(r, {
    build: async (current) => {
      // An attempt that lost a race may have left warnings of its own.
      r.warnings.length = warned;
      return await patched(r, type, current, body, parameters);
    },
    dryRun: parameters.dryRun,
    createAllowed: type === 'apply' && part === undefined,
    retryConflicts: true,
    tracked: type === 'apply',
    ...(part === undefined ? {} : { part }),
  });
  return { type: 'entry', status: created ? 201 : 200, def, entry };
}

/** What depends on the kind of patch: ValidatePatchOptions. Throws StatusError Invalid. */
export function checkPatchOptions(type: PatchType, parameters: WriteParameters): void {
  const fail = (error: FieldError): never => {
    throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [error]);
  };
  if (type === 'apply') {
    if (parameters.fieldManager === '')
      fail({ field: 'fieldManager', type: 'FieldValueRequired', message: 'Required value: is required for apply patch' });
  } else if (parameters.force !== undefined)
    fail({ field: 'force', type: 'FieldValueForbidden', message: 'Forbidden: may not be specified for non-apply patch' });
}

/** What a patch made, as an object of its kind. As upstream, what cannot be decoded is the patch's fault: Invalid, not BadRequest. */
function decoded(r: VerbRequest, type: PatchType, body: PatchBody, value: unknown, validation: FieldValidation): Draft {
  const { def } = r.resource;
  try {
    return draftOf(def, value, validation, r.warnings, body.problems);
  } catch (error) {
    const prefix = ` cannot be handled as a ${def.ref.kind}: `;
    if (type === 'apply' || !(error instanceof StatusError) || error.reason !== 'BadRequest') throw error;
    const at = error.message.indexOf(prefix);
    if (at < 0) throw error;
    const shown = type === 'strategic' ? goPrint(body.value) : JSON.stringify(value);
    const message = `Invalid value: ${JSON.stringify(shown)}: ${error.message.slice(at + prefix.length)}`;
    throw invalid({ group: '', kind: '' }, '', [{ field: 'patch', type: 'FieldValueInvalid', message }]);
  }
}

async function patched(
  r: VerbRequest,
  type: PatchType,
  current: Stored | undefined,
  body: PatchBody,
  parameters: WriteParameters,
): Promise<Draft> {
  const { def } = r.resource;
  const value =
    type === 'apply' ? await appliedObject(r, current, body.value, parameters.force === true) : applyPatch(type, current, body.value, def);
  const validation: FieldValidation = parameters.fieldValidation;
  const draft = decoded(r, type, body, value, validation);
  if (draft.metadata.name === undefined) throw badRequest('metadata.name must not be removed by a patch');
  matchNamespace(def, draft, r.info.namespace);
  matchName(draft, r.info.name);
  return draft;
}

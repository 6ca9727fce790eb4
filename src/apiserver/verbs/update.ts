import { readDraft } from '../codec.ts';
import type { ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { matchName, matchNamespace } from '../meta.ts';
import { parseWriteParameters } from '../options.ts';
import { type UpdatePart, updateObject } from './write.ts';

/** PUT of an object, or of the part of it that a subresource writes. Throws StatusError. */
export async function update(r: VerbRequest, part?: UpdatePart): Promise<ApiResponse> {
  const { def } = r.resource;
  const parameters = parseWriteParameters(r.request.query, 'UpdateOptions');
  const sent = readDraft(def, r.request, parameters.fieldValidation, r.warnings);
  matchNamespace(def, sent, r.info.namespace);
  matchName(sent, r.info.name);
  const { entry, created } = await updateObject(r, {
    build: () => structuredClone(sent),
    dryRun: parameters.dryRun,
    createAllowed: part === undefined && def.createOnUpdate === true,
    retryConflicts: false,
    ...(part === undefined ? {} : { part }),
  });
  return { type: 'entry', status: created ? 201 : 200, def, entry };
}

import { badRequest, StatusError } from '#kube/status-error.ts';
import { readDraft } from '../codec.ts';
import type { ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { matchNamespace } from '../meta.ts';
import { parseWriteParameters } from '../options.ts';
import { createObject } from './write.ts';

/** POST of a new object. Throws StatusError. */
export async function create(r: VerbRequest): Promise<ApiResponse> {
  const { def } = r.resource;
  const parameters = parseWriteParameters(r.request.query, 'CreateOptions');
  if (def.ref.namespaced && r.info.namespace === '')
    throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource');
  const draft = readDraft(def, r.request, parameters.fieldValidation, r.warnings);
  matchNamespace(def, draft, r.info.namespace);
  if (r.info.name !== '') throw badRequest('a name is not allowed in the path of a create request');
  const entry = await createObject(r, draft, parameters.dryRun);
  return { type: 'entry', status: 201, def, entry };
}

/** Subresources: status and scale for kinds that have them, and those that are given to the server as data. */
import { StatusError } from '#kube/status-error.ts';
import type { ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { get } from '../verbs/get.ts';
import { patch } from '../verbs/patch.ts';
import { update } from '../verbs/update.ts';
import { statusPart } from './status.ts';

const notServed = (): StatusError => new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
const notAllowed = (): StatusError =>
  new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource', { details: {} });

export async function handleSubresource(r: VerbRequest): Promise<ApiResponse> {
  const { def } = r.resource;
  const { subresource, verb } = r.info;
  if (subresource === 'status' && def.hasStatus === true) {
    const part = statusPart(def);
    if (verb === 'get') return await get(r);
    if (verb === 'update') return await update(r, part);
    if (verb === 'patch') return await patch(r, part);
    throw notAllowed();
  }
  throw notServed();
}

import { notFound } from '#kube/status-error.ts';
import type { ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { parseResourceVersion, tooLargeResourceVersion } from '../options.ts';
import { readEntry } from '../storage.ts';
import { waitFor } from './list.ts';

/** GET of one object. Throws StatusError NotFound, or Timeout for a resourceVersion that is not reached. */
export async function get(r: VerbRequest): Promise<ApiResponse> {
  const { def } = r.resource;
  const wanted = parseResourceVersion(r.request.query.get('resourceVersion'));
  if (wanted !== undefined && wanted > r.core.cache.revision()) await waitFor(r, wanted, tooLargeResourceVersion);
  const entry = readEntry(r.core, def, r.info.namespace, r.info.name);
  if (entry === undefined) throw notFound(def.ref, r.info.name);
  return { type: 'entry', status: 200, def, entry };
}

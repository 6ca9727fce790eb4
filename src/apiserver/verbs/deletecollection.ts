import { isStatus } from '#kube/status-error.ts';
import type { ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { convertAhead, viewOf } from '../view.ts';
import { deleteObject, deleteParameters } from './delete.ts';
import { list } from './list.ts';

/** Deletions under way at once. */
const parallel = 16;

/** DELETE of a collection: each object as if deleted by itself; objects that vanish meanwhile are no error. */
export async function deleteCollection(r: VerbRequest): Promise<ApiResponse> {
  const parameters = deleteParameters(r);
  const listed = await list(r);
  if (listed.type !== 'list') return listed;
  await convertAhead(r.resource.def, listed.entries, r.request.signal);
  const view = viewOf(r.resource.def);
  const queue = listed.entries.values();
  const work = async (): Promise<void> => {
    for (const entry of queue) {
      const { namespace = '', name } = view.object(entry).metadata;
      try {
        await deleteObject({ ...r, info: { ...r.info, namespace, name } }, parameters);
      } catch (error) {
        if (!isStatus(error, 'NotFound')) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return listed;
}

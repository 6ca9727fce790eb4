/** GET and LIST of kinds that are worked out when asked for and never stored. */
import type { KindDef } from '#kube/kind.ts';
import type { KubeObject } from '#kube/object.ts';
import { notFound, StatusError } from '#kube/status-error.ts';
import type { CachedEntry } from '#store/contract.ts';
import type { ApiResponse, ComputedDef } from './contract.ts';
import type { VerbRequest } from './core.ts';
import { objectKeyOf } from './keys.ts';
import { parseListParameters } from './options.ts';
import { selectionOf } from './verbs/select.ts';
import { encodeStored, looseEntry } from './view.ts';

const entryOf = (def: KindDef, object: KubeObject): CachedEntry =>
  looseEntry({
    key: objectKeyOf(def, object.metadata.namespace ?? '', object.metadata.name ?? ''),
    value: encodeStored(object),
    revision: 0,
    createRevision: 0,
  });

/** Throws StatusError NotFound for a name that there is not, or where nobody works the kind out. */
export async function readComputed(r: VerbRequest, computed: readonly ComputedDef[]): Promise<ApiResponse> {
  const { def } = r.resource;
  const found = computed.find((c) => isOf(c, def));
  if (found === undefined) throw new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
  if (r.info.verb === 'get') {
    const object = (await found.list()).find((o) => o.metadata.name === r.info.name);
    if (object === undefined) throw notFound(def.ref, r.info.name);
    return { type: 'entry', status: 200, def, entry: entryOf(def, object) };
  }
  // Upstream lists all whatever the limit is (pkg/registry/core/componentstatus/rest.go).
  const { labelSelector, fieldSelector } = parseListParameters(r.request.query, false);
  const selection = selectionOf(def, labelSelector, fieldSelector);
  const entries = (await found.list()).map((object) => entryOf(def, object)).filter(selection.matches);
  return { type: 'list', status: 200, def, entries };
}

const isOf = (c: ComputedDef, { ref }: KindDef): boolean => c.resource.group === ref.group && c.resource.plural === ref.plural;

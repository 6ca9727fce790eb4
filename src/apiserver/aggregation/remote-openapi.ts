/** OpenAPI documents of servers behind APIServices, read with care: kube-aggregator pkg/controllers/{openapi,openapiv3}. */
import { exceedsDepth, isObject, type JsonObject, own } from '#kube/json-value.ts';
import { type OpenApiPart, partOf, v3Of } from '#kube/openapi-merge.ts';
import { aggregatorUser, type FetchDocument } from './documents.ts';
import type { GroupVersion } from './route.ts';

/** What is known of one APIService's documents. */
export interface RemoteOpenApi {
  /** The hash of the v3 document that the server serves itself; undefined: it serves none. */
  readonly v3Hash: string | undefined;
  /** The part of its v2 document that is about this group version. */
  readonly v2: OpenApiPart | undefined;
  /** The v3 document made of `v2`, for a server that has none. */
  readonly converted: JsonObject | undefined;
  readonly v2Etag: string;
}

const maxIndexBytes = 1024 * 1024;
const maxV2Bytes = 8 * 1024 * 1024;
const timeoutMs = 20_000;
const maxDepth = 100;

function parse(body: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new Error('the OpenAPI document is no JSON');
  }
  if (!isObject(value)) throw new Error('the OpenAPI document is no object');
  if (exceedsDepth(value, maxDepth)) throw new Error('the OpenAPI document is nested too deeply');
  return value;
}

/** The hash that the index of a server gives for the document of a group version. */
export function v3HashOf(index: JsonObject, { group, version }: GroupVersion): string | undefined {
  const paths = own(index, 'paths');
  const entry = isObject(paths) ? own(paths, group === '' ? `api/${version}` : `apis/${group}/${version}`) : undefined;
  if (!isObject(entry)) return undefined;
  const url = own(entry, 'serverRelativeURL');
  const hash = typeof url === 'string' ? /[?&]hash=([\w-]{1,256})(?:&|$)/.exec(url)?.[1] : undefined;
  return hash ?? '';
}

/** The documents as they are now; parts that have not changed are those of `known`. Rejects with an Error that says what is wrong. */
export async function readOpenApi(
  fetch: FetchDocument,
  known: RemoteOpenApi | undefined,
  groupVersion: GroupVersion,
  signal: AbortSignal,
): Promise<RemoteOpenApi> {
  const request = { user: aggregatorUser, accept: 'application/json', timeoutMs };
  const index = await fetch({ ...request, path: '/openapi/v3', maxBytes: maxIndexBytes }, signal);
  const v3Hash = index.status === 200 ? v3HashOf(parse(index.body), groupVersion) : undefined;
  const etag = known === undefined || known.v2Etag === '' ? {} : { etag: known.v2Etag };
  const whole = await fetch({ ...request, ...etag, path: '/openapi/v2', maxBytes: maxV2Bytes }, signal);
  let v2 = known?.v2;
  if (whole.status === 200) v2 = partOf(parse(whole.body), groupVersion);
  else if (whole.status !== 304) v2 = undefined;
  const same = known !== undefined && v2 === known.v2 && v3Hash === known.v3Hash;
  if (same) return known;
  const converted = v3Hash === undefined && v2 !== undefined ? v3Of(v2) : undefined;
  return { v3Hash, v2, converted, v2Etag: whole.status === 200 ? whole.etag : (known?.v2Etag ?? '') };
}

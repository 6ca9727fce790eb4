/** Responses of the core as bodies: JSON and YAML, tables, metadata only. */
import { stringify } from 'yaml';
import type { Stored } from '#kube/object.ts';
import { encodeProtobuf, protobufMedia } from '#kube/protobuf.ts';
import { apiVersionOf } from '#kube/refs.ts';
import { StatusError } from '#kube/status-error.ts';
import type { CachedEntry } from '#store/contract.ts';
import type { ApiResponse } from '../contract.ts';
import { partialList, partialObject, tableOf } from '../representations.ts';
import { viewOf } from '../view.ts';
import type { Representation } from './negotiate.ts';

export interface Rendered {
  readonly status: number;
  readonly contentType: string;
  readonly length: number;
  /** Long lists are made piece by piece, as the client takes them. */
  readonly body: Iterable<Uint8Array>;
}

export interface RenderContext {
  readonly representation: Representation;
  readonly pretty: boolean;
  readonly now: Date;
  readonly includeObject: string;
}

type Renderable = Extract<ApiResponse, { type: 'entry' | 'object' | 'list' }>;

/** Bytes of a list that make one piece. */
const pieceBytes = 256 * 1024;
const json = 'application/json';

const whole = (status: number, contentType: string, body: Uint8Array): Rendered => ({
  status,
  contentType,
  length: body.length,
  body: [body],
});

/** Throws StatusError BadRequest for an unknown includeObject. */
export function render(response: Renderable, context: RenderContext): Rendered {
  const { representation, pretty } = context;
  const raw = representation.as === undefined && representation.media === json && !pretty;
  if (raw && response.type === 'entry') return whole(response.status, json, viewOf(response.def).bytes(response.entry));
  if (raw && response.type === 'list') return renderList(response);
  const object = renderedObject(response, context);
  if (representation.media === protobufMedia) {
    const bytes = encodeProtobuf(object as { apiVersion: string; kind: string });
    if (bytes !== undefined) return whole(response.status, protobufMedia, bytes);
  }
  if (representation.media === 'application/yaml') return whole(response.status, 'application/yaml', Buffer.from(stringify(object)));
  const text = pretty ? `${JSON.stringify(object, null, 2)}\n` : `${JSON.stringify(object)}\n`;
  return whole(response.status, json, Buffer.from(text));
}

function renderedObject(response: Renderable, context: RenderContext): unknown {
  const { as } = context.representation;
  if (as === undefined) return plainObject(response);
  if (response.type !== 'object') return transformed(response, context);
  if (as !== 'Table' || response.def === undefined) return response.object;
  const object = response.object as Stored;
  return tableOf(response.def, [object], { resourceVersion: object.metadata.resourceVersion }, context, true);
}

/** True for answers that protobuf knows: objects of built-in kinds, and what is made for a request. */
export function hasProtobuf(response: ApiResponse): boolean {
  if (response.type === 'object') return true;
  if (response.type !== 'entry' && response.type !== 'list' && response.type !== 'watch') return false;
  return response.def.custom !== true;
}

type ListResponse = Extract<ApiResponse, { type: 'list' }>;

const listMeta = (r: ListResponse): Record<string, unknown> => ({
  ...(r.revision === undefined ? {} : { resourceVersion: String(r.revision) }),
  ...(r.continue === undefined ? {} : { continue: r.continue }),
  ...(r.remaining === undefined ? {} : { remainingItemCount: r.remaining }),
});

const listKind = (r: ListResponse): { kind: string; apiVersion: string } => ({
  kind: r.def.listKind ?? `${r.def.ref.kind}List`,
  apiVersion: apiVersionOf(r.def.ref),
});

const comma = Buffer.from(',{');
const open = Buffer.from('{');
const end = Buffer.from(']}\n');

function renderList(r: ListResponse): Rendered {
  const head = Buffer.from(`${JSON.stringify({ ...listKind(r), metadata: listMeta(r) }).slice(0, -1)},"items":[`);
  const view = viewOf(r.def);
  let length = head.length + end.length;
  for (const [i, entry] of r.entries.entries()) length += view.itemTail(entry).length + (i === 0 ? 1 : 2);
  return { status: 200, contentType: json, length, body: listPieces(r, head) };
}

function* listPieces(r: ListResponse, head: Buffer): Generator<Uint8Array> {
  const view = viewOf(r.def);
  let batch: Uint8Array[] = [head];
  let size = head.length;
  for (const [i, entry] of r.entries.entries()) {
    const tail = view.itemTail(entry);
    batch.push(i === 0 ? open : comma, tail);
    size += tail.length;
    if (size < pieceBytes) continue;
    yield Buffer.concat(batch);
    batch = [];
    size = 0;
  }
  batch.push(end);
  yield Buffer.concat(batch);
}

function plainObject(response: Renderable): unknown {
  if (response.type === 'object') return response.object;
  const view = viewOf(response.def);
  if (response.type === 'entry') return view.object(response.entry);
  return {
    ...listKind(response),
    metadata: listMeta(response),
    items: response.entries.map((e) => {
      const { kind: _k, apiVersion: _v, ...rest } = view.object(e);
      return rest;
    }),
  };
}

function transformed(response: Exclude<Renderable, { type: 'object' }>, context: RenderContext): unknown {
  const { as, asVersion } = context.representation;
  const view = viewOf(response.def);
  const list = response.type === 'list';
  const metadata = list ? listMeta(response) : { resourceVersion: view.object(response.entry).metadata.resourceVersion };
  const entries: readonly CachedEntry[] = list ? response.entries : [response.entry];
  const objects = entries.map((e) => view.object(e));
  if (as === 'APIGroupDiscoveryList')
    throw new StatusError('NotAcceptable', 'only the following media types are accepted: application/json, application/yaml');
  if (as === 'Table') return tableOf(response.def, objects, metadata, context, true);
  if (response.type === 'entry') return partialObject(view.object(response.entry), asVersion);
  return partialList(objects, metadata, asVersion);
}

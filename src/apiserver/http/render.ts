/** Responses of the core as bodies: JSON and YAML, tables, metadata only. */
import { stringify } from 'yaml';
import type { Stored } from '#kube/object.ts';
import { encodeProtobuf, encodeProtobufList, messageEncoder, protobufMedia } from '#kube/protobuf.ts';
import { apiVersionOf } from '#kube/refs.ts';
import { StatusError } from '#kube/status-error.ts';
import { parseExact } from '#lib/exact-json.ts';
import { mapInTurns } from '#lib/pace.ts';
import type { CachedEntry } from '#store/contract.ts';
import type { ApiResponse } from '../contract.ts';
import { partialObject, tableHead, tableOf, tableRow } from '../representations.ts';
import { viewOf } from '../view.ts';
import type { EncodedCache } from './encoded.ts';
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

export type Renderable = Extract<ApiResponse, { type: 'entry' | 'object' | 'list' }>;

/** Protobuf messages of the items are kept for others who ask of lists that are no longer: clients take pages of 500. */
const keptItems = 1000;
/** Bytes of a list that make one piece. */
const pieceBytes = 256 * 1024;
const json = 'application/json';

const whole = (status: number, contentType: string, body: Uint8Array): Rendered => ({
  status,
  contentType,
  length: body.length,
  body: [body],
});

/** Throws StatusError BadRequest for an unknown includeObject, and the signal's reason where a long list is not wanted any more. */
export async function render(response: Renderable, context: RenderContext, encoded: EncodedCache, signal: AbortSignal): Promise<Rendered> {
  const { media, as } = context.representation;
  if (as === 'APIGroupDiscoveryList' && response.type !== 'object')
    throw new StatusError('NotAcceptable', 'only the following media types are accepted: application/json, application/yaml');
  if (response.type === 'list') return renderList(response, context, encoded, signal);
  if (as === undefined && media === json && !context.pretty && response.type === 'entry')
    return whole(response.status, json, viewOf(response.def).bytes(response.entry));
  const object = renderedObject(response, context);
  if (media === protobufMedia) {
    const bytes = encodeProtobuf(object as { apiVersion: string; kind: string });
    if (bytes !== undefined) return whole(response.status, protobufMedia, bytes);
  }
  if (media === 'application/yaml') return whole(response.status, media, Buffer.from(stringify(object)));
  return whole(response.status, json, Buffer.from(`${jsonText(object, context)}\n`));
}

const jsonText = (value: unknown, { pretty }: RenderContext): string => JSON.stringify(value, null, pretty ? 2 : undefined);

function renderedObject(response: Exclude<Renderable, { type: 'list' }>, context: RenderContext): unknown {
  const { as, asVersion } = context.representation;
  if (response.type === 'object') {
    if (as !== 'Table' || response.def === undefined) return response.object;
    return tableOf(response.def, response.object as Stored, context, true);
  }
  const object = viewOf(response.def).object(response.entry);
  if (as === undefined) return object;
  return as === 'Table' ? tableOf(response.def, object, context, true) : partialObject(object, asVersion);
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

/** A list as what comes before its items and what is made of each entry. */
interface ListForm {
  readonly head: { readonly kind: string; readonly apiVersion: string; readonly metadata: object };
  /** The name of the member that holds the items, after those of `head`. */
  readonly member: 'items' | 'rows';
  readonly item: (entry: CachedEntry) => object;
  /** What protobuf takes an item for. */
  readonly type: { readonly kind: string; readonly apiVersion: string };
}

function formOf(r: ListResponse, context: RenderContext): ListForm {
  const { as, asVersion } = context.representation;
  const view = viewOf(r.def);
  const metadata = listMeta(r);
  if (as === 'Table') {
    const head = tableHead(r.def, metadata, context, true);
    const type = { kind: 'TableRow', apiVersion: `meta.k8s.io/${asVersion}` };
    return { head, member: 'rows', item: (entry) => tableRow(r.def, view.object(entry), context), type };
  }
  if (as !== undefined) {
    const type = { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${asVersion}` };
    const head = { ...type, kind: 'PartialObjectMetadataList', metadata };
    return { head, member: 'items', item: (entry) => partialObject(view.object(entry), asVersion), type };
  }
  // Parsed for this answer alone: what readers share is frozen through and through, which takes as long as parsing.
  const item = (entry: CachedEntry): object => {
    const tail = view.itemTail(entry);
    return parseExact(`{${Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength).toString('utf8')}`) as object;
  };
  const type = { kind: r.def.ref.kind, apiVersion: apiVersionOf(r.def.ref) };
  return { head: { ...listKind(r), metadata }, member: 'items', item, type };
}

/** Lists may be long: what must be made for their entries is made in turns. */
async function renderList(r: ListResponse, context: RenderContext, encoded: EncodedCache, signal: AbortSignal): Promise<Rendered> {
  const { media, as } = context.representation;
  const raw = as === undefined && media === json && !context.pretty;
  if (raw) return inPieces(json, storedParts(r));
  const form = formOf(r, context);
  if (media === protobufMedia) {
    const parts = await protobufParts(r, form, encoded, signal);
    if (parts !== undefined) return inPieces(protobufMedia, parts);
  }
  if (media === 'application/yaml') return inPieces(media, await yamlParts(form, r.entries, signal));
  return inPieces(json, await jsonParts(form, r.entries, context, signal));
}

const comma = Buffer.from(',{');
const open = Buffer.from('{');
const end = Buffer.from(']}\n');

/** The items as they are stored: nothing is made but the list. */
function storedParts(r: ListResponse): Uint8Array[] {
  const view = viewOf(r.def);
  const head = Buffer.from(`${JSON.stringify({ ...listKind(r), metadata: listMeta(r) }).slice(0, -1)},"items":[`);
  return [head, ...r.entries.flatMap((entry, i) => [i === 0 ? open : comma, view.itemTail(entry)]), end];
}

/** The same text as JSON.stringify's of the whole list. */
async function jsonParts(form: ListForm, entries: readonly CachedEntry[], context: RenderContext, signal: AbortSignal): Promise<Buffer[]> {
  const [inset, between, after] = context.pretty ? ['\n    ', ',\n    ', '\n  ]\n}\n'] : ['', ',', ']}\n'];
  const parts = await mapInTurns(entries, (entry) => Buffer.from(jsonText(form.item(entry), context).replaceAll('\n', '\n    ')), signal);
  const empty = jsonText({ ...form.head, [form.member]: [] }, context);
  if (parts.length === 0) return [Buffer.from(`${empty}\n`)];
  const head = empty.slice(0, empty.lastIndexOf(']'));
  return [
    Buffer.from(`${head}${inset}`),
    ...parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from(between), part])),
    Buffer.from(after),
  ];
}

async function yamlParts({ head, member, item }: ListForm, entries: readonly CachedEntry[], signal: AbortSignal): Promise<Buffer[]> {
  if (entries.length === 0) return [Buffer.from(stringify({ ...head, [member]: [] }))];
  const parts = await mapInTurns(entries, (entry) => Buffer.from(stringify([item(entry)])), signal);
  return [Buffer.from(`${stringify(head)}${member}:\n`), ...parts];
}

/** Undefined for what protobuf does not know. */
async function protobufParts(r: ListResponse, form: ListForm, encoded: EncodedCache, signal: AbortSignal): Promise<Buffer[] | undefined> {
  const { head, item, type } = form;
  const encode = messageEncoder(type);
  if (encode === undefined) return undefined;
  const make = (entry: CachedEntry): Buffer => encode(item(entry));
  // The items of a longer list would push each other out before anybody asks again.
  const kept = r.entries.length <= keptItems;
  const message = (entry: CachedEntry): Buffer => (kept ? encoded.bytes(r.def, entry, type.kind, () => make(entry)) : make(entry));
  const items = await mapInTurns(r.entries, message, signal);
  return encodeProtobufList({ ...type, kind: head.kind }, head.metadata, items);
}

function inPieces(contentType: string, parts: readonly Uint8Array[]): Rendered {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return { status: 200, contentType, length, body: pieces(parts) };
}

function* pieces(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  let batch: Uint8Array[] = [];
  let size = 0;
  for (const part of parts) {
    batch.push(part);
    size += part.length;
    if (size < pieceBytes) continue;
    yield Buffer.concat(batch);
    batch = [];
    size = 0;
  }
  yield Buffer.concat(batch);
}

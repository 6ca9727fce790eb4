/** Watch events as bytes, encoded once for all watchers of the same representation. */
import type { KindDef } from '#kube/kind.ts';
import { encodeProtobuf, encodeWatchFrame, protobufMedia } from '#kube/protobuf.ts';
import type { WatchItem, WatchMessage } from '../contract.ts';
import { bookmarkObject } from '../in-process.ts';
import { partialObject, tableOf } from '../representations.ts';
import { viewOf } from '../view.ts';
import type { EncodedCache } from './encoded.ts';
import type { RenderContext } from './render.ts';

const newline = Buffer.from('}\n');

const jsonFrame = (def: KindDef, item: WatchItem): Buffer =>
  Buffer.concat([Buffer.from(`{"type":"${item.type}","object":`), viewOf(def).bytes(item.entry), newline]);

const protobufFrame = (type: string, object: unknown): Buffer =>
  encodeWatchFrame(type, encodeProtobuf(object as { apiVersion: string; kind: string }) ?? Buffer.alloc(0));

/** Turns messages of one watch into bytes. Tables carry their column definitions in the first frame only, as upstream's do. */
export function frameWriter(def: KindDef, context: RenderContext, cache: EncodedCache): (message: WatchMessage) => Buffer[] {
  const { as, asVersion, media } = context.representation;
  const protobuf = media === protobufMedia;
  const encode = (type: string, object: unknown): Buffer =>
    protobuf ? protobufFrame(type, object) : Buffer.from(`${JSON.stringify({ type, object })}\n`);
  let first = true;
  const encodeItem = (item: WatchItem): Buffer => {
    const object = () => viewOf(def).object(item.entry);
    // All watchers of this representation get the same bytes.
    const shared = (make: () => Buffer): Buffer => cache.bytes(def, item.entry, `${item.type} ${media} ${as} ${asVersion}`, make);
    if (as === undefined) return shared(() => (protobuf ? encode(item.type, object()) : jsonFrame(def, item)));
    if (as !== 'Table') return shared(() => encode(item.type, partialObject(object(), asVersion)));
    // A row tells an age, and the first one of a watch has the columns with it.
    const withColumns = first;
    first = false;
    return encode(item.type, tableOf(def, object(), { ...context, now: new Date() }, withColumns));
  };
  const bookmark = (message: Extract<WatchMessage, { type: 'bookmark' }>): Buffer => {
    const object = bookmarkObject(def, message) as { metadata: { resourceVersion: string } };
    if (as === undefined) return encode('BOOKMARK', object);
    if (as !== 'Table') return encode('BOOKMARK', partialObject(object as never, asVersion));
    const row = { cells: [], object: partialObject(object as never, asVersion) };
    return encode('BOOKMARK', {
      kind: 'Table',
      apiVersion: `meta.k8s.io/${asVersion}`,
      metadata: { resourceVersion: object.metadata.resourceVersion },
      columnDefinitions: null,
      rows: [row],
    });
  };
  return (message) => {
    if (message.type === 'events') return message.items.map(encodeItem);
    return [message.type === 'error' ? encode('ERROR', message.status) : bookmark(message)];
  };
}

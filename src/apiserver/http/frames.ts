/** Watch events as bytes, encoded once for all watchers of the same representation. */
import type { KindDef } from '#kube/kind.ts';
import { encodeProtobuf, encodeWatchFrame, protobufMedia } from '#kube/protobuf.ts';
import type { CachedEntry } from '#store/contract.ts';
import type { WatchItem, WatchMessage } from '../contract.ts';
import { bookmarkObject } from '../in-process.ts';
import { partialObject, tableOf } from '../representations.ts';
import { viewOf } from '../view.ts';
import type { RenderContext } from './render.ts';

const newline = Buffer.from('}\n');

interface Frame {
  readonly def: KindDef;
  readonly type: string;
  readonly protobuf: boolean;
  readonly bytes: Buffer;
}

const jsonFrame = (def: KindDef, item: WatchItem): Buffer =>
  Buffer.concat([Buffer.from(`{"type":"${item.type}","object":`), viewOf(def).bytes(item.entry), newline]);

const protobufFrame = (type: string, object: unknown): Buffer =>
  encodeWatchFrame(type, encodeProtobuf(object as { apiVersion: string; kind: string }) ?? Buffer.alloc(0));

/**
 * Frames of recent events. Watchers get an event at nearly the same time, so a small cache is enough: the oldest
 * frames go first when it holds more than `maxBytes`.
 */
export class FrameCache {
  readonly #maxBytes: number;
  readonly #frames = new Map<CachedEntry, Frame[]>();
  #bytes = 0;

  constructor(maxBytes = 8 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** `{"type":"ADDED","object":{…}}` and a newline, or the same in protobuf. */
  frame(def: KindDef, item: WatchItem, protobuf: boolean): Buffer {
    const known = this.#frames.get(item.entry);
    const hit = known?.find((f) => f.def === def && f.type === item.type && f.protobuf === protobuf);
    if (hit !== undefined) return hit.bytes;
    const bytes = protobuf ? protobufFrame(item.type, viewOf(def).object(item.entry)) : jsonFrame(def, item);
    if (known === undefined) this.#frames.set(item.entry, [{ def, type: item.type, protobuf, bytes }]);
    else known.push({ def, type: item.type, protobuf, bytes });
    this.#bytes += bytes.length;
    this.#evict();
    return bytes;
  }

  #evict(): void {
    for (const [entry, frames] of this.#frames) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#frames.delete(entry);
      for (const f of frames) this.#bytes -= f.bytes.length;
    }
  }
}

/** Turns messages of one watch into bytes. Tables carry their column definitions in the first frame only, as upstream's do. */
export function frameWriter(def: KindDef, context: RenderContext, cache: FrameCache): (message: WatchMessage) => Buffer[] {
  const { as, asVersion, media } = context.representation;
  const protobuf = media === protobufMedia;
  const encode = (type: string, object: unknown): Buffer =>
    protobuf ? protobufFrame(type, object) : Buffer.from(`${JSON.stringify({ type, object })}\n`);
  let first = true;
  const encodeItem = (item: WatchItem): Buffer => {
    if (as === undefined) return cache.frame(def, item, protobuf);
    const object = viewOf(def).object(item.entry);
    if (as !== 'Table') return encode(item.type, partialObject(object, asVersion));
    const withColumns = first;
    first = false;
    return encode(item.type, tableOf(def, object, { ...context, now: new Date() }, withColumns));
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

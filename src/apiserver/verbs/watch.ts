/** WATCH: initial events, selectors, bookmarks, end. k8s.io/apiserver pkg/storage/cacher. */
import { StatusError, toStatus } from '#kube/status-error.ts';
import type { Timer } from '#platform/clock.ts';
import { type CachedEntry, type CacheEvent, type CacheWatch, StoreError } from '#store/contract.ts';
import type { ApiResponse, WatchItem, WatchMessage } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { listPrefix } from '../keys.ts';
import { type ListParameters, parseListParameters, tooLargeResourceVersion } from '../options.ts';
import { convertAhead, looseEntry, withRevision } from '../view.ts';
import { waitFor } from './list.ts';
import { type Selection, selectionOf } from './select.ts';

/** Watches without timeoutSeconds end after 30 to 60 minutes: --min-request-timeout. */
const minTimeoutSeconds = 1800;
const maxTimeoutSeconds = 24 * 3600;
const bookmarkEveryMs = 60_000;
/** A bookmark is sent this long before the end, so that the client resumes from a fresh revision. */
const bookmarkBeforeEndMs = 2_000;

export function watch(r: VerbRequest): ApiResponse {
  const parameters = parseListParameters(r.request.query, true);
  const selection = selectionOf(r.resource.def, parameters.labelSelector, parameters.fieldSelector, r.info.name);
  return { type: 'watch', status: 200, def: r.resource.def, messages: messages(r, parameters, selection) };
}

interface Start {
  readonly source: CacheWatch;
  readonly initial: readonly CachedEntry[];
  readonly revision: number;
  readonly endMarker: boolean;
}

/**
 * Everything after parsing is told through the stream: an error is an ERROR event, as upstream's watch cache does it.
 */
async function* messages(r: VerbRequest, parameters: ListParameters, selection: Selection): AsyncIterable<WatchMessage> {
  let started: Start;
  try {
    started = await start(r, parameters);
  } catch (error) {
    yield { type: 'error', status: statusOf(error, parameters, r) };
    return;
  }
  const ended = r.resource.def.serving?.ended;
  const stop = (): void => started.source.finish();
  if (ended?.aborted === true) stop();
  ended?.addEventListener('abort', stop, { once: true });
  try {
    yield* run(r, parameters, selection, started);
  } catch (error) {
    yield { type: 'error', status: statusOf(error, parameters, r) };
  } finally {
    ended?.removeEventListener('abort', stop);
    started.source.close();
  }
}

function statusOf(error: unknown, parameters: ListParameters, r: VerbRequest): unknown {
  if (error instanceof StatusError) return toStatus(error);
  if (error instanceof StoreError && error.code === 'compacted')
    return toStatus(new StatusError('Expired', `too old resource version: ${parameters.resourceVersion ?? 0} (${r.core.cache.oldest()})`));
  if (error instanceof StoreError) return toStatus(new StatusError('ServiceUnavailable', error.message));
  throw error;
}

async function start(r: VerbRequest, p: ListParameters): Promise<Start> {
  const { cache } = r.core;
  const wanted = p.resourceVersion ?? 0;
  if (wanted > cache.revision()) await waitFor(r, wanted, tooLargeResourceVersion);
  const prefix = listPrefix(r.resource.def, r.info.namespace);
  const withInitial = p.sendInitialEvents ?? wanted === 0;
  const revision = withInitial || wanted === 0 ? cache.revision() : wanted;
  return {
    initial: withInitial ? cache.list(prefix).entries : [],
    source: cache.watch(prefix, revision),
    revision,
    endMarker: p.sendInitialEvents === true && p.allowWatchBookmarks,
  };
}

/** Initial entries that go out in one message. */
const initialStep = 500;

async function* run(r: VerbRequest, p: ListParameters, selection: Selection, s: Start): AsyncIterable<WatchMessage> {
  const { def } = r.resource;
  if (!selection.all) await convertAhead(def, s.initial, r.request.signal);
  const matching = selection.all ? s.initial : s.initial.filter(selection.matches);
  for (let i = 0; i < matching.length; i += initialStep) {
    const step = matching.slice(i, i + initialStep);
    await convertAhead(def, step, r.request.signal);
    yield { type: 'events', items: step.map((entry) => ({ type: 'ADDED', entry })) };
  }
  if (s.endMarker) yield { type: 'bookmark', revision: s.revision, initialEventsEnd: true };
  yield* withTimers(r, p, s, filtered(r, s.source, selection));
}

async function* filtered(r: VerbRequest, source: CacheWatch, selection: Selection): AsyncGenerator<WatchMessage> {
  const { def } = r.resource;
  const ahead = (entries: readonly CachedEntry[]): Promise<void> | undefined => convertAhead(def, entries, r.request.signal);
  for await (const events of source) {
    if (!selection.all) await ahead(events.flatMap((e) => (e.previous === undefined ? [e.entry] : [e.entry, e.previous])));
    const items: WatchItem[] = [];
    for (const event of events) {
      const item = itemOf(event, selection);
      if (item !== undefined) items.push(item);
    }
    if (items.length === 0) continue;
    if (def.remote !== undefined) await ahead(items.map((item) => item.entry));
    yield { type: 'events', items };
  }
}

/** A deletion that a selector makes of a change shows the object as it was, with the change's revision. */
const departures = new WeakMap<CacheEvent, CachedEntry>();

function departureOf(event: CacheEvent, previous: CachedEntry): CachedEntry {
  let made = departures.get(event);
  if (made === undefined) {
    const { revision } = event.entry;
    const value = withRevision(previous.value, revision);
    made = looseEntry({ key: previous.key, value, revision, createRevision: previous.createRevision });
    departures.set(event, made);
  }
  return made;
}

function itemOf(event: CacheEvent, selection: Selection): WatchItem | undefined {
  const { entry, previous } = event;
  const was = previous !== undefined && (selection.all || selection.matches(previous));
  if (event.type === 'delete') {
    if (selection.all || was || (previous === undefined && selection.matches(entry))) return { type: 'DELETED', entry };
    return undefined;
  }
  const is = selection.all || selection.matches(entry);
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', entry };
  return was && previous !== undefined ? { type: 'DELETED', entry: departureOf(event, previous) } : undefined;
}

/** Puts bookmarks between the events and ends the stream in time. */
async function* withTimers(r: VerbRequest, p: ListParameters, s: Start, events: AsyncGenerator<WatchMessage>): AsyncIterable<WatchMessage> {
  const { clock, random } = r.core;
  const { signal } = r.request;
  const seconds = Math.min(p.timeoutSeconds || Math.round(minTimeoutSeconds * (1 + random.fraction())), maxTimeoutSeconds);
  const end = clock.monotonic() + Math.max(0, seconds) * 1000;
  const lastBookmark = end - bookmarkBeforeEndMs;
  let nextBookmark = p.allowWatchBookmarks ? Math.min(clock.monotonic() + bookmarkEveryMs, lastBookmark) : Number.POSITIVE_INFINITY;
  const slot = createSlot(events);
  signal.addEventListener('abort', slot.wake, { once: true });
  let armed = false;
  let timer: Timer | undefined;
  const onTime = (): void => {
    armed = false;
    slot.wake();
  };
  try {
    while (!signal.aborted) {
      const message = slot.take();
      if (message !== undefined) {
        yield message;
        continue;
      }
      if (slot.ended()) return;
      const now = clock.monotonic();
      if (now >= end) return;
      if (now >= nextBookmark) {
        yield { type: 'bookmark', revision: s.source.progress(), initialEventsEnd: false };
        nextBookmark = now < lastBookmark ? Math.min(now + bookmarkEveryMs, lastBookmark) : Number.POSITIVE_INFINITY;
        continue;
      }
      // Timers may fire a little early: then the next one is set here.
      if (!armed) timer = clock.after(Math.ceil(Math.min(end, nextBookmark) - now), onTime);
      armed = true;
      await slot.changed();
    }
  } finally {
    timer?.cancel();
    signal.removeEventListener('abort', slot.wake);
    s.source.close();
    slot.release();
  }
}

/** Holds the next message of a stream, so that one reader can wait for it and for timers alike. Throws what the stream throws. */
function createSlot(events: AsyncGenerator<WatchMessage>) {
  let held: WatchMessage | undefined;
  let done = false;
  let failure: { readonly error: unknown } | undefined;
  let wake: () => void = () => undefined;
  let taken: () => void = () => undefined;
  let rung = false;
  const ring = (): void => {
    rung = true;
    wake();
  };
  const pump = async (): Promise<void> => {
    try {
      for await (const message of events) {
        if (done) return;
        held = message;
        ring();
        await new Promise<void>((resolve) => {
          taken = resolve;
        });
      }
    } catch (error) {
      failure = { error };
    } finally {
      done = true;
      ring();
    }
  };
  void pump();
  return {
    wake: ring,
    take: (): WatchMessage | undefined => {
      const message = held;
      held = undefined;
      if (message !== undefined) taken();
      return message;
    },
    ended: (): boolean => {
      if (failure !== undefined) throw failure.error;
      return done;
    },
    changed: async (): Promise<void> => {
      if (!rung)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      rung = false;
    },
    release: (): void => {
      done = true;
      taken();
    },
  };
}

/** LIST: k8s.io/apiserver's resourceVersion semantics, paging and selectors. */
import { StatusError } from '#kube/status-error.ts';
import { type CachedEntry, StoreError } from '#store/contract.ts';
import { ExpiredListError, encodeContinue } from '../continue.ts';
import type { ApiResponse } from '../contract.ts';
import type { VerbRequest } from '../core.ts';
import { listPrefix, objectKeyOf } from '../keys.ts';
import { type ListParameters, parseListParameters, tooLargeResourceVersion } from '../options.ts';
import { convertAhead } from '../view.ts';
import { type Selection, selectionOf } from './select.ts';

/** How long a read waits for a revision that the server has not reached: upstream's blockTimeout. */
const waitMs = 3000;

/** Waits until the cache shows `revision`. Throws what `late` makes, after three seconds. */
export async function waitFor(r: VerbRequest, revision: number, late: (wanted: number, current: number) => StatusError): Promise<void> {
  const { cache, clock } = r.core;
  const controller = new AbortController();
  const timer = clock.after(waitMs, () => controller.abort());
  try {
    await cache.reached(revision, AbortSignal.any([controller.signal, r.request.signal]));
  } catch (error) {
    if (error instanceof StoreError && error.code !== 'future') throw error;
    throw late(revision, cache.revision());
  } finally {
    timer.cancel();
  }
}

/** Entries that are examined per step of a selective, limited list. */
const scanStep = 1000;

interface Page {
  readonly entries: readonly CachedEntry[];
  readonly revision: number;
  /** The last key examined, where more may follow. */
  readonly last: string | undefined;
  readonly remaining: number;
}

export async function list(r: VerbRequest): Promise<ApiResponse> {
  const { def } = r.resource;
  const parameters = parseListParameters(r.request.query, false);
  const selection = selectionOf(def, parameters.labelSelector, parameters.fieldSelector);
  const page = await readPage(r, parameters, selection);
  const prefix = listPrefix(def, r.info.namespace);
  return {
    type: 'list',
    status: 200,
    def,
    entries: page.entries,
    revision: page.revision,
    ...(page.last === undefined ? {} : { continue: encodeContinue({ revision: page.revision, after: page.last.slice(prefix.length) }) }),
    ...(page.last === undefined || !selection.all ? {} : { remaining: page.remaining }),
  };
}

/** The revision that a list is to show and no other. A limited list at a revision is one too, if it says no more: so it was before resourceVersionMatch. */
function exactRevision({ resourceVersion, match, limit, continueToken }: ListParameters): number | undefined {
  const legacy = match === undefined && limit > 0 && continueToken === undefined && resourceVersion !== 0;
  return match === 'Exact' || legacy ? resourceVersion : undefined;
}

async function readPage(r: VerbRequest, parameters: ListParameters, selection: Selection): Promise<Page> {
  const { cache } = r.core;
  const { resourceVersion, continueToken, limit } = parameters;
  if (resourceVersion !== undefined && resourceVersion > cache.revision()) await waitFor(r, resourceVersion, tooLargeResourceVersion);
  const inconsistent = continueToken?.revision === -1;
  const exact = continueToken !== undefined && !inconsistent ? continueToken.revision : exactRevision(parameters);
  if (exact !== undefined && exact > cache.revision()) await waitFor(r, exact, tooLargeResourceVersion);
  const prefix = listPrefix(r.resource.def, r.info.namespace);
  const after = continueToken === undefined ? undefined : `${prefix}${continueToken.after}`;
  try {
    if (selection.name !== undefined && exact === undefined && (r.info.namespace !== '') === r.resource.def.ref.namespaced)
      return await readNamed(r, selection, selection.name, after);
    if (!selection.all) await convertCandidates(r, prefix, exact);
    return scan(r, selection, { prefix, after, limit, exact });
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'compacted') throw error;
    if (continueToken !== undefined) throw new ExpiredListError(continueToken.after);
    throw new StatusError('Expired', 'The resourceVersion for the provided list is too old.');
  }
}

/** How often objects may change under a list that waits for their conversion. */
const maxConversionRounds = 20;

/** What a selector looks at must have been converted before: in one call, so that the scan itself sees one moment. */
async function convertCandidates(r: VerbRequest, prefix: string, exact: number | undefined): Promise<void> {
  if (r.resource.def.remote === undefined) return;
  for (let round = 0; round < maxConversionRounds; round++) {
    const { entries } = r.core.cache.list(prefix, exact === undefined ? {} : { atRevision: exact });
    const converted = convertAhead(r.resource.def, entries, r.request.signal);
    if (converted === undefined) return;
    await converted;
  }
  throw new StatusError('ServerTimeout', 'the objects change faster than they can be converted', { details: { retryAfterSeconds: 1 } });
}

async function readNamed(r: VerbRequest, selection: Selection, name: string, after: string | undefined): Promise<Page> {
  const key = objectKeyOf(r.resource.def, r.info.namespace, name);
  const entry = r.core.cache.get(key);
  if (entry !== undefined) await convertAhead(r.resource.def, [entry], r.request.signal);
  const hit = entry !== undefined && (after === undefined || key > after) && selection.matches(entry);
  return { entries: hit ? [entry] : [], revision: r.core.cache.revision(), last: undefined, remaining: 0 };
}

interface Scan {
  readonly prefix: string;
  readonly after: string | undefined;
  readonly limit: number;
  readonly exact: number | undefined;
}

function scan(r: VerbRequest, selection: Selection, s: Scan): Page {
  const { cache } = r.core;
  const at = s.exact === undefined ? {} : { atRevision: s.exact };
  if (s.limit === 0 || selection.all) {
    const page = cache.list(s.prefix, {
      ...at,
      ...(s.after === undefined ? {} : { after: s.after }),
      ...(s.limit === 0 ? {} : { limit: s.limit }),
    });
    const entries = selection.all ? page.entries : page.entries.filter(selection.matches);
    const last = page.remaining > 0 ? page.entries.at(-1)?.key : undefined;
    return { entries, revision: s.exact ?? page.revision, last, remaining: page.remaining };
  }
  const found: CachedEntry[] = [];
  let after = s.after;
  for (;;) {
    const step = cache.list(s.prefix, { ...at, limit: scanStep, ...(after === undefined ? {} : { after }) });
    for (const [i, entry] of step.entries.entries()) {
      if (!selection.matches(entry)) continue;
      found.push(entry);
      if (found.length < s.limit) continue;
      const more = i + 1 < step.entries.length || step.remaining > 0;
      return { entries: found, revision: s.exact ?? step.revision, last: more ? entry.key : undefined, remaining: 0 };
    }
    after = step.entries.at(-1)?.key;
    if (step.remaining === 0 || after === undefined)
      return { entries: found, revision: s.exact ?? step.revision, last: undefined, remaining: 0 };
  }
}

import type { SortedEntries } from '#lib/sorted-entries.ts';

/**
 * A page of a range as it was before `later` happened. Costs one look at each of the later events and the page itself.
 *
 * @param now all entries as they are now
 * @param later what happened since then, oldest first; events of keys outside the range are ignored
 * @returns at most `limit` entries in key order, and how many more of the range there were
 */
export function asOf<E extends { readonly key: string }>(
  now: SortedEntries<E>,
  later: Iterable<{ readonly entry: E; readonly previous?: E }>,
  range: { readonly from: string; readonly to: string | undefined },
  limit: number,
): { readonly entries: readonly E[]; readonly remaining: number } {
  const { from, to } = range;
  const before = new Map<string, E | undefined>();
  for (const { entry, previous } of later) {
    const key = entry.key;
    if (key >= from && (to === undefined || key < to) && !before.has(key)) before.set(key, previous);
  }
  let total = now.count(from, to);
  for (const [key, was] of before) total += (was === undefined ? 0 : 1) - (now.get(key) === undefined ? 0 : 1);
  const window = now.range(from, to, limit + before.size);
  const lastKey = window.length < limit + before.size ? undefined : window.at(-1)?.key;
  const entries: E[] = [];
  for (const entry of window) if (!before.has(entry.key)) entries.push(entry);
  let restored = 0;
  for (const [key, was] of before) {
    if (was === undefined || (lastKey !== undefined && key > lastKey)) continue;
    entries.push(was);
    restored++;
  }
  if (restored > 0) entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  if (entries.length > limit) entries.length = limit;
  return { entries, remaining: total - entries.length };
}

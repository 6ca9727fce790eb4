/**
 * Lists that are sets or maps (x-kubernetes-list-type): their order does not matter when they are compared with others, and adding to
 * them adds what is not in them, or takes the place of the item with the same keys (k8s.io/apiserver pkg/cel/common/values.go).
 */
import { celEqual } from './cel-library.ts';

/** What makes an item of a list the item that it is: its keys, or all of it. */
type Identity = (item: unknown) => readonly unknown[];

const identities = new WeakMap<readonly unknown[], Identity>();

/** Makes a list a set, or a map by the fields that expressions know by these names. */
export function associative<T>(list: T[], keys: readonly string[] | undefined): T[] {
  const read = (item: unknown, key: string): unknown => (item instanceof Map ? item.get(key) : undefined);
  identities.set(list, keys === undefined ? (item) => [item] : (item) => keys.map((key) => read(item, key)));
  return list;
}

/** Finds items by their identity: at once where that is made of texts and whole numbers, else by looking at all. */
function finder(list: readonly unknown[], identity: Identity): (item: unknown) => number {
  const plain = (v: unknown): string | undefined =>
    typeof v === 'string' || typeof v === 'bigint' || typeof v === 'boolean' ? `${typeof v} ${v}` : undefined;
  const text = (item: unknown): string | undefined => {
    const parts = identity(item).map(plain);
    return parts.includes(undefined) ? undefined : JSON.stringify(parts);
  };
  const known = new Map<string, number>();
  const others: number[] = [];
  for (const [i, item] of list.entries()) {
    const key = text(item);
    if (key === undefined) others.push(i);
    else known.set(key, i);
  }
  const same = (a: unknown, b: unknown): boolean => celEqual([...identity(a)], [...identity(b)]);
  return (item) => {
    const key = text(item);
    return (key === undefined ? others.find((i) => same(list[i], item)) : known.get(key)) ?? -1;
  };
}

/** Whether a list is a set or a map, which its left side decides as in cel-go. */
export const isAssociative = (value: unknown): value is readonly unknown[] => Array.isArray(value) && identities.has(value);

export function associativeEqual(list: readonly unknown[], other: unknown): boolean {
  const identity = identities.get(list);
  if (identity === undefined || !Array.isArray(other) || other.length !== list.length) return false;
  const find = finder(list, identity);
  return other.every((item: unknown) => {
    const i = find(item);
    return i >= 0 && celEqual(list[i], item);
  });
}

export function associativeSum(list: readonly unknown[], other: unknown): unknown[] {
  const identity = identities.get(list);
  const out = [...list];
  if (identity === undefined || !Array.isArray(other)) return out;
  const find = finder(list, identity);
  for (const item of other as unknown[]) {
    const i = find(item);
    if (i < 0) out.push(item);
    else out[i] = item;
  }
  identities.set(out, identity);
  return out;
}

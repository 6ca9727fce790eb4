/** The values of request headers one by one: node joins repeated headers, and a group's name may hold the ", " it joins with. */

/** As node gives them: name, value, name, value. */
export type RawHeaders = readonly string[];

/** Header bytes arrive as Latin-1; Go reads them as UTF-8. */
const text = (value: string): string => (/[\x80-\xff]/.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value);

/** Every value of a header, in order. `name` in lower case. */
export function headerValues(raw: RawHeaders, name: string): readonly string[] {
  const found: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i]?.toLowerCase() === name) found.push(text(raw[i + 1] ?? ''));
  return found;
}

/**
 * The headers that begin with `prefix` (lower case) by what follows it: in lower case, then percent-decoded where that
 * is possible. k8s.io/apiserver authentication/request/headerrequest unescapeExtraKey.
 */
export function prefixedHeaders(raw: RawHeaders, prefix: string): Readonly<Record<string, readonly string[]>> {
  const extra = new Map<string, string[]>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]?.toLowerCase() ?? '';
    if (!name.startsWith(prefix)) continue;
    let key = name.slice(prefix.length);
    try {
      key = decodeURIComponent(key);
    } catch {
      // Upstream takes an undecodable key as it is.
    }
    const list = extra.get(key) ?? [];
    list.push(text(raw[i + 1] ?? ''));
    extra.set(key, list);
  }
  return Object.fromEntries(extra);
}

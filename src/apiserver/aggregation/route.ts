/** Which group and version a path is below. */

export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** Of decoded segments; undefined for paths that are above group versions or elsewhere. */
export function groupVersionOf([root, first = '', second = '']: readonly string[]): GroupVersion | undefined {
  if (root === 'api' && first !== '') return { group: '', version: first };
  return root === 'apis' && first !== '' && second !== '' ? { group: first, version: second } : undefined;
}

/** Of a path as sent. */
export function groupVersionOfPath(path: string): GroupVersion | undefined {
  if (!path.startsWith('/api')) return undefined;
  const segments: string[] = [];
  for (const raw of path.split('/')) {
    if (raw === '') continue;
    try {
      segments.push(decodeURIComponent(raw));
    } catch {
      return undefined;
    }
    if (segments.length === 3) break;
  }
  return groupVersionOf(segments);
}

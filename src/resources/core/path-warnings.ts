/** Files of one volume that are in each other's way: warningsForOverlappingVirtualPaths in pkg/api/pod/warnings.go. */
import type { Volume, VolumeProjection } from '#kube/generated/core-v1.ts';

type Items = readonly { readonly path: string }[] | undefined;

/** As upstream looks: `a` is in the way of `ab` too. */
function clash(seen: Iterable<string>, path: string): string | undefined {
  for (const other of seen) {
    if (other === '' || path === '') return undefined;
    if (`${other}/`.startsWith(path) || `${path}/`.startsWith(other)) return other;
  }
  return undefined;
}

function overlaps(paths: readonly string[], what: string): string[] {
  const seen = new Set<string>();
  return paths.flatMap((given) => {
    const path = given.replace(/\/+$/, '');
    const other = clash(seen, path);
    seen.add(path);
    return other === undefined ? [] : [`${what}: overlapping paths: ${JSON.stringify(path)} with ${JSON.stringify(other)}`];
  });
}

const pathsOf = (items: Items): string[] => (items ?? []).map(({ path }) => path);
const quoted = (name: string | undefined): string => JSON.stringify(name ?? '');

/** What a source is called, and its files. */
function filesOf(source: VolumeProjection): readonly [what: string, paths: readonly string[]] {
  const { configMap, secret, downwardAPI, serviceAccountToken: token, clusterTrustBundle: bundle } = source;
  if (configMap?.items !== undefined) return [`ConfigMap ${quoted(configMap.name)}`, pathsOf(configMap.items)];
  if (secret?.items !== undefined) return [`Secret ${quoted(secret.name)}`, pathsOf(secret.items)];
  if (downwardAPI?.items !== undefined) return ['DownwardAPI', pathsOf(downwardAPI.items)];
  if (token !== undefined) return ['ServiceAccountToken', [token.path]];
  return bundle === undefined ? ['', []] : [`ClusterTrustBundle ${quoted(bundle.name ?? bundle.signerName)}`, [bundle.path]];
}

function projected(volume: string, sources: readonly VolumeProjection[]): string[] {
  const all = new Set<string>();
  return sources.flatMap((source) => {
    if (Object.keys(source).length === 0) return [`${volume} (Projected) has no sources provided`];
    const [name, paths] = filesOf(source);
    const what = `${volume} (Projected ${name})`;
    const own = new Set(paths);
    const warnings = [...overlaps(paths, what), ...(paths.length === 0 ? [] : overlaps([...own, ...all].sort(), what))];
    for (const path of own) all.add(path);
    return warnings;
  });
}

export const pathWarnings = (volumes: readonly Volume[]): string[] =>
  volumes.flatMap(({ name, configMap, secret, downwardAPI, projected: projection }) => {
    const volume = `volume ${JSON.stringify(name)}`;
    return [
      ...overlaps(pathsOf(configMap?.items), `${volume} (ConfigMap ${quoted(configMap?.name)})`),
      ...overlaps(pathsOf(secret?.items), `${volume} (Secret ${quoted(secret?.secretName)})`),
      ...overlaps(pathsOf(downwardAPI?.items), `${volume} (DownwardAPI)`),
      ...projected(volume, projection?.sources ?? []),
    ];
  });

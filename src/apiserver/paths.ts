/** /, /version and the listing of all paths. */
import type { ApiRequest, ApiResponse, ExtraRoute } from './contract.ts';
import type { Registry } from './registry.ts';
import type { RequestInfo } from './request-info.ts';

export interface VersionInfo {
  readonly major: string;
  readonly minor: string;
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly gitTreeState: string;
  readonly buildDate: string;
  readonly goVersion: string;
  readonly compiler: string;
  readonly platform: string;
}

const json = (value: unknown): ApiResponse => ({
  type: 'bytes',
  status: 200,
  contentType: 'application/json',
  body: `${JSON.stringify(value, null, 2)}\n`,
});

export function createPlainPaths(registry: Registry, version: VersionInfo, routes: readonly ExtraRoute[]) {
  return (request: ApiRequest, info: RequestInfo): ApiResponse | undefined => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
    if (info.segments.length === 0) return json({ paths: pathsOf(registry, routes) });
    return info.segments.length === 1 && info.segments[0] === 'version' ? json(version) : undefined;
  };
}

function pathsOf(registry: Registry, routes: readonly ExtraRoute[]): string[] {
  const paths = [
    '/api',
    '/apis',
    '/healthz',
    '/healthz/ping',
    '/livez',
    '/livez/ping',
    '/metrics',
    '/openapi/v2',
    '/openapi/v3',
    '/readyz',
    '/version',
  ];
  for (const group of registry.groups()) {
    if (group !== '') paths.push(`/apis/${group}`);
    for (const version of registry.versions(group)) {
      const below = group === '' ? `api/${version}` : `apis/${group}/${version}`;
      paths.push(`/${below}`, `/openapi/v3/${below}`);
    }
  }
  for (const route of routes) if (!route.path.endsWith('*')) paths.push(route.path);
  return [...new Set(paths)].sort();
}

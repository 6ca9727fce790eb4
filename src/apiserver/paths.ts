/** /, /version and the listing of all paths. */
import type { ApiRequest, ApiResponse } from './contract.ts';
import type { Catalogue } from './discovery/discovery.ts';
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

export function createPlainPaths(catalogue: Catalogue, version: VersionInfo, further: () => readonly string[]) {
  return (request: ApiRequest, info: RequestInfo): ApiResponse | undefined => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
    if (info.segments.length === 0) return json({ paths: pathsOf(catalogue, further()) });
    return info.segments.length === 1 && info.segments[0] === 'version' ? json(version) : undefined;
  };
}

function pathsOf(catalogue: Catalogue, further: readonly string[]): string[] {
  const paths = ['/api', '/apis', '/metrics', '/openapi/v2', '/openapi/v3', '/version', ...further];
  for (const { name, versions } of catalogue.groups()) {
    if (name !== '') paths.push(`/apis/${name}`);
    for (const { version } of versions) {
      const below = name === '' ? `api/${version}` : `apis/${name}/${version}`;
      paths.push(`/${below}`, `/openapi/v3/${below}`);
    }
  }
  return [...new Set(paths)].sort();
}

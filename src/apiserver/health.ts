/** /livez, /readyz, /healthz: plain texts as k8s.io/apiserver pkg/server/healthz writes them. */
import type { ApiRequest, ApiResponse } from './contract.ts';
import type { RequestInfo } from './request-info.ts';

export interface HealthCheck {
  readonly name: string;
  /** Undefined when healthy, else why not. */
  readonly problem: () => string | undefined;
  /** False: looked at by /readyz only. */
  readonly live: boolean;
}

const ping: HealthCheck = { name: 'ping', problem: () => undefined, live: true };

/** `checks` is asked at every request, so that parts can be added while the server runs. */
export function createHealth(checks: () => readonly HealthCheck[]): (request: ApiRequest, info: RequestInfo) => ApiResponse | undefined {
  return (request, info) => {
    const [root = '', ...rest] = info.segments;
    if (root !== 'livez' && root !== 'readyz' && root !== 'healthz') return undefined;
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
    const all = [ping, ...checks()].filter((c) => root === 'readyz' || c.live);
    if (rest.length > 0) return single(all, rest.join('/'));
    return every(all, root, request.query);
  };
}

const text = (status: number, body: string): ApiResponse => ({
  type: 'bytes',
  status,
  contentType: 'text/plain; charset=utf-8',
  body,
  headers: { 'x-content-type-options': 'nosniff' },
});

function single(checks: readonly HealthCheck[], name: string): ApiResponse | undefined {
  const check = checks.find((c) => c.name === name);
  if (check === undefined) return undefined;
  const problem = check.problem();
  return problem === undefined ? text(200, 'ok') : text(500, `internal server error: ${problem}\n`);
}

function every(checks: readonly HealthCheck[], root: string, query: URLSearchParams): ApiResponse {
  const excluded = new Set(query.getAll('exclude'));
  let lines = '';
  let healthy = true;
  for (const check of checks) {
    const problem = excluded.has(check.name) ? undefined : check.problem();
    if (excluded.delete(check.name)) lines += `[+]${check.name} excluded: ok\n`;
    else if (problem === undefined) lines += `[+]${check.name} ok\n`;
    else {
      healthy = false;
      lines += `[-]${check.name} failed: ${problem}\n`;
    }
  }
  for (const name of excluded) lines += `warn: some health checks cannot be excluded: no matches for ${JSON.stringify(name)}\n`;
  if (!healthy) return text(500, `${lines}${root} check failed\n`);
  return text(200, query.has('verbose') ? `${lines}${root} check passed\n` : 'ok');
}

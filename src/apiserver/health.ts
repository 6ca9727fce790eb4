/** /livez, /readyz, /healthz: plain texts as k8s.io/apiserver pkg/server/healthz writes them. */
import type { Clock } from '#platform/clock.ts';
import type { ApiRequest, ApiResponse } from './contract.ts';
import type { RequestInfo } from './request-info.ts';

/** What is wrong, or undefined. A rejection means that it could not be found out. */
type Problem = string | undefined;

export interface HealthCheck {
  readonly name: string;
  /** Undefined when healthy, else why not. */
  readonly problem: () => Problem | Promise<Problem>;
  /** False: looked at by /readyz only. */
  readonly live: boolean;
}

const ping: HealthCheck = { name: 'ping', problem: () => undefined, live: true };

/** `checks` is asked at every request, so that parts can be added while the server runs. */
export function createHealth(checks: () => readonly HealthCheck[]) {
  return async (request: ApiRequest, info: RequestInfo): Promise<ApiResponse | undefined> => {
    const [root = '', ...rest] = info.segments;
    if (root !== 'livez' && root !== 'readyz' && root !== 'healthz') return undefined;
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
    const all = [ping, ...checks()].filter((c) => root === 'readyz' || c.live);
    if (rest.length > 0) return await single(all, rest.join('/'));
    return await every(all, root, request.query);
  };
}

/** The paths of single checks, for the listing of all paths. */
export const healthPaths = (checks: readonly HealthCheck[]): readonly string[] =>
  ['healthz', 'livez', 'readyz'].flatMap((root) => [
    `/${root}`,
    ...[ping, ...checks].filter((c) => root === 'readyz' || c.live).map((c) => `/${root}/${c.name}`),
  ]);

/** What a check finds; a check that fails to find out is a problem too. */
export async function problemOf(check: Pick<HealthCheck, 'problem'>): Promise<Problem> {
  try {
    return await check.problem();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const text = (status: number, body: string): ApiResponse => ({
  type: 'bytes',
  status,
  contentType: 'text/plain; charset=utf-8',
  body,
  headers: { 'x-content-type-options': 'nosniff' },
});

async function single(checks: readonly HealthCheck[], name: string): Promise<ApiResponse | undefined> {
  const check = checks.find((c) => c.name === name);
  if (check === undefined) return undefined;
  const problem = await problemOf(check);
  return problem === undefined ? text(200, 'ok') : text(500, `internal server error: ${problem}\n`);
}

async function every(checks: readonly HealthCheck[], root: string, query: URLSearchParams): Promise<ApiResponse> {
  const excluded = new Set(query.getAll('exclude'));
  const problems = await Promise.all(checks.map(async (c) => (excluded.has(c.name) ? undefined : await problemOf(c))));
  let lines = '';
  for (const [i, { name }] of checks.entries()) {
    if (excluded.delete(name)) lines += `[+]${name} excluded: ok\n`;
    else if (problems[i] === undefined) lines += `[+]${name} ok\n`;
    // Anyone may ask, so the reason is for the log and for the path of the check itself.
    else lines += `[-]${name} failed: reason withheld\n`;
  }
  const unknown = [...excluded].sort().map((name) => JSON.stringify(name));
  if (unknown.length > 0) lines += `warn: some health checks cannot be excluded: no matches for ${unknown.join(', ')}\n`;
  if (problems.some((p) => p !== undefined)) return text(500, `${lines}${root} check failed\n`);
  return text(200, query.has('verbose') ? `${lines}${root} check passed\n` : 'ok');
}

/** A question that must be answered in time. */
export interface Probe {
  readonly ask: () => Promise<unknown>;
  readonly limitMs: number;
  readonly clock: Clock;
}

/** Asks; gives the error's text where there is one. Rejects when there is no answer in time. */
export async function probe({ ask, limitMs, clock }: Probe): Promise<Problem> {
  const late = Promise.withResolvers<never>();
  const timer = clock.after(limitMs, () => late.reject(new Error(`no answer within ${limitMs / 1000} s`)));
  try {
    return await Promise.race([
      ask().then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      ),
      late.promise,
    ]);
  } finally {
    timer.cancel();
  }
}

/** Work that has to be done once before the server is healthy: upstream's post-start hooks. */
export interface StartHooks {
  readonly done: (name: string) => void;
  /** Does the work of a hook, which is healthy from then on. */
  readonly run: <T>(name: string, work: () => Promise<T>) => Promise<T>;
  readonly checks: readonly HealthCheck[];
}

/** `names` in the order in which they are shown; each appears as poststarthook/NAME. `doneWith`: those that are done when another one is. */
export function createStartHooks(names: readonly string[], doneWith: Readonly<Record<string, readonly string[]>> = {}): StartHooks {
  const done = new Set<string>();
  const finish = (name: string): void => {
    for (const each of [name, ...(doneWith[name] ?? [])]) done.add(each);
  };
  return {
    done: finish,
    run: async (name, work) => {
      const result = await work();
      finish(name);
      return result;
    },
    checks: names.map((name) => ({
      name: `poststarthook/${name}`,
      problem: () => (done.has(name) ? undefined : 'not finished'),
      live: true,
    })),
  };
}

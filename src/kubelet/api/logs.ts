/** The node's side of `kubectl logs`. */
import { badRequest, StatusError } from '#kube/status-error.ts';
import { type LogQuery, readLog } from '../logs/read.ts';
import type { ContainerRecord } from '../pods/runtime.ts';
import type { PodWorker } from '../pods/worker.ts';

const integer = (params: URLSearchParams, name: string): number | undefined => {
  const value = params.get(name);
  if (value === null || value === '') return undefined;
  if (!/^\d+$/.test(value)) throw badRequest(`invalid value "${value}" for ${name}`);
  return Number(value);
};
const flag = (params: URLSearchParams, name: string): boolean => ['true', '1'].includes(params.get(name) ?? '');

/** Reads the parameters of a log request. Throws BadRequest. */
export function parseLogQuery(params: URLSearchParams, nowMs: number): LogQuery & { readonly previous: boolean } {
  const tailLines = integer(params, 'tailLines');
  const limitBytes = integer(params, 'limitBytes');
  const seconds = integer(params, 'sinceSeconds');
  const time = params.get('sinceTime');
  const sinceMs = time === null || time === '' ? (seconds === undefined ? undefined : nowMs - seconds * 1000) : Date.parse(time);
  if (Number.isNaN(sinceMs)) throw badRequest(`invalid value "${time}" for sinceTime`);
  const stream = params.get('stream')?.toLowerCase();
  return {
    follow: flag(params, 'follow'),
    timestamps: flag(params, 'timestamps'),
    previous: flag(params, 'previous'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(stream === 'stdout' || stream === 'stderr' ? { stream } : {}),
  };
}

function waitingReason(worker: PodWorker, container: string): string {
  const status = worker.pod()?.status;
  const all = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ];
  return all.find((s) => s.name === container)?.state?.waiting?.reason ?? 'ContainerCreating';
}

/** The run of the container whose log is asked for. Throws BadRequest with upstream's text when there is none. */
function chooseRun(worker: PodWorker, container: string, previous: boolean): ContainerRecord {
  const pod = worker.identity.name;
  const runs = (worker.runtime()?.containers ?? []).filter((c) => c.name === container && c.state !== 'created');
  const current = runs[0];
  if (previous) {
    // While a container waits for its restart, the run that ended last is the previous one of what will come.
    const waiting =
      current !== undefined &&
      current.state !== 'running' &&
      worker.pod()?.status?.containerStatuses?.find((s) => s.name === container)?.state?.waiting !== undefined;
    const run = waiting ? current : runs[1];
    if (run === undefined) throw badRequest(`previous terminated container "${container}" in pod "${pod}" not found`);
    return run;
  }
  if (current === undefined)
    throw badRequest(`container "${container}" in pod "${pod}" is waiting to start: ${waitingReason(worker, container)}`);
  return current;
}

/** The bytes to send. Throws StatusError before the first of them. */
export function containerLog(
  worker: PodWorker,
  container: string,
  params: URLSearchParams,
  nowMs: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { previous, ...query } = parseLogQuery(params, nowMs);
  const run = chooseRun(worker, container, previous);
  const ended = (): boolean => worker.runtime()?.containers.find((c) => c.id === run.id)?.state !== 'running';
  return translate(readLog(run.logPath, query, { ended, onChange: worker.onRefresh }, signal), run.logPath);
}

async function* translate(source: AsyncGenerator<Buffer>, path: string): AsyncGenerator<Buffer> {
  try {
    yield* source;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new StatusError('NotFound', `failed to try resolving symlinks in path "${path}": lstat ${path}: no such file or directory`);
    throw error;
  }
}

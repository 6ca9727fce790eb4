/** pods/log: pkg/registry/core/pod/rest/log.go. */
import { pods } from '#kube/refs.ts';
import { type FieldError, invalid } from '#kube/status-error.ts';
import type { ApiResponse, SubresourceDef, SubresourceRequest } from '../contract.ts';
import type { Tunnel } from '../tunnel.ts';
import { expectSuccess } from './node-error.ts';
import { containerOf, flag, podTarget } from './pod-target.ts';

const whole = /^-?\d{1,18}$/;

interface Bound {
  readonly least: number;
  readonly message: string;
}

const bounds: Readonly<Record<string, Bound>> = {
  tailLines: { least: 0, message: 'must be greater than or equal to 0' },
  limitBytes: { least: 1, message: 'must be greater than 0' },
  sinceSeconds: { least: 1, message: 'must be greater than 0' },
};

/** The options as the node's API takes them. Throws StatusError Invalid with every problem. */
export function logQuery(query: URLSearchParams): URLSearchParams {
  const errors: FieldError[] = [];
  const wrong = (field: string, value: string, why: string) =>
    errors.push({
      field,
      type: 'FieldValueInvalid',
      message: `Invalid value: ${whole.test(value) ? value : JSON.stringify(value)}: ${why}`,
    });
  const given = new URLSearchParams();
  for (const [name, { least, message }] of Object.entries(bounds)) {
    const value = query.get(name);
    if (value === null || value === '') continue;
    if (!whole.test(value)) wrong(name, value, 'must be an integer');
    else if (Number(value) < least) wrong(name, value, message);
    else given.set(name, value);
  }
  const since = query.get('sinceTime') ?? '';
  if (since !== '') {
    if (query.has('sinceSeconds'))
      errors.push({
        field: '',
        type: 'FieldValueForbidden',
        message: 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
      });
    else if (Number.isNaN(Date.parse(since))) wrong('sinceTime', since, 'must be a time in RFC 3339');
    else given.set('sinceTime', since);
  }
  const stream = query.get('stream') ?? '';
  if (stream !== '') {
    if (!['All', 'Stdout', 'Stderr'].includes(stream))
      errors.push({
        field: 'stream',
        type: 'FieldValueNotSupported',
        message: `Unsupported value: ${JSON.stringify(stream)}: supported values: "All", "Stderr", "Stdout"`,
      });
    else if (stream !== 'All' && given.has('tailLines'))
      errors.push({
        field: '',
        type: 'FieldValueForbidden',
        message: 'Forbidden: `tailLines` and specific `stream` are mutually exclusive for now',
      });
    else given.set('stream', stream);
  }
  for (const name of ['follow', 'previous', 'timestamps']) if (flag(query, name)) given.set(name, 'true');
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, '', errors);
  return given;
}

async function log(request: SubresourceRequest, tunnel: Tunnel): Promise<ApiResponse> {
  const { query, signal } = request.request;
  const options = logQuery(query);
  const { pod, node } = podTarget(request);
  const container = containerOf(pod, query.get('container') ?? '');
  const connection = await tunnel.dialNode(node, signal);
  const path = `/containerLogs/${request.namespace}/${request.name}/${container}?${options.toString()}`;
  const answer = await connection.request({ ':method': 'GET', ':path': path }, { endStream: true, signal });
  const { stream } = await expectSuccess(answer);
  return { type: 'stream', status: 200, contentType: 'text/plain', stream };
}

export const podLog = (tunnel: Tunnel): SubresourceDef => ({
  resource: pods,
  name: 'log',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  verbs: ['get'],
  handle: (request) => log(request, tunnel),
});

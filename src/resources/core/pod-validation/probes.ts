/** Probes and lifecycle hooks. */
import type { HTTPGetAction, Lifecycle, LifecycleHandler, Probe } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { nonNegative, portNumber, portNumberOrName } from '#kube/validation/values.ts';

const headerName = /^[-A-Za-z0-9]+$/;

function httpGet(field: string, get: HTTPGetAction): FieldError[] {
  const errors: FieldError[] = [];
  if ((get.path ?? '') === '') errors.push(fieldRequired(`${field}.path`));
  errors.push(...portNumberOrName(`${field}.port`, get.port));
  const scheme = get.scheme ?? '';
  if (scheme !== 'HTTP' && scheme !== 'HTTPS') errors.push(fieldNotSupported(`${field}.scheme`, scheme, ['HTTP', 'HTTPS']));
  for (const header of get.httpHeaders ?? []) {
    const problem =
      "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
    if (!headerName.test(header.name)) errors.push(...fieldProblems(`${field}.httpHeaders`, header.name, [problem]));
  }
  return errors;
}

type Action = LifecycleHandler & { readonly grpc?: Probe['grpc'] };
type Checks = {
  readonly [K in keyof Action]-?: (field: string, action: NonNullable<Action[K]>, grace: number | undefined) => FieldError[];
};

/** In upstream's order: where there are several actions, the first one counts. */
const checks: Checks = {
  exec: (field, { command = [] }) => (command.length === 0 ? [fieldRequired(`${field}.command`)] : []),
  httpGet,
  tcpSocket: (field, { port }) => portNumberOrName(`${field}.port`, port),
  grpc: (field, { port }) => portNumber(`${field}.port`, port),
  sleep: (field, { seconds }, grace) =>
    grace === undefined || (seconds >= 0 && seconds <= grace)
      ? []
      : [fieldInvalid(field, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${grace})`)],
};
const kinds = Object.keys(checks) as (keyof Checks)[];

function handler(field: string, action: Action, grace: number | undefined): FieldError[] {
  const [first, ...more] = kinds.filter((kind) => action[kind] !== undefined);
  if (first === undefined) return [fieldRequired(field, 'must specify a handler type')];
  const check = checks[first] as (f: string, a: unknown, g: number | undefined) => FieldError[];
  return [
    ...check(`${field}.${first}`, action[first], grace),
    ...more.map((kind) => fieldForbidden(`${field}.${kind}`, 'may not specify more than 1 handler type')),
  ];
}

function probe(field: string, value: Probe): FieldError[] {
  return [
    ...handler(field, value, undefined),
    ...nonNegative(`${field}.initialDelaySeconds`, value.initialDelaySeconds),
    ...nonNegative(`${field}.timeoutSeconds`, value.timeoutSeconds),
    ...nonNegative(`${field}.periodSeconds`, value.periodSeconds),
    ...nonNegative(`${field}.successThreshold`, value.successThreshold),
    ...nonNegative(`${field}.failureThreshold`, value.failureThreshold),
    ...(value.terminationGracePeriodSeconds !== undefined && value.terminationGracePeriodSeconds <= 0
      ? [fieldInvalid(`${field}.terminationGracePeriodSeconds`, value.terminationGracePeriodSeconds, 'must be greater than 0')]
      : []),
  ];
}

/** A liveness or startup probe succeeds at once or not. */
function onceSuccessful(field: string, value: Probe | undefined): FieldError[] {
  if (value === undefined) return [];
  const errors = probe(field, value);
  if (value.successThreshold !== 1) errors.push(fieldInvalid(`${field}.successThreshold`, value.successThreshold ?? 0, 'must be 1'));
  return errors;
}

interface Probed {
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly startupProbe?: Probe;
  readonly lifecycle?: Lifecycle;
}

/** All probes and hooks of a container. */
export function containerProbes(field: string, container: Probed, graceSeconds: number | undefined): FieldError[] {
  const { lifecycle, readinessProbe } = container;
  const errors: FieldError[] = [];
  for (const hook of ['postStart', 'preStop'] as const) {
    const action = lifecycle?.[hook];
    if (action !== undefined) errors.push(...handler(`${field}.lifecycle.${hook}`, action, graceSeconds));
  }
  errors.push(...onceSuccessful(`${field}.livenessProbe`, container.livenessProbe));
  if (readinessProbe !== undefined) {
    errors.push(...probe(`${field}.readinessProbe`, readinessProbe));
    if (readinessProbe.terminationGracePeriodSeconds !== undefined) {
      const value = readinessProbe.terminationGracePeriodSeconds;
      errors.push(fieldInvalid(`${field}.readinessProbe.terminationGracePeriodSeconds`, value, 'must not be set for readinessProbes'));
    }
  }
  errors.push(...onceSuccessful(`${field}.startupProbe`, container.startupProbe));
  return errors;
}

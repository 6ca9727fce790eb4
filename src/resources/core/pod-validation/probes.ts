/** Probes and lifecycle hooks. */
import type { HTTPGetAction, Lifecycle, LifecycleHandler, Probe } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldForbidden, fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { nonNegative, oneOf, portNumber, portNumberOrName } from '#kube/validation/values.ts';

const headerName = /^[-A-Za-z0-9]+$/;

function httpGet(field: string, get: HTTPGetAction): FieldError[] {
  const errors: FieldError[] = [];
  if ((get.path ?? '') === '') errors.push(fieldRequired(`${field}.path`));
  errors.push(...portNumberOrName(`${field}.port`, get.port), ...oneOf(`${field}.scheme`, get.scheme, ['HTTP', 'HTTPS']));
  for (const header of get.httpHeaders ?? []) {
    const problem =
      "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
    if (!headerName.test(header.name)) errors.push(...fieldProblems(`${field}.httpHeaders`, header.name, [problem]));
  }
  return errors;
}

function handler(field: string, action: LifecycleHandler & { readonly grpc?: Probe['grpc'] }): FieldError[] {
  const errors: FieldError[] = [];
  const kinds = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter((kind) => action[kind] !== undefined);
  for (const kind of kinds.slice(1)) errors.push(fieldForbidden(`${field}.${kind}`, 'may not specify more than 1 handler type'));
  if (kinds.length === 0) errors.push(fieldRequired(field, 'must specify a handler type'));
  switch (kinds[0]) {
    case 'exec':
      if ((action.exec?.command ?? []).length === 0) errors.push(fieldRequired(`${field}.exec.command`));
      break;
    case 'httpGet':
      if (action.httpGet !== undefined) errors.push(...httpGet(`${field}.httpGet`, action.httpGet));
      break;
    case 'tcpSocket':
      if (action.tcpSocket !== undefined) errors.push(...portNumberOrName(`${field}.tcpSocket.port`, action.tcpSocket.port));
      break;
    case 'grpc':
      if (action.grpc !== undefined) errors.push(...portNumber(`${field}.grpc.port`, action.grpc.port));
      break;
    case 'sleep':
    case undefined:
      break;
  }
  return errors;
}

function probe(field: string, value: Probe): FieldError[] {
  return [
    ...handler(field, value),
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

function sleepTooLong(field: string, action: LifecycleHandler | undefined, graceSeconds: number): FieldError[] {
  const seconds = action?.sleep?.seconds;
  if (seconds === undefined || (seconds >= 0 && seconds <= graceSeconds)) return [];
  return [fieldInvalid(`${field}.sleep`, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`)];
}

/** All probes and hooks of a container. */
export function containerProbes(field: string, container: Probed, graceSeconds: number): FieldError[] {
  const { lifecycle, readinessProbe } = container;
  const errors: FieldError[] = [];
  for (const hook of ['postStart', 'preStop'] as const) {
    const action = lifecycle?.[hook];
    if (action === undefined) continue;
    errors.push(...handler(`${field}.lifecycle.${hook}`, action), ...sleepTooLong(`${field}.lifecycle.${hook}`, action, graceSeconds));
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

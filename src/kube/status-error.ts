/**
 * The one error type for what is expected to go wrong: it carries the Kubernetes Status that a client sees.
 * Reasons, codes and messages follow k8s.io/apimachinery pkg/api/errors.
 */
import type { Status, StatusCause, StatusDetails } from './generated/meta-v1.ts';

export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Expired'
  | 'Invalid'
  | 'Timeout'
  | 'ServerTimeout'
  | 'StoreReadError'
  | 'TooManyRequests'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'ServiceUnavailable'
  | 'InternalError'
  | 'Unknown';

/** HTTP status code of each reason. */
export const statusCodes: Readonly<Record<StatusReason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  StoreReadError: 500,
  Unknown: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
  ServerTimeout: 500,
};

export interface StatusErrorOptions {
  readonly details?: StatusDetails;
  readonly code?: number;
  readonly cause?: unknown;
}

/** Dispatch on `reason`, not on instanceof. */
export class StatusError extends Error {
  readonly reason: StatusReason;
  readonly code: number;
  readonly details: StatusDetails | undefined;

  constructor(reason: StatusReason, message: string, options: StatusErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'StatusError';
    this.reason = reason;
    this.code = options.code ?? statusCodes[reason];
    this.details = options.details;
  }
}

/** True for a StatusError with one of the given reasons (any reason where none is given). */
export function isStatus(error: unknown, ...reasons: readonly StatusReason[]): error is StatusError {
  return error instanceof StatusError && (reasons.length === 0 || reasons.includes(error.reason));
}

/** The Status object that a client gets for an error. */
export function toStatus(error: StatusError): Status & { readonly apiVersion: string; readonly kind: string } {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    ...(error.reason === 'Unknown' ? {} : { reason: error.reason }),
    ...(error.details === undefined ? {} : { details: error.details }),
    code: error.code,
  };
}

/** What names a resource in a message: "deployments.apps", "pods". */
export interface GroupResourceName {
  readonly group: string;
  readonly plural: string;
}

export const groupResource = (r: GroupResourceName): string => (r.group === '' ? r.plural : `${r.plural}.${r.group}`);

const detailsOf = (r: GroupResourceName, name: string): StatusDetails => ({
  ...(name === '' ? {} : { name }),
  ...(r.group === '' ? {} : { group: r.group }),
  kind: r.plural,
});

export const notFound = (r: GroupResourceName, name: string): StatusError =>
  new StatusError('NotFound', `${groupResource(r)} "${name}" not found`, { details: detailsOf(r, name) });

export const alreadyExists = (r: GroupResourceName, name: string): StatusError =>
  new StatusError('AlreadyExists', `${groupResource(r)} "${name}" already exists`, { details: detailsOf(r, name) });

/** The text for a name that was made from generateName, or given beside it. */
export const generatedNameTaken = (r: GroupResourceName, name: string): StatusError =>
  new StatusError(
    'AlreadyExists',
    `${groupResource(r)} "${name}" already exists, the server was not able to generate a unique name for the object`,
    {
      details: { ...detailsOf(r, name), retryAfterSeconds: 1 },
    },
  );

export const conflict = (r: GroupResourceName, name: string, why: string): StatusError =>
  new StatusError('Conflict', `Operation cannot be fulfilled on ${groupResource(r)} "${name}": ${why}`, {
    details: detailsOf(r, name),
  });

/** Upstream's text for a failed optimistic lock. */
export const modifiedMessage = 'the object has been modified; please apply your changes to the latest version and try again';

export const forbidden = (r: GroupResourceName, name: string, why: string): StatusError =>
  new StatusError('Forbidden', `${groupResource(r)}${name === '' ? '' : ` "${name}"`} is forbidden: ${why}`, {
    details: detailsOf(r, name),
  });

export const badRequest = (message: string): StatusError => new StatusError('BadRequest', message);

/** One problem of one field: k8s.io/apimachinery pkg/util/validation/field.Error. */
export interface FieldError {
  /** Path such as spec.containers[0].name. */
  readonly field: string;
  readonly type:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueDuplicate'
    | 'FieldValueForbidden'
    | 'FieldValueNotFound'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueTypeInvalid'
    | 'InternalError';
  /** Upstream's text without the field, e.g. `Required value: must be set`. */
  readonly message: string;
}

/** 422 with upstream's message: `Pod "x" is invalid: spec.containers: Required value`. */
export function invalid(kind: { readonly group: string; readonly kind: string }, name: string, errors: readonly FieldError[]): StatusError {
  const lines = errors.map((e) => `${e.field}: ${e.message}`);
  const text = lines.length === 1 ? lines[0] : `[${[...new Set(lines)].join(', ')}]`;
  const causes: StatusCause[] = errors.map((e) => ({ reason: e.type, message: e.message, field: e.field }));
  const full = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  return new StatusError('Invalid', `${full} "${name}" is invalid: ${text}`, {
    details: {
      ...(name === '' ? {} : { name }),
      ...(kind.group === '' ? {} : { group: kind.group }),
      ...(kind.kind === '' ? {} : { kind: kind.kind }),
      causes,
    },
  });
}

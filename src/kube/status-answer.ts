/** From what a server answered to the StatusError that callers see. */
import type { StatusDetails } from './generated/meta-v1.ts';
import { StatusError, type StatusReason, statusCodes } from './status-error.ts';

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

const isReason = (value: unknown): value is StatusReason => typeof value === 'string' && Object.hasOwn(statusCodes, value);

/** What a bare HTTP code means: k8s.io/apimachinery NewGenericServerResponse. */
function reasonOfCode(code: number): StatusReason {
  switch (code) {
    case 400:
      return 'BadRequest';
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 405:
      return 'MethodNotAllowed';
    case 406:
      return 'NotAcceptable';
    case 409:
      return 'Conflict';
    case 410:
      return 'Gone';
    case 413:
      return 'RequestEntityTooLarge';
    case 415:
      return 'UnsupportedMediaType';
    case 422:
      return 'Invalid';
    case 429:
      return 'TooManyRequests';
    case 503:
      return 'ServiceUnavailable';
    case 504:
      return 'Timeout';
    default:
      return code >= 500 ? 'InternalError' : 'Unknown';
  }
}

/** The error for a failed request: from the Status object in the body where there is one, else from the HTTP code. */
export function statusErrorFrom(body: unknown, httpCode = 500): StatusError {
  if (isRecord(body) && body['kind'] === 'Status') {
    const code = typeof body['code'] === 'number' ? body['code'] : httpCode;
    const reason = isReason(body['reason']) ? body['reason'] : reasonOfCode(code);
    const message = typeof body['message'] === 'string' ? body['message'] : reason;
    const details = isRecord(body['details']) ? (body['details'] as StatusDetails) : undefined;
    return new StatusError(reason, message, { code, ...(details === undefined ? {} : { details }) });
  }
  const text = typeof body === 'string' ? body.trim().slice(0, 500) : '';
  return new StatusError(reasonOfCode(httpCode), text === '' ? `the server answered with status ${httpCode}` : text, { code: httpCode });
}

/** The server cannot be reached or broke off: worth a retry. */
export const unreachable = (message: string, cause?: unknown): StatusError => new StatusError('ServiceUnavailable', message, { cause });

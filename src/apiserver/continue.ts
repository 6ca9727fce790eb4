/** Continue tokens: opaque to clients, upstream's form (k8s.io/apiserver pkg/storage/continue.go). */
import { badRequest, StatusError } from '#kube/status-error.ts';

export interface ContinueToken {
  /** The revision that the list shows; -1: whatever is current (the inconsistent continuation of an expired list). */
  readonly revision: number;
  /** The last key handed out, relative to the prefix of the list. */
  readonly after: string;
}

export function encodeContinue(token: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start: `${token.after}\u0000` })).toString('base64url');
}

/** Throws StatusError BadRequest. */
export function decodeContinue(text: string): ContinueToken {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    throw badRequest('continue key is not valid: encoding of the token is not understood');
  }
  const { v, rv, start } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (v !== 'meta.k8s.io/v1') throw badRequest('continue key is not valid: server does not recognize this encoded version "" of the token');
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv === 0 || rv < -1)
    throw badRequest('continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (typeof start !== 'string' || start === '')
    throw badRequest('continue key is not valid: encoded start key empty (version meta.k8s.io/v1)');
  if (start.split('/').some((s) => s === '..' || s === '.')) throw badRequest(`continue key is not valid: ${JSON.stringify(start)}`);
  return { revision: rv, after: start.endsWith('\u0000') ? start.slice(0, -1) : start };
}

/** 410 whose metadata carries a token that goes on inconsistently: storage/etcd3 handleCompactedErrorForPaging. */
export class ExpiredListError extends StatusError {
  readonly continueToken: string;

  constructor(after: string) {
    super(
      'Expired',
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
        'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
        'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted ' +
        'between the time the first chunk was returned and now may show up in the list.',
    );
    this.continueToken = encodeContinue({ revision: -1, after });
  }
}

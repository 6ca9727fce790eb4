/** The options of requests as query parameters: k8s.io/apimachinery meta/v1 ListOptions, CreateOptions and so on. */
import { badRequest, type FieldError, invalid, StatusError } from '#kube/status-error.ts';
import { type ContinueToken, decodeContinue } from './continue.ts';

export interface ListParameters {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly limit: number;
  readonly continueToken: ContinueToken | undefined;
  /** Absent: not given. */
  readonly resourceVersion: number | undefined;
  readonly match: 'NotOlderThan' | 'Exact' | undefined;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutSeconds: number | undefined;
}

const metaKind = (kind: string): { group: string; kind: string } => ({ group: 'meta.k8s.io', kind });

/** Throws StatusError BadRequest for a value that is no boolean. Upstream takes any non-empty text but false and 0 as true. */
function booleanOf(query: URLSearchParams, name: string): boolean | undefined {
  const value = query.get(name);
  if (value === null) return undefined;
  return value !== 'false' && value !== '0';
}

function integerOf(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === '') return undefined;
  if (!/^[+-]?\d{1,19}$/.test(value)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  return Number(value);
}

/** Throws StatusError BadRequest where the text is no revision. '' is undefined. */
export function parseResourceVersion(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined || text === '') return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw badRequest(`Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  return value;
}

/** Reads and checks the parameters of a list, watch or deletecollection. Throws StatusError BadRequest or Invalid. */
export function parseListParameters(query: URLSearchParams, watch: boolean): ListParameters {
  const limit = integerOf(query, 'limit') ?? 0;
  const rawContinue = query.get('continue') ?? '';
  const rawVersion = query.get('resourceVersion');
  const match = query.get('resourceVersionMatch') ?? '';
  const sendInitialEvents = booleanOf(query, 'sendInitialEvents');
  const errors = watch
    ? watchErrors(match, rawContinue, sendInitialEvents)
    : listErrors(match, rawVersion ?? '', rawContinue, sendInitialEvents);
  if (errors.length > 0) throw invalid(metaKind('ListOptions'), '', errors);
  const resourceVersion = parseResourceVersion(rawVersion);
  if (!watch && rawContinue !== '' && resourceVersion !== undefined && resourceVersion !== 0)
    throw badRequest('specifying resource version is not allowed when using continue');
  return {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: Math.max(0, limit),
    continueToken: watch || rawContinue === '' ? undefined : decodeContinue(rawContinue),
    resourceVersion,
    match: match === '' ? undefined : (match as 'NotOlderThan' | 'Exact'),
    allowWatchBookmarks: booleanOf(query, 'allowWatchBookmarks') === true,
    sendInitialEvents,
    timeoutSeconds: integerOf(query, 'timeoutSeconds'),
  };
}

const forbid = (field: string, why: string): FieldError => ({ field, type: 'FieldValueForbidden', message: `Forbidden: ${why}` });
const unsupported = (field: string, value: string, supported: readonly string[]): FieldError => ({
  field,
  type: 'FieldValueNotSupported',
  message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.map((s) => JSON.stringify(s)).join(', ')}`,
});

function listErrors(match: string, version: string, token: string, sendInitialEvents: boolean | undefined): FieldError[] {
  const field = 'resourceVersionMatch';
  const errors: FieldError[] = [];
  if (match !== '') {
    if (version === '') errors.push(forbid(field, 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
    if (token !== '') errors.push(forbid(field, 'resourceVersionMatch is forbidden when continue is provided'));
    if (match !== 'Exact' && match !== 'NotOlderThan') errors.push(unsupported(field, match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && version === '0')
      errors.push(forbid(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  if (sendInitialEvents !== undefined) errors.push(forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  return errors;
}

/** ValidateListOptions of a watch: apimachinery meta/internalversion/validation. */
function watchErrors(match: string, token: string, sendInitialEvents: boolean | undefined): FieldError[] {
  const field = 'resourceVersionMatch';
  const errors: FieldError[] = [];
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan')
    errors.push(forbid(field, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  if (match === '') return errors;
  if (sendInitialEvents === undefined)
    errors.push(forbid(field, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
  if (match !== 'NotOlderThan') errors.push(unsupported(field, match, ['NotOlderThan']));
  if (token !== '') errors.push(forbid(field, 'resourceVersionMatch is forbidden when continue is provided'));
  return errors;
}

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface WriteParameters {
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  /** Server-side apply only. */
  readonly force: boolean | undefined;
}

function dryRunErrors(values: readonly string[]): FieldError[] {
  const bad = values.filter((v) => v !== 'All');
  if (bad.length === 0) return [];
  return [unsupported('dryRun', JSON.stringify(values) === '[]' ? '' : bad.join(','), ['All'])];
}

/** Reads and checks the parameters of a write. Throws StatusError Invalid. */
export function parseWriteParameters(query: URLSearchParams, kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions'): WriteParameters {
  const dryRun = query.getAll('dryRun');
  const fieldManager = query.get('fieldManager') ?? '';
  const validation = query.get('fieldValidation') ?? '';
  const errors = dryRunErrors(dryRun);
  if (fieldManager.length > 128)
    errors.push({ field: 'fieldManager', type: 'FieldValueTooLong', message: 'Too long: may not be more than 128 bytes' });
  for (const [i, c] of Array.from(fieldManager).entries())
    if (!isPrintable(c)) {
      errors.push({
        field: 'fieldManager',
        type: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(fieldManager)}: invalid character ${JSON.stringify(c)} (at position ${i})`,
      });
      break;
    }
  if (validation !== '' && validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore')
    errors.push(unsupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  if (errors.length > 0) throw invalid(metaKind(kind), '', errors);
  return {
    dryRun: dryRun.length > 0,
    fieldManager,
    fieldValidation: validation === '' ? 'Warn' : (validation as FieldValidation),
    force: booleanOf(query, 'force'),
  };
}

const isPrintable = (c: string): boolean => /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(c);

export interface DeleteParameters {
  readonly gracePeriodSeconds: number | undefined;
  readonly propagation: 'Foreground' | 'Background' | 'Orphan' | undefined;
  readonly preconditions: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun: boolean;
  /** True when the client asked for cascading with the old orphanDependents=false: such an answer is 202. */
  readonly orphanDependentsFalse: boolean;
}

const propagations = ['Foreground', 'Background', 'Orphan'];

/** Checks DeleteOptions, from a body where there is one, else from the query. Throws StatusError BadRequest or Invalid. */
export function parseDeleteParameters(query: URLSearchParams, body: unknown): DeleteParameters {
  const source = body === undefined ? deleteOptionsOfQuery(query) : body;
  if (typeof source !== 'object' || source === null || Array.isArray(source))
    throw badRequest('decoded object cannot be converted to DeleteOptions');
  const options = source as Record<string, unknown>;
  if (options['kind'] !== undefined && options['kind'] !== '' && options['kind'] !== 'DeleteOptions')
    throw badRequest('decoded object cannot be converted to DeleteOptions');
  const grace = expectType(options, 'gracePeriodSeconds', 'number') as number | undefined;
  const orphan = expectType(options, 'orphanDependents', 'boolean') as boolean | undefined;
  const propagation = expectType(options, 'propagationPolicy', 'string') as string | undefined;
  const pre = (expectType(options, 'preconditions', 'object') ?? {}) as Record<string, unknown>;
  const uid = expectType(pre, 'uid', 'string') as string | undefined;
  const resourceVersion = expectType(pre, 'resourceVersion', 'string') as string | undefined;
  const dry = options['dryRun'] ?? [];
  if (!Array.isArray(dry)) throw badRequest('DeleteOptions: dryRun must be a list');
  const errors = dryRunErrors(dry.map(String));
  if (orphan !== undefined && propagation !== undefined)
    errors.push({
      field: 'propagationPolicy',
      type: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(propagation)}: orphanDependents and deletionPropagation cannot be both set`,
    });
  if (propagation !== undefined && !propagations.includes(propagation))
    errors.push(unsupported('propagationPolicy', propagation, [...propagations, 'nil']));
  if (errors.length > 0) throw invalid(metaKind('DeleteOptions'), '', errors);
  if (grace !== undefined && !Number.isSafeInteger(grace)) throw badRequest('DeleteOptions: gracePeriodSeconds must be an integer');
  return {
    gracePeriodSeconds: grace,
    propagation: (propagation as DeleteParameters['propagation']) ?? (orphan === undefined ? undefined : orphan ? 'Orphan' : 'Background'),
    preconditions: { ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    dryRun: dry.length > 0,
    orphanDependentsFalse: orphan === false,
  };
}

function expectType(object: Record<string, unknown>, name: string, type: 'string' | 'number' | 'boolean' | 'object'): unknown {
  const value = object[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type)
    throw badRequest(`DeleteOptions in version "v1" cannot be handled as a DeleteOptions: ${name} must be of type ${type}`);
  return value;
}

function deleteOptionsOfQuery(query: URLSearchParams): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  const grace = integerOf(query, 'gracePeriodSeconds');
  if (grace !== undefined) options['gracePeriodSeconds'] = grace;
  const orphan = booleanOf(query, 'orphanDependents');
  if (orphan !== undefined) options['orphanDependents'] = orphan;
  const propagation = query.get('propagationPolicy');
  if (propagation !== null && propagation !== '') options['propagationPolicy'] = propagation;
  const dryRun = query.getAll('dryRun');
  if (dryRun.length > 0) options['dryRun'] = dryRun;
  return options;
}

/** 504 with upstream's cause for a resourceVersion that the server has not reached: storage.NewTooLargeResourceVersionError. */
export function tooLargeResourceVersion(wanted: number, current: number): StatusError {
  return new StatusError('Timeout', `Too large resource version: ${wanted}, current: ${current}`, {
    details: { retryAfterSeconds: 1, causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }] },
  });
}

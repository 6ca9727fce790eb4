/**
 * Requests' objects: from what a client sent to a Draft of a kind. This is the one place where `unknown` becomes an
 * object: types are checked with the words of Go's decoder, unknown fields dropped and, where asked for, reported.
 */
import { compile, type DecodeContext } from './decode-node.ts';
import { describeType, GoTypeError } from './go-values.ts';
import type { Draft, KindDef } from './kind.ts';
import { BodySyntaxError, bodyFormat, type ParsedBody, parseBody, strictErrors } from './parse-body.ts';
import { apiVersionOf } from './refs.ts';
import type { Schema } from './schema.ts';
import { badRequest, StatusError } from './status-error.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Decoded {
  readonly object: Draft;
  /** Texts for Warning headers: `unknown field "spec.foo"`. */
  readonly warnings: readonly string[];
}

/** What decoding needs to know of a kind. */
export type DecodableKind = Pick<KindDef, 'ref' | 'schema' | 'custom'>;

const unsupported =
  'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf';

/**
 * A request body (JSON or YAML, by its content type) as an object of `kind`. apiVersion and kind may be missing. Throws
 * `ahead`: what the body came to where it has been read already. StatusError: BadRequest with upstream's text for what cannot be read, for another kind, and with 'Strict' for unknown
 * and duplicate fields; UnsupportedMediaType for other content types.
 */
export function decodeBody(
  kind: DecodableKind,
  bytes: Uint8Array,
  contentType: string,
  fieldValidation: FieldValidation,
  ahead?: ParsedBody | BodySyntaxError,
): Decoded {
  const format = bodyFormat(contentType);
  if (format === undefined) throw new StatusError('UnsupportedMediaType', unsupported);
  try {
    if (ahead instanceof BodySyntaxError) throw ahead;
    const { value, duplicates, position } = ahead ?? parseBody(bytes, format, fieldValidation !== 'Ignore', kind.custom !== true);
    // Go's decoder tells of both as it comes to them. Custom resources are pruned only after they were read.
    return decodeObject(kind, value, fieldValidation, duplicates, kind.custom === true ? undefined : position);
  } catch (error) {
    if (!(error instanceof BodySyntaxError)) throw error;
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind.ref.kind}): couldn't get version/kind; json parse error: ${error.message} (${summarize(bytes)})`,
    );
  }
}

/** The beginning of a body: text where it looks like JSON, else hexadecimal. */
function summarize(bytes: Uint8Array): string {
  const limit = 30;
  const head = Buffer.from(bytes.subarray(0, limit));
  const text = bytes[0] === 123 ? head.toString('utf8') : head.toString('hex');
  if (bytes.length === 0) return '<empty>';
  return bytes.length > limit ? `${text} ...` : text;
}

/**
 * A parsed value (from a body, a patch or another part of this process) as an object of `kind`; the value is not changed
 * and shares nothing with the result. `duplicates`: what parseBody found; `position`: by which unknown fields are put among them.
 * Throws StatusError as decodeBody.
 */
export function decodeObject(
  kind: DecodableKind,
  value: unknown,
  fieldValidation: FieldValidation = 'Ignore',
  duplicates: readonly string[] = [],
  position?: (problem: string) => number,
): Decoded {
  const { ref, schema } = kind;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${ref.kind}): couldn't get version/kind; json parse error: json: cannot unmarshal ${describeType(value)} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  }
  const named = checkTypeMeta(ref, value as Record<string, unknown>);
  const problems: string[] | undefined = fieldValidation === 'Ignore' ? undefined : [];
  const prefix = `${named} in version "${ref.version}" cannot be handled as a ${ref.kind}: `;
  const body = decodeValue(schema, value, problems, prefix) as Record<string, unknown>;
  if (fieldValidation === 'Strict' && problems !== undefined && problems.length + duplicates.length > 0) {
    throw badRequest(`${prefix}strict decoding error: ${inOrder(strictErrors(duplicates), problems, position).join(', ')}`);
  }
  const { kind: _kind, apiVersion: _apiVersion, metadata = {}, ...rest } = body;
  const object = { kind: ref.kind, apiVersion: apiVersionOf(ref), metadata, ...rest } as unknown as Draft;
  return { object, warnings: problems === undefined ? [] : inOrder(duplicates, problems, position) };
}

function inOrder(duplicates: readonly string[], problems: readonly string[], position?: (problem: string) => number): readonly string[] {
  const all = [...duplicates, ...problems];
  return position === undefined ? all : all.sort((a, b) => position(a) - position(b));
}

/** The kind the value names, or the expected one. Throws BadRequest when it names another. */
function checkTypeMeta(ref: DecodableKind['ref'], value: Record<string, unknown>): string {
  const apiVersion = textField(ref, value, 'apiVersion');
  const kind = textField(ref, value, 'kind') || ref.kind;
  const expected = apiVersionOf(ref);
  if (apiVersion !== '' && apiVersion !== expected) {
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${expected})`);
  }
  if (kind !== ref.kind) {
    throw badRequest(
      `${kind} in version "${ref.version}" cannot be handled as a ${ref.kind}: the kind in the data (${kind}) does not match the expected kind (${ref.kind})`,
    );
  }
  return kind;
}

function textField(ref: DecodableKind['ref'], value: Record<string, unknown>, field: string): string {
  const text = value[field] ?? '';
  if (typeof text === 'string') return text;
  throw badRequest(
    `the object provided is unrecognized (must be of type ${ref.kind}): couldn't get version/kind; json parse error: json: cannot unmarshal ${describeType(text)} into Go struct field .${field} of type string`,
  );
}

/**
 * A value decoded by any schema, for what is no kind: patches' results of subresources, options, metadata. `unknown`
 * collects unknown fields. Throws BadRequest.
 */
export function decodeValue(schema: Schema, value: unknown, unknown?: string[], prefix = ''): unknown {
  return run(schema, value, { path: [], mapKeys: [], unknown, struct: '' }, prefix);
}

/** A custom resource without what its schema does not know; no defaults are filled in. Throws BadRequest. */
export function pruneValue(schema: Schema, value: unknown): unknown {
  return run(schema, value, { path: [], mapKeys: [], unknown: undefined, struct: '', pruneOnly: true }, '');
}

function run(schema: Schema, value: unknown, context: DecodeContext, prefix: string): unknown {
  try {
    return compile(schema).decode(value, context);
  } catch (error) {
    if (error instanceof GoTypeError) throw badRequest(prefix + error.message);
    throw error;
  }
}

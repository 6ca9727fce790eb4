/** Bodies of requests as drafts of a kind: decoding and defaulting. */
import { type Decoded, decodeBody, decodeObject, type FieldValidation } from '#kube/decode.ts';
import type { Draft, KindDef } from '#kube/kind.ts';
import { type BodyFormat, BodySyntaxError, bodyFormat, type ParsedBody, parseBody } from '#kube/parse-body.ts';
import { decodeProtobuf, isProtobuf } from '#kube/protobuf.ts';
import { badRequest, StatusError } from '#kube/status-error.ts';
import type { ApiRequest } from './contract.ts';

/** What decoding and defaulting need to know of a kind. */
type CodecKind = Pick<KindDef, 'ref' | 'schema' | 'defaults'>;

/** The body of a request, decoded and defaulted. Warnings are added to `warnings`. Throws StatusError. */
export function readDraft(def: CodecKind, request: ApiRequest, validation: FieldValidation, warnings: string[]): Draft {
  const decoded = decodeRequest(def, request, validation);
  warnings.push(...decoded.warnings);
  return withDefaults(def, decoded);
}

function decodeRequest(def: CodecKind, request: ApiRequest, validation: FieldValidation): Decoded {
  const contentType = request.headers['content-type'] ?? '';
  if (request.object !== undefined) return decodeObject(def, request.object, validation);
  // Protobuf has no unknown fields to complain about: its decoder skips them, as Go's does.
  if (isProtobuf(contentType)) return decodeObject(def, decodeProtobuf(requireBody(request)), 'Ignore');
  return decodeBody(def, requireBody(request), contentType, validation, request.read);
}

/** A JSON value such as the result of a patch as a draft, decoded and defaulted. `problems`: what is wrong with the patch. Throws StatusError. */
export function draftOf(
  def: CodecKind,
  value: unknown,
  validation: FieldValidation,
  warnings: string[],
  problems: readonly string[] = [],
): Draft {
  const decoded = decodeObject(def, value, validation, problems);
  warnings.push(...decoded.warnings);
  return withDefaults(def, decoded);
}

function withDefaults(def: CodecKind, decoded: Decoded): Draft {
  def.defaults?.(decoded.object);
  return decoded.object;
}

export function requireBody(request: ApiRequest): Uint8Array {
  if (request.body === undefined || request.body.length === 0) throw badRequest('no body was sent: an object is required');
  return request.body;
}

/** A body of JSON or YAML. Throws StatusError BadRequest. */
export const parseValue = (request: ApiRequest, format: BodyFormat): unknown => parseRequest(request, format, false).value;

/** The same with what is to be said of keys that occur twice. Throws StatusError BadRequest. */
export function parseRequest(request: ApiRequest, format: BodyFormat, findDuplicates: boolean): ParsedBody {
  const { read } = request;
  try {
    if (read instanceof BodySyntaxError) throw read;
    return read === undefined
      ? parseBody(requireBody(request), format, findDuplicates)
      : { ...read, ...(findDuplicates ? {} : { duplicates: [] }) };
  } catch (error) {
    if (error instanceof BodySyntaxError) throw badRequest(`error decoding the body: ${error.message}`);
    throw error;
  }
}

/** The body as a value. Throws StatusError. */
export function readValue(request: ApiRequest): unknown {
  if (request.object !== undefined) return request.object;
  if (isProtobuf(request.headers['content-type'] ?? '')) return decodeProtobuf(requireBody(request));
  const format = bodyFormat(request.headers['content-type'] ?? '');
  if (format === undefined)
    throw new StatusError(
      'UnsupportedMediaType',
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    );
  const value = parseValue(request, format);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('the body must be an object');
  return value;
}

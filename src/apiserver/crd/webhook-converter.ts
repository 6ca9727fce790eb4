/**
 * Custom resources converted between versions by a webhook: ConversionReview v1, one call for any number of objects, and what upstream
 * checks of the answer. k8s.io/apiextensions-apiserver pkg/apiserver/conversion/webhook_converter.go.
 */
import type { WebhookConversion } from '#kube/generated/apiextensions-v1.ts';
import { isObject, type JsonObject, jsonEqual, own } from '#kube/json-value.ts';
import type { Draft } from '#kube/kind.ts';
import { splitApiVersion } from '#kube/refs.ts';
import { StatusError } from '#kube/status-error.ts';
import { type CallWebhook, WebhookCallError } from '../admission/webhook-client.ts';
import { metadataMapErrors } from '../meta.ts';

/** How a conversion ended, for the metrics; '' for success. Names of upstream's conversion metrics. */
export type ConversionFailure =
  | ''
  | 'conversion_webhook_call_failure'
  | 'conversion_webhook_malformed_response_failure'
  | 'conversion_webhook_partial_response_failure'
  | 'conversion_webhook_invalid_converted_object_failure';

export interface ConverterDeps {
  readonly call: CallWebhook;
  readonly uuid: () => string;
  readonly observe: (conversion: {
    readonly crd: string;
    readonly from: string;
    readonly to: string;
    readonly failure: ConversionFailure;
    readonly seconds: number;
  }) => void;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

/**
 * Gives objects in `apiVersion`, in order; those that are in it already come back as they are. Rejects with StatusError InternalError that
 * says what upstream says.
 */
export type ConvertObjects = (objects: readonly Draft[], apiVersion: string, signal: AbortSignal) => Promise<readonly Draft[]>;

/** Upstream's limit for the call of one conversion. */
const timeoutMs = 30_000;
/** What an answer may hold beyond a multiple of what was sent. */
const answerSlackBytes = 3 * 1024 * 1024;
const answerGrowth = 4;

const supportedVersions = ['v1'];

class ConversionError extends Error {
  readonly failure: ConversionFailure;
  constructor(failure: ConversionFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

const textOf = (object: JsonObject, field: string): string => {
  const value = own(object, field);
  return typeof value === 'string' ? value : '';
};

/** `stable.example.com/v1, Kind=CronTab` */
const gvkOf = (object: Draft): string => `${object.apiVersion}, Kind=${object.kind}`;

/** Objects without metadata are none: upstream only renames the version of those. */
const isEmpty = (object: Draft): boolean => Object.keys(object).every((key) => key === 'apiVersion' || key === 'kind');

export function createWebhookConverter(crd: string, webhook: WebhookConversion, deps: ConverterDeps): ConvertObjects {
  const convert = async (objects: readonly Draft[], apiVersion: string, signal: AbortSignal): Promise<Draft[]> => {
    const gvk = gvkOf(objects[0] as Draft);
    if (!webhook.conversionReviewVersions.some((v) => supportedVersions.includes(v)))
      throw new ConversionError('conversion_webhook_call_failure', 'no supported conversion review versions');
    const uid = deps.uuid();
    const request = { uid, desiredAPIVersion: apiVersion, objects };
    const body = { kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1', request };
    const maxAnswerBytes = answerSlackBytes + answerGrowth * Buffer.byteLength(JSON.stringify(objects));
    const call = deps.call({ config: webhook.clientConfig ?? {}, body, timeoutMs, signal, maxAnswerBytes });
    const answer = await call.catch((error: unknown) => {
      const why = error instanceof WebhookCallError ? error.why : error instanceof Error ? error.message : String(error);
      throw new ConversionError('conversion_webhook_call_failure', `conversion webhook for ${gvk} failed: ${why}`);
    });
    const converted = answered(answer, uid, gvk);
    if (converted.length !== objects.length)
      throw new ConversionError(
        'conversion_webhook_partial_response_failure',
        `conversion webhook for ${gvk} returned ${converted.length} objects, expected ${objects.length}`,
      );
    return objects.map((object, i) => accepted(object, converted[i], apiVersion, `conversion webhook for ${gvk} returned`, i));
  };
  const observed = async (objects: readonly Draft[], apiVersion: string, signal: AbortSignal): Promise<Draft[]> => {
    const start = deps.now();
    const from = splitApiVersion(objects[0]?.apiVersion ?? '').version;
    const done = (failure: ConversionFailure): void =>
      deps.observe({ crd, from, to: splitApiVersion(apiVersion).version, failure, seconds: (deps.now() - start) / 1000 });
    try {
      const converted = await convert(objects, apiVersion, signal);
      done('');
      return converted;
    } catch (error) {
      if (!(error instanceof ConversionError)) throw error;
      done(error.failure);
      throw new StatusError('InternalError', error.message, { cause: error });
    }
  };
  return async (objects, apiVersion, signal) => {
    const wanted = objects.filter((o) => o.apiVersion !== apiVersion && !isEmpty(o));
    const converted = wanted.length === 0 ? [] : await observed(wanted, apiVersion, signal);
    const answers = converted.values();
    return objects.map((o) => {
      if (o.apiVersion === apiVersion) return o;
      return isEmpty(o) ? { ...o, apiVersion } : (answers.next().value ?? o);
    });
  };
}

/** The converted objects in an answer. Throws ConversionError. */
function answered(answer: unknown, uid: string, gvk: string): readonly unknown[] {
  const fail = (why: string): never => {
    throw new ConversionError('conversion_webhook_malformed_response_failure', `conversion webhook for ${gvk} failed: ${why}`);
  };
  if (!isObject(answer)) return fail('expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview');
  const got = `${textOf(answer, 'apiVersion')}, Kind=${textOf(answer, 'kind')}`;
  const expected = 'apiextensions.k8s.io/v1, Kind=ConversionReview';
  if (got !== expected) return fail(`expected webhook response of ${expected}, got ${got}`);
  const response = own(answer, 'response');
  if (!isObject(response)) return fail('no response provided');
  const given = textOf(response, 'uid');
  if (given !== uid) return fail(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(given)}`);
  const result = own(response, 'result');
  const status = isObject(result) ? textOf(result, 'status') : '';
  if (status !== 'Success') {
    const message = isObject(result) ? textOf(result, 'message') : '';
    return fail(message === '' ? `response.result.status was '${status}', not 'Success'` : message);
  }
  const objects = own(response, 'convertedObjects') ?? [];
  return Array.isArray(objects) ? objects : fail('convertedObjects is no list');
}

/** A converted object with all the metadata of the original but labels and annotations. Throws ConversionError. */
function accepted(original: Draft, converted: unknown, apiVersion: string, prefix: string, index: number): Draft {
  const fail = (why: string): never => {
    throw new ConversionError('conversion_webhook_invalid_converted_object_failure', `${prefix} ${why}`);
  };
  const invalid = (why: string): never => fail(`invalid converted object at index ${index}: ${why}`);
  if (!isObject(converted)) return invalid('expected an object');
  const got = textOf(converted, 'apiVersion');
  if (got !== apiVersion) return invalid(`invalid groupVersion (expected ${apiVersion}, received ${got})`);
  const kind = textOf(converted, 'kind');
  if (kind !== original.kind) return invalid(`invalid kind (expected ${original.kind}, received ${kind})`);
  const metadata = own(converted, 'metadata');
  const before = original.metadata;
  const invalidMetadata = (why: string): never => fail(`invalid metadata in object at index ${index}: ${why}`);
  if (metadata === undefined) return invalidMetadata('missing metadata in converted object');
  if (!isObject(metadata)) return invalidMetadata(`invalid metadata of type ${goType(metadata)} in converted object`);
  for (const [field, name] of [
    ['name', 'name'],
    ['namespace', 'namespace'],
    ['uid', 'UID'],
  ] as const)
    if (textOf(metadata, field) !== (before[field] ?? ''))
      return invalid(`must have the same ${name}: ${before[field] ?? ''} != ${textOf(metadata, field)}`);
  return { ...converted, kind, apiVersion, metadata: restored(before, metadata, invalidMetadata) } as Draft;
}

const goType = (value: unknown): string => {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'bigint') return 'int64';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  return typeof value === 'boolean' ? 'bool' : typeof value === 'string' ? 'string' : 'map[string]interface {}';
};

/** The original metadata with the labels and annotations that the webhook gave. */
function restored(before: Draft['metadata'], given: JsonObject, fail: (why: string) => never): Draft['metadata'] {
  const { labels: oldLabels, annotations: oldAnnotations, ...rest } = before;
  const old = { labels: oldLabels, annotations: oldAnnotations };
  const kept: { labels?: Record<string, string>; annotations?: Record<string, string> } = {};
  for (const field of ['labels', 'annotations'] as const) {
    const value = own(given, field);
    if (value === undefined || value === null) continue;
    if (!isObject(value)) return fail(`invalid metadata.${field} of type ${goType(value)} in converted object`);
    const texts: Record<string, string> = {};
    for (const [key, text] of Object.entries(value)) {
      if (typeof text !== 'string') return fail(`metadata.${field}[${key}] must be a string, but is ${goType(text)} in converted object`);
      if (key === '__proto__') return fail(`metadata.${field} has a key that may not be`);
      texts[key] = text;
    }
    const changed = !jsonEqual(texts, old[field] ?? {});
    const errors = changed ? metadataMapErrors(field, texts) : [];
    if (errors.length > 0) return fail(errors.map((e) => `${e.field}: ${e.message}`).join(', '));
    kept[field] = texts;
  }
  return { ...rest, ...kept };
}

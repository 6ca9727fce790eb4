/** Bounds how many events there are: k8s.io/kubernetes plugin/pkg/admission/eventratelimit. Off by default. */
import type { Event } from '#kube/generated/core-v1.ts';
import { StatusError } from '#kube/status-error.ts';
import { fieldInvalid, fieldNotSupported } from '#kube/validation/field-error.ts';
import { createTokenBucket, type TokenBucket } from '#lib/token-bucket.ts';
import type { Clock } from '#platform/clock.ts';
import { type Fields, readFields, readList, readNumber, readText, refuse } from '../config-fields.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../contract.ts';
import { isResource, objectAs } from './attributes.ts';

function sourceAndObject(r: AdmissionRequest): string {
  const { source, involvedObject: object } = objectAs<Event>(r);
  const { kind, namespace, name, uid, apiVersion } = object;
  return [source?.component, source?.host, kind, namespace, name, uid, apiVersion].map((part) => part ?? '').join('');
}

/** What is counted together, by type of limit. */
const keys: Readonly<Record<string, (r: AdmissionRequest) => string>> = {
  Server: () => '',
  Namespace: (r) => r.namespace,
  User: (r) => r.user.name,
  SourceAndObject: sourceAndObject,
};

export interface EventLimit {
  readonly type: string;
  /** A second. */
  readonly qps: number;
  readonly burst: number;
  /** How many namespaces, users or sources are counted; those seen last. */
  readonly cacheSize: number;
}

const defaultCacheSize = 4096;

/** A Configuration of eventratelimit.admission.k8s.io/v1alpha1. Throws an Error that says what is wrong. */
export function parseEventLimits(config: Fields): readonly EventLimit[] {
  const { apiVersion, kind } = readFields(config, '', ['apiVersion', 'kind', 'limits']);
  if (kind !== 'Configuration' || apiVersion !== 'eventratelimit.admission.k8s.io/v1alpha1')
    throw new Error('must be a Configuration of eventratelimit.admission.k8s.io/v1alpha1');
  const limits = readList(config, 'limits', '').map((item, i) => {
    const path = `limits[${i}]`;
    const fields = readFields(item, path, ['type', 'qps', 'burst', 'cacheSize']);
    const number = (name: string): number => readNumber(fields, name, path) ?? 0;
    return { type: readText(fields, 'type', path), qps: number('qps'), burst: number('burst'), cacheSize: number('cacheSize') };
  });
  refuse([
    ...(limits.length === 0 ? [fieldInvalid('limits', limits, 'must not be empty')] : []),
    ...limits.flatMap(({ type, qps, burst, cacheSize }, i) => [
      ...(Object.hasOwn(keys, type) ? [] : [fieldNotSupported(`limits[${i}].type`, type, Object.keys(keys))]),
      ...(burst > 0 ? [] : [fieldInvalid(`limits[${i}].burst`, burst, 'must be positive')]),
      ...(qps > 0 ? [] : [fieldInvalid(`limits[${i}].qps`, qps, 'must be positive')]),
      ...(type === 'Server' || cacheSize >= 0 ? [] : [fieldInvalid(`limits[${i}].cacheSize`, cacheSize, 'must not be negative')]),
    ]),
  ]);
  return limits.map((limit) => ({ ...limit, cacheSize: limit.cacheSize || defaultCacheSize }));
}

/** Why a limit refuses a request; undefined where it does not. */
function createLimit({ type, qps, burst, cacheSize }: EventLimit, clock: Clock): (r: AdmissionRequest) => string | undefined {
  const keyOf = keys[type];
  /** The last used last. */
  const buckets = new Map<string, TokenBucket>();
  return (r) => {
    const key = keyOf?.(r) ?? '';
    const bucket = buckets.get(key) ?? createTokenBucket(qps, burst);
    buckets.delete(key);
    buckets.set(key, bucket);
    if (buckets.size > cacheSize) for (const oldest of [...buckets.keys()].slice(0, buckets.size - cacheSize)) buckets.delete(oldest);
    return bucket.take(clock.monotonic()) ? undefined : `limit reached on type ${type} for key ${key}`;
  };
}

export function createEventRateLimit(limits: readonly EventLimit[], clock: Clock): AdmissionPlugin {
  const enforced = limits.map((limit) => createLimit(limit, clock));
  return {
    name: 'EventRateLimit',
    handles: (r) => !r.dryRun && isResource(r, '', 'events', 'CREATE', 'UPDATE'),
    validate: (r) => {
      // Each counts the event, also when another has refused it.
      const refusals = enforced.map((limit) => limit(r)).filter((why) => why !== undefined);
      const distinct = [...new Set(refusals)];
      if (distinct.length === 0) return;
      const why = distinct.length === 1 ? distinct[0] : `[${distinct.join(', ')}]`;
      throw new StatusError('TooManyRequests', `Too many requests: ${why}`);
    },
  };
}

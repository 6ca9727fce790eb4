/** Asks a webhook whether the images of pods may run: k8s.io/kubernetes plugin/pkg/admission/imagepolicy. Off by default. */
import type { Pod } from '#kube/generated/core-v1.ts';
import { isObject } from '#kube/json-value.ts';
import { backoffMs } from '#lib/backoff.ts';
import { ExpiringCache } from '#lib/expiring-cache.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import { type Fields, readBoolean, readFields, readNumber, readText } from '../config-fields.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../contract.ts';
import { parseWebhookServer, type ReadFile, type WebhookServer } from '../webhook-config.ts';
import { denied, objectAs } from './attributes.ts';
import { type CallWebhook, WebhookCallError } from './webhook-client.ts';

export interface ImagePolicy {
  readonly server: WebhookServer;
  /** How long answers are remembered; 0: not at all. */
  readonly allowMs: number;
  readonly denyMs: number;
  /** Before a call that failed is repeated; 0: at once. */
  readonly retryMs: number;
  /** What a webhook that does not answer means. */
  readonly defaultAllow: boolean;
}

const minuteNs = 60_000_000_000n;
const secondNs = 1_000_000_000n;

/** Durations of the configuration, in nanoseconds. */
const durations = {
  retryBackoff: { unit: 1_000_000n, least: 1n, most: 5n * minuteNs, usual: 500_000_000n },
  allowTTL: { unit: secondNs, least: secondNs, most: 30n * minuteNs, usual: 5n * minuteNs },
  denyTTL: { unit: secondNs, least: secondNs, most: 30n * minuteNs, usual: 30n * secondNs },
} as const;
const shownLimits = { retryBackoff: ['1ns', '5m0s'], allowTTL: ['1s', '30m0s'], denyTTL: ['1s', '30m0s'] } as const;

/** In milliseconds. -1 stands for none, 0 or nothing for the usual. */
function readMs(fields: Fields, name: keyof typeof durations): number {
  const { unit, least, most, usual } = durations[name];
  const given = readNumber(fields, name, 'imagePolicy') ?? 0;
  if (given === -1) return 0;
  const ns = given === 0 ? usual : BigInt(Math.trunc(given)) * unit;
  const [from, to] = shownLimits[name];
  if (ns < least || ns > most) throw new Error(`imagePolicy.${name}: valid value is between ${from} and ${to}, got ${given}`);
  return Number(ns / 1_000_000n);
}

/** Throws an Error that says what is wrong. */
export function parseImagePolicy(config: Fields, readFile: ReadFile): ImagePolicy {
  const { imagePolicy } = readFields(config, '', ['imagePolicy']);
  const fields = readFields(imagePolicy, 'imagePolicy', ['kubeConfigFile', 'allowTTL', 'denyTTL', 'retryBackoff', 'defaultAllow']);
  const file = readText(fields, 'kubeConfigFile', 'imagePolicy');
  if (file === '') throw new Error('imagePolicy.kubeConfigFile: Required value');
  return {
    server: parseWebhookServer(file, readFile),
    allowMs: readMs(fields, 'allowTTL'),
    denyMs: readMs(fields, 'denyTTL'),
    retryMs: readMs(fields, 'retryBackoff'),
    defaultAllow: readBoolean(fields, 'defaultAllow', 'imagePolicy'),
  };
}

interface Review {
  readonly allowed: boolean;
  readonly reason: string;
  readonly auditAnnotations: readonly (readonly [string, string])[];
}

const attempts = 5;
const factor = 1.5;
const timeoutMs = 30_000;
const remembered = 1024;
const auditPrefix = 'imagepolicywebhook.image-policy.k8s.io/';

/** webhook.DefaultShouldRetry: what may be better the next time. */
const passing = (error: unknown): boolean =>
  error instanceof WebhookCallError &&
  (error.code === 429 || (error.code >= 500 && error.code !== 503) || error.why.endsWith('connection reset by peer'));

function specOf(r: AdmissionRequest): object {
  const pod = objectAs<Pod>(r);
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const images = r.subresource === '' ? [...containers, ...initContainers] : ephemeralContainers;
  const annotations = Object.entries(pod.metadata?.annotations ?? {}).filter(([key]) => key.includes('.image-policy.k8s.io/'));
  return {
    containers: images.map(({ image = '' }) => ({ image })),
    ...(annotations.length === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
    namespace: r.namespace,
  };
}

function reviewOf(answer: unknown): Review {
  const status = isObject(answer) ? answer['status'] : undefined;
  const { allowed, reason, auditAnnotations } = isObject(status) ? status : {};
  return {
    allowed: allowed === true,
    reason: typeof reason === 'string' ? reason : '',
    auditAnnotations: Object.entries(isObject(auditAnnotations) ? auditAnnotations : {}).map(([k, v]) => [k, String(v as string)]),
  };
}

interface Deps {
  readonly call: CallWebhook;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Rejects with the last failure. */
async function ask({ server, retryMs }: ImagePolicy, { call, clock }: Deps, spec: object, signal: AbortSignal): Promise<Review> {
  const body = {
    kind: 'ImageReview',
    apiVersion: 'imagepolicy.k8s.io/v1alpha1',
    metadata: { creationTimestamp: null },
    spec,
    status: { allowed: false },
  };
  const config = { url: server.url, ...(server.ca === undefined ? {} : { caBundle: Buffer.from(server.ca).toString('base64') }) };
  for (let failures = 1; ; failures++) {
    try {
      return reviewOf(await call({ config, body, timeoutMs, signal }));
    } catch (error) {
      if (failures >= attempts || signal.aborted || !passing(error)) throw error;
      await clock.sleep(backoffMs(failures, { baseMs: retryMs, maxMs: Number.POSITIVE_INFINITY, factor }), signal);
    }
  }
}

/** The webhook could not be asked: the pod is refused, or let in with a note that says so. */
function failed(policy: ImagePolicy, deps: Deps, r: AdmissionRequest, error: unknown): void {
  if (!policy.defaultAllow) throw denied(r, error instanceof WebhookCallError ? error.why : String(error));
  deps.log.warn('the image policy webhook did not answer, the pod is let in', { error });
  r.audit(`${auditPrefix}failed-open`, 'true');
  if (r.object === undefined) return;
  const { metadata } = r.object;
  r.object.metadata = { ...metadata, annotations: { ...metadata.annotations, 'alpha.image-policy.k8s.io/failed-open': 'true' } };
}

export function createImagePolicyWebhook(policy: ImagePolicy, deps: Deps): AdmissionPlugin {
  const known = new ExpiringCache<Review>(remembered, deps.clock.now);
  return {
    name: 'ImagePolicyWebhook',
    handles: (r) =>
      (r.operation === 'CREATE' || r.operation === 'UPDATE') &&
      r.def.ref.group === '' &&
      r.def.ref.plural === 'pods' &&
      (r.subresource === '' || r.subresource === 'ephemeralcontainers'),
    validate: async (r) => {
      const spec = specOf(r);
      const key = JSON.stringify(spec);
      let review = known.get(key);
      if (review === undefined) {
        try {
          review = await ask(policy, deps, spec, r.signal);
        } catch (error) {
          failed(policy, deps, r, error);
          return;
        }
        known.set(key, review, review.allowed ? policy.allowMs : policy.denyMs);
      }
      for (const [name, value] of review.auditAnnotations) r.audit(`${auditPrefix}${name}`, value);
      if (review.allowed) return;
      throw denied(
        r,
        review.reason === ''
          ? 'one or more images rejected by webhook backend'
          : `image policy webhook backend denied one or more images: ${review.reason}`,
      );
    },
  };
}

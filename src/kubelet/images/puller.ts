/** Makes sure that a container's image is there: pkg/kubelet/images image_manager.go. */
import type { Container, Pod, Secret } from '#kube/generated/core-v1.ts';
import { backoffMs } from '#lib/backoff.ts';
import type { Clock } from '#platform/clock.ts';
import { isGrpc } from '#platform/grpc.ts';
import type { Cri } from '../cri/client.ts';
import type { Image } from '../cri/generated/cri.ts';
import type { ImageFacts } from '../pods/container-config.ts';
import { credentialsFor } from './credentials.ts';
import { parseImage } from './reference.ts';

/** Why an image is not there: `reason` is shown as the container's waiting reason. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly reason: 'ErrImagePull' | 'ImagePullBackOff' | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError';
  /** Milliseconds until another try is due. */
  readonly retryMs: number;

  constructor(reason: ImageError['reason'], message: string, retryMs: number, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.retryMs = retryMs;
  }
}

export type ImageEvent = (type: 'Normal' | 'Warning', reason: string, message: string) => void;

export interface ImagePuller {
  /** Gives what to run. Rejects with ImageError. `event` tells the user of the container's pod. */
  readonly ensure: (
    pod: Pod,
    container: Container,
    secrets: () => Promise<readonly Secret[]>,
    event: ImageEvent,
    signal: AbortSignal,
  ) => Promise<ImageFacts>;
  /** Forgets the failures of a pod that is gone. */
  readonly forget: (podUid: string) => void;
}

interface Failure {
  readonly count: number;
  readonly untilMs: number;
  readonly message: string;
}

const retry = { baseMs: 10_000, maxMs: 300_000 };
const maxParallelPulls = 5;
/** A download that makes no progress is ended by containerd itself; this is only the last resort. */
const pullTimeoutMs = 4 * 3_600_000;

/** As Go prints a duration: 1.234s, 2m3.4s, 56ms. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const seconds = ms / 1000;
  const rounded = (value: number): string => String(Math.round(value * 1000) / 1000);
  if (seconds < 60) return `${rounded(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  const rest = `${minutes % 60}m${rounded(seconds - minutes * 60)}s`;
  return minutes < 60 ? rest : `${Math.floor(minutes / 60)}h${rest}`;
}

function policyOf(container: Container): string {
  if (container.imagePullPolicy) return container.imagePullPolicy;
  return parseImage(container.image ?? '')?.tag === 'latest' ? 'Always' : 'IfNotPresent';
}

/** Calls at most `limit` at a time, the rest in order of arrival. */
function limiter(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  let active = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (active >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else active++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) active--;
      else next();
    }
  };
}

const factsOf = (image: Image): ImageFacts => ({ ref: image.id, uid: image.uid?.value, username: image.username });

export function createImagePuller(deps: { readonly cri: () => Cri; readonly clock: Clock }): ImagePuller {
  const { clock } = deps;
  const failures = new Map<string, Failure>();
  const limited = limiter(maxParallelPulls);

  async function inspect(name: string): Promise<Image | undefined> {
    try {
      return (await deps.cri().imageStatus({ image: { image: name } })).image ?? undefined;
    } catch (error) {
      throw new ImageError('ImageInspectError', `Failed to inspect image "${name}": ${textOf(error)}`, 10_000, error);
    }
  }

  async function pull(image: string, secrets: readonly Secret[], signal: AbortSignal): Promise<void> {
    const credentials = credentialsFor(image, secrets);
    const tries = credentials.length === 0 ? [undefined] : credentials;
    let failure: unknown;
    for (const auth of tries) {
      try {
        await deps.cri().pullImage({ image: { image }, ...(auth === undefined ? {} : { auth }) }, { signal, timeoutMs: pullTimeoutMs });
        return;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async function pullWithEvents(
    pod: Pod,
    container: Container,
    secrets: () => Promise<readonly Secret[]>,
    event: ImageEvent,
    signal: AbortSignal,
  ): Promise<Image> {
    const image = container.image ?? '';
    const key = `${pod.metadata.uid}_${image}`;
    const known = failures.get(key);
    if (known !== undefined && clock.now() < known.untilMs) {
      const text = `Back-off pulling image "${image}": ${known.message}`;
      event('Normal', 'BackOff', `Back-off pulling image "${image}"`);
      throw new ImageError('ImagePullBackOff', text, known.untilMs - clock.now());
    }
    event('Normal', 'Pulling', `Pulling image "${image}"`);
    const asked = clock.monotonic();
    let began = asked;
    try {
      const found = await secrets();
      await limited(async () => {
        began = clock.monotonic();
        await pull(image, found, signal);
      });
      const present = await inspect(image);
      if (present === undefined) throw new Error(`image "${image}" is not there after it was pulled`);
      failures.delete(key);
      const now = clock.monotonic();
      event(
        'Normal',
        'Pulled',
        `Successfully pulled image "${image}" in ${durationText(now - began)} (${durationText(now - asked)} including waiting). Image size: ${present.size} bytes.`,
      );
      return present;
    } catch (error) {
      if (signal.aborted) throw error;
      const message = textOf(error);
      const count = (known !== undefined && clock.now() - known.untilMs < 2 * retry.maxMs ? known.count : 0) + 1;
      const wait = backoffMs(count, retry);
      failures.set(key, { count, untilMs: clock.now() + wait, message: `ErrImagePull: ${message}` });
      event('Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
      // The next look comes at once and shows the back-off, as upstream's does.
      throw new ImageError('ErrImagePull', message, Math.min(wait, 5000), error);
    }
  }

  return {
    ensure: async (pod, container, secrets, event, signal) => {
      const image = container.image ?? '';
      if (parseImage(image) === undefined) {
        const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`;
        event('Warning', 'InspectFailed', message);
        throw new ImageError('InvalidImageName', message, 60_000);
      }
      const policy = policyOf(container);
      const present = await inspect(image);
      if (present !== undefined && policy !== 'Always') {
        event('Normal', 'Pulled', `Container image "${image}" already present on machine and can be accessed by the pod`);
        return factsOf(present);
      }
      if (policy === 'Never') {
        const message = `Container image "${image}" is not present with pull policy of Never`;
        event('Warning', 'ErrImageNeverPull', message);
        throw new ImageError('ErrImageNeverPull', message, 10_000);
      }
      return factsOf(await pullWithEvents(pod, container, secrets, event, signal));
    },
    forget: (uid) => {
      for (const key of [...failures.keys()]) if (key.startsWith(`${uid}_`)) failures.delete(key);
    },
  };
}

/** What Go's gRPC client prints: kubectl users search for this text. */
function textOf(error: unknown): string {
  if (isGrpc(error)) return `rpc error: code = ${codeNames[error.code] ?? 'Unknown'} desc = ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

const codeNames: Readonly<Record<number, string>> = {
  1: 'Canceled',
  2: 'Unknown',
  3: 'InvalidArgument',
  4: 'DeadlineExceeded',
  5: 'NotFound',
  6: 'AlreadyExists',
  7: 'PermissionDenied',
  8: 'ResourceExhausted',
  9: 'FailedPrecondition',
  10: 'Aborted',
  11: 'OutOfRange',
  12: 'Unimplemented',
  13: 'Internal',
  14: 'Unavailable',
  15: 'DataLoss',
  16: 'Unauthenticated',
};

export { textOf as runtimeErrorText };

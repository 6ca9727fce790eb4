/**
 * Does away with service-account tokens that were made for accounts of old and that nobody uses: marks them invalid, and deletes them
 * when nobody missed them. k8s.io/kubernetes pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go.
 */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { Secret } from '#kube/generated/core-v1.ts';
import {
  accountNameAnnotation,
  accountTokenType,
  accountUidAnnotation,
  dayOf,
  invalidSinceLabel,
  lastUsedLabel,
  parseDay,
  trackedSinceKey,
  trackingConfigMap,
} from '#kube/legacy-token.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import { referencedSecrets } from '#kube/pod-references.ts';
import { configMaps, pods, secrets, serviceAccounts } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { msOf } from './times.ts';

const name = 'legacy-serviceaccount-token-cleaner-controller';
const dayMs = 24 * 3600 * 1000;
const yearMs = 365 * dayMs;
const everything = 'all tokens';

function create({ client, informers, clock, log, config }: ControllerDeps) {
  const periodMs = config.legacyTokenCleanUpMs ?? yearMs;
  const accounts = informers.informer(serviceAccounts);
  const tokens = informers.informer(secrets, { fieldSelector: `type=${accountTokenType}` });
  const allPods = informers.informer(pods);

  /** From when on it is known of a token that nobody used it for a whole period. */
  const knownFrom = async (signal: AbortSignal): Promise<number> => {
    const tracking = await client.get(configMaps, { namespace: 'kube-system', name: trackingConfigMap }, { signal });
    const since = parseDay(tracking.data?.[trackedSinceKey]);
    if (since === undefined) throw new Error(`ConfigMap kube-system/${trackingConfigMap} does not say since when tokens are tracked`);
    // The day may have been over when tracking began.
    return since + dayMs + periodMs;
  };

  /** Whether the account lists the secret: then a controller of old made it, and nobody asked for it. */
  const madeByController = (secret: Stored<Secret>): boolean => {
    const { annotations = {}, namespace = '' } = secret.metadata;
    const account = accounts.get(`${namespace}/${annotations[accountNameAnnotation] ?? ''}`);
    if (account === undefined || account.metadata.uid !== annotations[accountUidAnnotation]) return false;
    return (account.secrets ?? []).some((s) => s.name === secret.metadata.name);
  };

  const isUnused = (secret: Stored<Secret>, before: number): boolean => {
    const { creationTimestamp, deletionTimestamp, labels = {} } = secret.metadata;
    if (deletionTimestamp !== undefined || msOf(creationTimestamp) >= before) return false;
    const used = labels[lastUsedLabel];
    return used === undefined || (parseDay(used) !== undefined && used < dayOf(before));
  };

  const retire = async (secret: Stored<Secret>, now: number, signal: AbortSignal): Promise<void> => {
    const { name: secretName, namespace = '', uid, resourceVersion, labels = {} } = secret.metadata;
    const at = { namespace, name: secretName };
    const since = labels[invalidSinceLabel];
    if (since === undefined || parseDay(since) === undefined) {
      log.info('a token that nobody uses is no longer good', { secret: objectKey(secret) });
      const metadata = { uid, labels: { [invalidSinceLabel]: dayOf(now) } };
      await client.patch(secrets, at, 'merge', { metadata }, { signal });
    } else if (since < dayOf(now - periodMs)) {
      log.info('a token that nobody missed is deleted', { secret: objectKey(secret) });
      await client.delete(secrets, at, { preconditions: { resourceVersion } }, { signal });
    }
  };

  const clean = async (signal: AbortSignal): Promise<void> => {
    const now = clock.now();
    if (now < (await knownFrom(signal))) return;
    const unused = tokens.list().filter((secret) => isUnused(secret, now - periodMs) && madeByController(secret));
    if (unused.length === 0) return;
    const mounted = new Set(
      allPods.list().flatMap((pod) => [...referencedSecrets(pod.spec ?? { containers: [] })].map((s) => `${pod.metadata.namespace}/${s}`)),
    );
    for (const secret of unused) {
      if (mounted.has(objectKey(secret))) continue;
      try {
        await retire(secret, now, signal);
      } catch (error) {
        if (!isStatus(error, 'NotFound', 'Conflict')) throw error;
      }
    }
  };

  const reconcile = async (_key: string, signal: AbortSignal): Promise<Requeue> => {
    try {
      await clean(signal);
    } catch (error) {
      signal.throwIfAborted();
      // Nothing of this is urgent.
      log.warn('tokens that nobody uses could not be looked for', { error });
    }
    return dayMs;
  };
  const reconciler = createReconciler({ clock, log }, { name, sources: [accounts, tokens, allPods], reconcile, workers: 1 });
  reconciler.queue.add(everything);
  return [reconciler];
}

export const legacyTokenCleaner: ControllerDef = { name, serviceAccount: 'legacy-service-account-token-cleaner', create };

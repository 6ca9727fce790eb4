/**
 * Keeps note of which tokens that never expire are still used, so that administrators can do away with the others:
 * pkg/serviceaccount/legacy.go and pkg/controlplane/controller/legacytokentracking.
 */
import type { ConfigMap, Secret } from '#kube/generated/core-v1.ts';
import { dayOf, invalidSinceLabel, lastUsedLabel, trackingConfigMap as name, parseDay, trackedSinceKey } from '#kube/legacy-token.ts';
import { configMaps, secrets } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { WatchCache } from '#store/contract.ts';
import type { ObjectStore } from '../contract.ts';
import { follow } from '../follow.ts';

const namespace = 'kube-system';

/** Throws an Error with upstream's text for a secret whose token was marked invalid. */
export function checkLegacySecret(secret: Secret, account: string): void {
  if (secret.metadata.labels?.[invalidSinceLabel] === undefined) return;
  const { namespace: where = '', name: what = '' } = secret.metadata;
  throw new Error(
    `the token in secret ${where}/${what} for service account ${where}/${account} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${invalidSinceLabel}' label from the secret to temporarily allow use of this token`,
  );
}

export interface LegacyTokens {
  /** Notes from when on use is tracked, unless that is noted already. */
  readonly start: () => Promise<void>;
  /** Notes it again when somebody takes the note away or spoils it. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** Labels the secret with the day; the request does not wait for it. */
  readonly used: (secret: Secret) => void;
}

/** `cache`: where the note is watched. */
export function legacyTokens(store: ObjectStore, cache: WatchCache, clock: Clock, log: Logger): LegacyTokens {
  const busy = new Set<string>();
  const label = async (where: string, what: string, today: string): Promise<void> => {
    try {
      await store.modify(secrets, where, what, (draft, current) => {
        if (current.metadata.labels?.[lastUsedLabel] === today) return false;
        draft.metadata = { ...draft.metadata, labels: { ...current.metadata.labels, [lastUsedLabel]: today } };
        return true;
      });
    } catch (error) {
      log.warn('the use of a legacy token could not be noted', { namespace: where, secret: what, error });
    }
  };
  const isNoted = (note: ConfigMap | undefined): boolean => parseDay(note?.data?.[trackedSinceKey]) !== undefined;
  const start = async (): Promise<void> => {
    const note = store.get(configMaps, namespace, name);
    if (isNoted(note)) return;
    const data = { [trackedSinceKey]: dayOf(clock.now()) };
    try {
      if (note === undefined) await store.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });
      else
        await store.modify(configMaps, namespace, name, (draft, current) => {
          draft['data'] = { ...current.data, ...data };
          return true;
        });
    } catch (error) {
      // Another server was quicker, or the change that follows brings us back.
      if (!isStatus(error, 'AlreadyExists', 'NotFound')) throw error;
    }
  };
  const feed = follow(cache, `/registry/core/configmaps/${namespace}/${name}`, {
    reset: () => undefined,
    apply: () => {
      start().catch((error: unknown) => log.warn('since when legacy tokens are tracked could not be noted', { error }));
    },
  });
  return {
    start,
    run: feed.run,
    used: ({ metadata }) => {
      const { namespace: where = '', name: what = '', labels } = metadata;
      const today = dayOf(clock.now());
      const key = `${where}/${what}`;
      if (labels?.[lastUsedLabel] === today || busy.has(key)) return;
      busy.add(key);
      void label(where, what, today).finally(() => busy.delete(key));
    },
  };
}

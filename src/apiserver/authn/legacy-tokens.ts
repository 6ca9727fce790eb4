/**
 * Keeps note of which tokens that never expire are still used, so that administrators can do away with the others:
 * pkg/serviceaccount/legacy.go and pkg/controlplane/controller/legacytokentracking.
 */
import type { ConfigMap, Secret } from '#kube/generated/core-v1.ts';
import { configMaps, secrets } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { ObjectStore } from '../contract.ts';

const lastUsed = 'kubernetes.io/legacy-token-last-used';
const invalidSince = 'kubernetes.io/legacy-token-invalid-since';
const namespace = 'kube-system';
const name = 'kube-apiserver-legacy-service-account-token-tracking';

const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** Throws an Error with upstream's text for a secret whose token was marked invalid. */
export function checkLegacySecret(secret: Secret, account: string): void {
  if (secret.metadata.labels?.[invalidSince] === undefined) return;
  const { namespace: where = '', name: what = '' } = secret.metadata;
  throw new Error(
    `the token in secret ${where}/${what} for service account ${where}/${account} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${invalidSince}' label from the secret to temporarily allow use of this token`,
  );
}

export interface LegacyTokens {
  /** Notes from when on use is tracked. */
  readonly start: () => Promise<void>;
  /** Labels the secret with the day; the request does not wait for it. */
  readonly used: (secret: Secret) => void;
}

export function legacyTokens(store: ObjectStore, clock: Clock, log: Logger): LegacyTokens {
  const busy = new Set<string>();
  const label = async (where: string, what: string, today: string): Promise<void> => {
    try {
      await store.modify(secrets, where, what, (draft, current) => {
        if (current.metadata.labels?.[lastUsed] === today) return false;
        draft.metadata = { ...draft.metadata, labels: { ...current.metadata.labels, [lastUsed]: today } };
        return true;
      });
    } catch (error) {
      log.warn('the use of a legacy token could not be noted', { namespace: where, secret: what, error });
    }
  };
  return {
    start: async () => {
      if (store.get(configMaps, namespace, name) !== undefined) return;
      const object: ConfigMap = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace },
        data: { since: dateOf(clock.now()) },
      };
      try {
        await store.create(configMaps, object);
      } catch (error) {
        if (!isStatus(error, 'AlreadyExists')) throw error;
      }
    },
    used: ({ metadata }) => {
      const { namespace: where = '', name: what = '', labels } = metadata;
      const today = dateOf(clock.now());
      const key = `${where}/${what}`;
      if (labels?.[lastUsed] === today || busy.has(key)) return;
      busy.add(key);
      void label(where, what, today).finally(() => busy.delete(key));
    },
  };
}

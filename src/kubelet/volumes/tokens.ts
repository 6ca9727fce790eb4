/** Service account tokens bound to pods, renewed before they expire: pkg/kubelet/token upstream. */
import type { KubeClient } from '#client/contract.ts';
import type { TokenRequest } from '#kube/generated/authentication-v1.ts';
import type { Pod, ServiceAccountTokenProjection } from '#kube/generated/core-v1.ts';
import { serviceAccounts } from '#kube/refs.ts';
import type { Clock } from '#platform/clock.ts';

interface CachedToken {
  readonly token: string;
  readonly expiresMs: number;
  readonly lifetimeMs: number;
}

export interface TokenManager {
  readonly get: (pod: Pod, projection: ServiceAccountTokenProjection) => Promise<string>;
  /** Milliseconds until one of the pod's tokens must be renewed; undefined when it has none. */
  readonly renewIn: (podUid: string) => number | undefined;
  readonly forget: (podUid: string) => void;
}

const day = 86_400_000;

/** A token is renewed after 80 % of its life, or after a day. */
const renewAt = (t: CachedToken): number => Math.min(t.expiresMs - 0.2 * t.lifetimeMs, t.expiresMs - t.lifetimeMs + day);

export function createTokenManager(client: Pick<KubeClient, 'createSubresource'>, clock: Clock): TokenManager {
  const pods = new Map<string, Map<string, CachedToken>>();
  return {
    get: async (pod, projection) => {
      const { uid = '', namespace = '', name = '' } = pod.metadata;
      const seconds = projection.expirationSeconds ?? 3600;
      const audiences = projection.audience ? [projection.audience] : [];
      const key = JSON.stringify([audiences, seconds]);
      const cached = pods.get(uid)?.get(key);
      if (cached !== undefined && clock.now() < renewAt(cached)) return cached.token;
      const request: TokenRequest = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: {},
        spec: { audiences, expirationSeconds: seconds, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
      };
      const account = pod.spec?.serviceAccountName || 'default';
      try {
        const { status } = await client.createSubresource(serviceAccounts, { namespace, name: account }, 'token', request);
        if (status?.token === undefined) throw new Error('the answer holds no token');
        const expiresMs = Date.parse(status.expirationTimestamp ?? '') || clock.now() + seconds * 1000;
        const tokens = pods.get(uid) ?? new Map<string, CachedToken>();
        pods.set(uid, tokens.set(key, { token: status.token, expiresMs, lifetimeMs: Math.max(0, expiresMs - clock.now()) }));
        return status.token;
      } catch (error) {
        // As long as the old one is valid, a server that is away does no harm.
        if (cached !== undefined && clock.now() < cached.expiresMs) return cached.token;
        throw new Error(`failed to fetch token: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
    },
    renewIn: (uid) => {
      const tokens = [...(pods.get(uid)?.values() ?? [])];
      return tokens.length === 0 ? undefined : Math.max(10_000, Math.min(...tokens.map(renewAt)) - clock.now());
    },
    forget: (uid) => {
      pods.delete(uid);
    },
  };
}

/** What a controller is, and what it is given. */
import type { KubeClient } from '#client/contract.ts';
import type { EventRecorder } from '#client/events.ts';
import type { InformerFactory } from '#client/informer-factory.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Random } from '#platform/random.ts';

/** What controllers can be told, with upstream's flag in the comment. */
export interface ControllerConfig {
  /** --cluster-cidr; empty: nodes get no pod CIDR from us. */
  readonly clusterCidrs: readonly string[];
  /** --node-cidr-mask-size-ipv4 and -ipv6. Defaults: 24 and 64. */
  readonly nodeCidrMaskSizeIPv4: number;
  readonly nodeCidrMaskSizeIPv6: number;
  /** --node-monitor-grace-period. Upstream: 50 s since 1.32. */
  readonly nodeMonitorGraceMs: number;
  /** --terminated-pod-gc-threshold. Upstream: 12500. */
  readonly terminatedPodThreshold: number;
  /** PEM of the authority that signs the API server's certificate, for kube-root-ca.crt. */
  readonly rootCa: string;
  /** Signs requests for one signer; absent signers are left to others. */
  readonly csrSigners: readonly CsrSigner[];
  /** Makes the token of a legacy kubernetes.io/service-account-token secret. */
  readonly legacyToken?: (request: LegacyTokenRequest) => Promise<string>;
  /** --legacy-service-account-token-clean-up-period. Default: a year. */
  readonly legacyTokenCleanUpMs?: number;
}

export interface CsrSigner {
  readonly signerName: string;
  /** PEM request in, PEM certificate out. Throws when the request is not one this signer signs. */
  readonly sign: (request: SignRequest) => Promise<string>;
}

export interface SignRequest {
  readonly csrPem: string;
  readonly usages: readonly string[];
  readonly durationSeconds: number | undefined;
  readonly now: Date;
}

export interface LegacyTokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly serviceAccountUid: string;
  readonly secret: string;
}

export interface ControllerDeps {
  /** Acts as the controller's own service account. */
  readonly client: KubeClient;
  /** Shared by all controllers. Ask for informers in `create`, not later. */
  readonly informers: InformerFactory;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly config: ControllerConfig;
}

/** Work that runs until the signal aborts. */
export interface Runnable {
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A controller as data; controllers/index.ts lists them. */
export interface ControllerDef {
  /** Upstream's name. */
  readonly name: string;
  /** The source of its events, where that is not its name. */
  readonly eventSource?: string;
  /** The service account in kube-system that it acts as, where that is not its name. */
  readonly serviceAccount?: string;
  /** The user it acts as, where that is no service account. */
  readonly user?: string;
  readonly create: (deps: ControllerDeps) => readonly Runnable[];
}

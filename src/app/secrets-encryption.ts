/** Encryption of secrets that is turned on, off and rotated while the server runs: `k3ts secrets-encrypt`. */
import type { ApiRequest, ApiResponse, ExtraRoute } from '#apiserver/contract.ts';
import { badRequest, StatusError } from '#kube/status-error.ts';
import { readText, writeAtomically } from '#pki/files.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Store } from '#store/contract.ts';
import { createEncryptedStore, type EncryptionKey, type EncryptionPolicy, rewriteEncrypted } from '#store/encryption.ts';
import { encryptionConfigText, newEncryptionKey, parseEncryptionConfig } from '#store/encryption-config.ts';

export const encryptionActions = ['enable', 'disable', 'rotate-keys'] as const;
export type EncryptionAction = (typeof encryptionActions)[number];

export interface EncryptionStatus {
  readonly enabled: boolean;
  /** The key that encrypts. */
  readonly activeKey?: string;
  /** All keys that can still decrypt. */
  readonly keys: readonly string[];
}

export interface SecretsEncryption {
  /** The store that encrypts. */
  readonly store: Store;
  readonly routes: readonly ExtraRoute[];
}

const secrets = ['/registry/core/secrets/'];
/** Old keys that are kept: a backup, or history not yet compacted, may need them. */
const keptKeys = 4;

const statusOf = (policy: EncryptionPolicy): EncryptionStatus => ({
  enabled: policy.write !== undefined,
  ...(policy.write === undefined ? {} : { activeKey: policy.write.name }),
  keys: policy.read.map((k) => k.name),
});

/** The keys after an action, the one that is to encrypt first. Throws StatusError BadRequest where the action makes no sense. */
function nextKeys(action: EncryptionAction, policy: EncryptionPolicy, now: Date): readonly EncryptionKey[] {
  if (action === 'rotate-keys' && policy.write === undefined) throw badRequest('secrets are not encrypted: enable encryption first');
  if (action === 'rotate-keys' || policy.read.length === 0) return [newEncryptionKey(now), ...policy.read].slice(0, keptKeys);
  return policy.read;
}

function actionOf(request: ApiRequest): EncryptionAction {
  let action: unknown;
  try {
    action = (JSON.parse(Buffer.from(request.body ?? []).toString('utf8')) as { readonly action?: unknown } | null)?.action;
  } catch {
    throw badRequest('the body must be JSON with a field action');
  }
  const found = encryptionActions.find((a) => a === action);
  if (found === undefined) throw badRequest(`action must be one of ${encryptionActions.join(', ')}`);
  return found;
}

/**
 * `file`: where the keys are kept. `fixed`: --encryption-provider-config, which is the administrator's and not changed here.
 * Rejects when the file cannot be read or understood.
 */
export async function openSecretsEncryption(
  bare: Store,
  file: string,
  fixed: EncryptionPolicy | undefined,
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<SecretsEncryption> {
  const text = fixed === undefined ? await readText(file) : undefined;
  let policy = fixed ?? (text === undefined ? { prefixes: secrets, write: undefined, read: [] } : parseEncryptionConfig(text));
  const store = createEncryptedStore(bare, () => policy);
  let busy = false;

  const change = async (action: EncryptionAction, signal: AbortSignal): Promise<EncryptionStatus & { readonly rewritten: number }> => {
    if (fixed !== undefined) throw badRequest('encryption is configured by encryption-provider-config: change that file');
    if (busy) throw new StatusError('Conflict', 'another change of the encryption is under way');
    busy = true;
    try {
      const keys = nextKeys(action, policy, new Date(deps.clock.now()));
      const enabled = action !== 'disable';
      // The keys are on disk before anything is encrypted with them.
      if (keys.length > 0) await writeAtomically(file, encryptionConfigText(keys, enabled));
      policy = { prefixes: secrets, write: enabled ? keys[0] : undefined, read: keys };
      const rewritten = await rewriteEncrypted(store, secrets, signal);
      deps.log.info('encryption of secrets changed', { action, rewritten });
      return { ...statusOf(policy), rewritten };
    } finally {
      busy = false;
    }
  };
  const json = (value: unknown): ApiResponse => ({
    type: 'bytes',
    status: 200,
    contentType: 'application/json',
    body: `${JSON.stringify(value)}\n`,
  });
  return {
    store,
    routes: [
      {
        methods: ['GET'],
        path: '/v1-k3ts/encrypt/status',
        access: 'authorized',
        handle: async () => await Promise.resolve(json(statusOf(policy))),
      },
      {
        methods: ['POST'],
        path: '/v1-k3ts/encrypt/config',
        access: 'authorized',
        handle: async (r) => json(await change(actionOf(r), r.signal)),
      },
    ],
  };
}

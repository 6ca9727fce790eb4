/** Fills secrets of type kubernetes.io/service-account-token: k8s.io/kubernetes pkg/controller/serviceaccount/tokens_controller.go. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { Secret } from '#kube/generated/core-v1.ts';
import { accountNameAnnotation, accountTokenType, accountUidAnnotation } from '#kube/legacy-token.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import { secrets, serviceAccounts } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';

const name = 'tokens-controller';
const accountIndex = 'service account';
/** An account that is not there yet may be on its way: its secret is deleted only after this time. */
const graceMs = 10_000;

function create({ client, informers, clock, log, config }: ControllerDeps) {
  const makeToken = config.legacyToken;
  if (makeToken === undefined) return [];
  const accounts = informers.informer(serviceAccounts);
  const all = informers.informer(secrets, { fieldSelector: `type=${accountTokenType}` });
  all.addIndex(accountIndex, (secret) => [`${secret.metadata.namespace}/${secret.metadata.annotations?.[accountNameAnnotation] ?? ''}`]);
  const missingSince = new Map<string, number>();

  const fill = async (secret: Stored<Secret>, uid: string, signal: AbortSignal): Promise<void> => {
    const { namespace = '', annotations = {} } = secret.metadata;
    const account = annotations[accountNameAnnotation] ?? '';
    const data: Record<string, string> = { ...secret.data };
    const encode = (text: string): string => Buffer.from(text).toString('base64');
    let changed = annotations[accountUidAnnotation] === undefined;
    for (const [key, value] of [
      ['ca.crt', config.rootCa],
      ['namespace', namespace],
    ] as const)
      if (value !== '' && data[key] !== encode(value)) {
        data[key] = encode(value);
        changed = true;
      }
    if ((data['token'] ?? '') === '') {
      const token = await makeToken({ namespace, serviceAccount: account, serviceAccountUid: uid, secret: secret.metadata.name });
      data['token'] = encode(token);
      changed = true;
    }
    if (!changed) return;
    const metadata = { ...secret.metadata, annotations: { ...annotations, [accountUidAnnotation]: uid } };
    await client.update(secrets, { ...secret, metadata, data }, { signal });
  };

  const reconcile = async (key: string, signal: AbortSignal): Promise<Requeue> => {
    const secret = all.get(key);
    if (secret === undefined || secret.metadata.deletionTimestamp !== undefined) {
      missingSince.delete(key);
      return undefined;
    }
    const { namespace = '', annotations = {}, name: secretName } = secret.metadata;
    const account = accounts.get(`${namespace}/${annotations[accountNameAnnotation] ?? ''}`);
    const uid = annotations[accountUidAnnotation];
    if (account !== undefined && (uid === undefined || uid === account.metadata.uid)) {
      missingSince.delete(key);
      await fill(secret, account.metadata.uid, signal);
      return undefined;
    }
    const since = missingSince.get(key) ?? clock.monotonic();
    missingSince.set(key, since);
    const left = since + graceMs - clock.monotonic();
    if (account === undefined && left > 0) return left;
    missingSince.delete(key);
    const preconditions = { uid: secret.metadata.uid, resourceVersion: secret.metadata.resourceVersion };
    await client.delete(secrets, { namespace, name: secretName }, { preconditions }, { signal }).catch((error: unknown) => {
      if (!isStatus(error, 'NotFound', 'Conflict')) throw error;
    });
    return undefined;
  };

  const reconciler = createReconciler({ clock, log }, { name, sources: [accounts, all], reconcile });
  const check = (secret: Stored<Secret>): void => reconciler.queue.add(objectKey(secret));
  const accountChanged = (account: Stored): void => {
    for (const secret of all.byIndex(accountIndex, objectKey(account))) check(secret);
  };
  all.addHandler({ added: check, updated: check });
  accounts.addHandler({ added: accountChanged, deleted: accountChanged });
  return [reconciler];
}

export const tokensController: ControllerDef = { name, user: 'system:kube-controller-manager', create };

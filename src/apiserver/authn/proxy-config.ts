/** kube-system/extension-apiserver-authentication: with what aggregated API servers verify our users. pkg/controlplane/controller/clusterauthenticationtrust. */
import type { ConfigMap } from '#kube/generated/core-v1.ts';
import { configMaps } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ObjectStore } from '../contract.ts';

const namespace = 'kube-system';
const name = 'extension-apiserver-authentication';

export interface ProxyTrust {
  /** PEM. */
  readonly clientCa: string;
  readonly requestHeaderCa: string;
  readonly allowedNames: readonly string[];
}

/** Writes the ConfigMap, or brings it up to date. */
export async function publishProxyConfig(store: ObjectStore, trust: ProxyTrust): Promise<void> {
  const data = {
    'client-ca-file': trust.clientCa,
    'requestheader-allowed-names': JSON.stringify(trust.allowedNames),
    'requestheader-client-ca-file': trust.requestHeaderCa,
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-uid-headers': '["X-Remote-Uid"]',
    'requestheader-username-headers': '["X-Remote-User"]',
  };
  if (store.get(configMaps, namespace, name) === undefined) {
    const object: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
    try {
      await store.create(configMaps, object);
      return;
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error;
    }
  }
  await store.modify(configMaps, namespace, name, (draft, current) => {
    if (Object.entries(data).every(([key, value]) => current.data?.[key] === value)) return false;
    draft['data'] = { ...current.data, ...data };
    return true;
  });
}

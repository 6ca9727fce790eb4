/** Which admission plugins there are, in the order in which they run, and which are on (k8s.io/kubernetes pkg/kubeapiserver/options/plugins.go). */
import type { AdmissionPlugin } from '../contract.ts';

/** AllOrderedPlugins. */
const ordered = [
  'AlwaysAdmit',
  'NamespaceAutoProvision',
  'NamespaceLifecycle',
  'NamespaceExists',
  'LimitPodHardAntiAffinityTopology',
  'LimitRanger',
  'ServiceAccount',
  'NodeRestriction',
  'TaintNodesByCondition',
  'AlwaysPullImages',
  'ImagePolicyWebhook',
  'PodSecurity',
  'PodNodeSelector',
  'Priority',
  'DefaultTolerationSeconds',
  'PodTolerationRestriction',
  'EventRateLimit',
  'ExtendedResourceToleration',
  'DefaultStorageClass',
  'StorageObjectInUseProtection',
  'OwnerReferencesPermissionEnforcement',
  'PersistentVolumeClaimResize',
  'RuntimeClass',
  'CertificateApproval',
  'CertificateSigning',
  'ClusterTrustBundleAttest',
  'CertificateSubjectRestriction',
  'DefaultIngressClass',
  'DenyServiceExternalIPs',
  'PodTopologyLabels',
  'NodeDeclaredFeatureValidator',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionWebhook',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionWebhook',
  'ResourceQuota',
  'AlwaysDeny',
];

/** NodeRestriction is off by default upstream, and on in every distribution. */
const offByDefault = new Set([
  'AlwaysAdmit',
  'NamespaceAutoProvision',
  'NamespaceExists',
  'LimitPodHardAntiAffinityTopology',
  'AlwaysPullImages',
  'ImagePolicyWebhook',
  'PodNodeSelector',
  'PodTolerationRestriction',
  'EventRateLimit',
  'ExtendedResourceToleration',
  'OwnerReferencesPermissionEnforcement',
  'DenyServiceExternalIPs',
  'AlwaysDeny',
]);

export interface PluginChoice {
  /** --enable-admission-plugins. */
  readonly enabled: readonly string[];
  /** --disable-admission-plugins. */
  readonly disabled: readonly string[];
}

/** What is wrong with a choice, in upstream's words; undefined: nothing. */
export function pluginChoiceProblem({ enabled, disabled }: PluginChoice): string | undefined {
  const both = enabled.filter((name) => disabled.includes(name));
  if (both.length > 0) return `[${both.join(' ')}] in enable-admission-plugins and disable-admission-plugins overlapped`;
  const unknown = (names: readonly string[]): string | undefined => names.find((name) => !ordered.includes(name));
  const on = unknown(enabled);
  if (on !== undefined) return `enable-admission-plugins plugin ${JSON.stringify(on)} is unknown`;
  const off = unknown(disabled);
  return off === undefined ? undefined : `disable-admission-plugins plugin ${JSON.stringify(off)} is unknown`;
}

/** Parts of the server that are no plugins upstream stand before webhooks and policies, and cannot be turned off. */
const placeOf = (name: string): number => {
  const found = ordered.indexOf(name);
  return found < 0 ? ordered.indexOf('MutatingAdmissionPolicy') - 0.5 : found;
};

/** Those of the plugins that are on, in order. */
export function choosePlugins(plugins: readonly AdmissionPlugin[], { enabled, disabled }: PluginChoice): readonly AdmissionPlugin[] {
  return plugins
    .filter(({ name }) => !disabled.includes(name) && (!offByDefault.has(name) || enabled.includes(name)))
    .toSorted((a, b) => placeOf(a.name) - placeOf(b.name));
}

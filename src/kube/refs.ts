/**
 * The names of the built-in resources: the one place that says what "Deployment" is called in paths, messages and
 * `kubectl api-resources`. KindDefs (resources/) and clients refer to these.
 */
import type * as admissionregistration from './generated/admissionregistration-v1.ts';
import type * as apiextensions from './generated/apiextensions-v1.ts';
import type * as apiregistration from './generated/apiregistration-v1.ts';
import type * as apps from './generated/apps-v1.ts';
import type * as authentication from './generated/authentication-v1.ts';
import type * as authorization from './generated/authorization-v1.ts';
import type * as autoscaling1 from './generated/autoscaling-v1.ts';
import type * as autoscaling2 from './generated/autoscaling-v2.ts';
import type * as batch from './generated/batch-v1.ts';
import type * as certificates from './generated/certificates-v1.ts';
import type * as coordination from './generated/coordination-v1.ts';
import type * as core from './generated/core-v1.ts';
import type * as discovery from './generated/discovery-v1.ts';
import type * as eventsTypes from './generated/events-v1.ts';
import type * as flowcontrol from './generated/flowcontrol-v1.ts';
import type * as networking from './generated/networking-v1.ts';
import type * as node from './generated/node-v1.ts';
import type * as policy from './generated/policy-v1.ts';
import type * as rbac from './generated/rbac-v1.ts';
import type * as resource from './generated/resource-v1.ts';
import type * as scheduling from './generated/scheduling-v1.ts';
import type * as storage from './generated/storage-v1.ts';
import type { KubeObject } from './object.ts';

/** Names of one resource in one version. `T` is the object's type and exists for the compiler only. */
export interface ResourceRef<T extends KubeObject = KubeObject> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly type?: T;
}

/** "v1" or "apps/v1". */
export const apiVersionOf = (r: { readonly group: string; readonly version: string }): string =>
  r.group === '' ? r.version : `${r.group}/${r.version}`;

/** The group and version in an apiVersion field. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? { group: '', version: apiVersion } : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

interface Extra {
  readonly short?: readonly string[];
  readonly categories?: readonly string[];
}

const ref =
  (group: string, version: string, namespaced: boolean) =>
  <T extends KubeObject>(kind: string, plural: string, extra: Extra = {}): ResourceRef<T> => ({
    group,
    version,
    kind,
    plural,
    singular: kind.toLowerCase(),
    namespaced,
    shortNames: extra.short ?? [],
    categories: extra.categories ?? [],
  });

const all = ['all'];
const core1 = ref('', 'v1', true);
const coreCluster = ref('', 'v1', false);
export const bindings = core1<core.Binding>('Binding', 'bindings');
export const componentStatuses = coreCluster<core.ComponentStatus>('ComponentStatus', 'componentstatuses', { short: ['cs'] });
export const configMaps = core1<core.ConfigMap>('ConfigMap', 'configmaps', { short: ['cm'] });
export const endpoints = core1<core.Endpoints>('Endpoints', 'endpoints', { short: ['ep'] });
export const events1 = core1<core.Event>('Event', 'events', { short: ['ev'] });
export const limitRanges = core1<core.LimitRange>('LimitRange', 'limitranges', { short: ['limits'] });
export const namespaces = coreCluster<core.Namespace>('Namespace', 'namespaces', { short: ['ns'] });
export const nodes = coreCluster<core.Node>('Node', 'nodes', { short: ['no'] });
export const persistentVolumeClaims = core1<core.PersistentVolumeClaim>('PersistentVolumeClaim', 'persistentvolumeclaims', {
  short: ['pvc'],
});
export const persistentVolumes = coreCluster<core.PersistentVolume>('PersistentVolume', 'persistentvolumes', { short: ['pv'] });
export const pods = core1<core.Pod>('Pod', 'pods', { short: ['po'], categories: all });
export const podTemplates = core1<core.PodTemplate>('PodTemplate', 'podtemplates');
export const replicationControllers = core1<core.ReplicationController>('ReplicationController', 'replicationcontrollers', {
  short: ['rc'],
  categories: all,
});
export const resourceQuotas = core1<core.ResourceQuota>('ResourceQuota', 'resourcequotas', { short: ['quota'] });
export const secrets = core1<core.Secret>('Secret', 'secrets');
export const serviceAccounts = core1<core.ServiceAccount>('ServiceAccount', 'serviceaccounts', { short: ['sa'] });
export const services = core1<core.Service>('Service', 'services', { short: ['svc'], categories: all });

const apps1 = ref('apps', 'v1', true);
export const controllerRevisions = apps1<apps.ControllerRevision>('ControllerRevision', 'controllerrevisions');
export const daemonSets = apps1<apps.DaemonSet>('DaemonSet', 'daemonsets', { short: ['ds'], categories: all });
export const deployments = apps1<apps.Deployment>('Deployment', 'deployments', { short: ['deploy'], categories: all });
export const replicaSets = apps1<apps.ReplicaSet>('ReplicaSet', 'replicasets', { short: ['rs'], categories: all });
export const statefulSets = apps1<apps.StatefulSet>('StatefulSet', 'statefulsets', { short: ['sts'], categories: all });

const batch1 = ref('batch', 'v1', true);
export const cronJobs = batch1<batch.CronJob>('CronJob', 'cronjobs', { short: ['cj'], categories: all });
export const jobs = batch1<batch.Job>('Job', 'jobs', { categories: all });

export const horizontalPodAutoscalers1 = ref('autoscaling', 'v1', true)<autoscaling1.HorizontalPodAutoscaler>(
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
  { short: ['hpa'], categories: all },
);
export const horizontalPodAutoscalers = ref('autoscaling', 'v2', true)<autoscaling2.HorizontalPodAutoscaler>(
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
  { short: ['hpa'], categories: all },
);

export const podDisruptionBudgets = ref('policy', 'v1', true)<policy.PodDisruptionBudget>('PodDisruptionBudget', 'poddisruptionbudgets', {
  short: ['pdb'],
});

const networking1 = ref('networking.k8s.io', 'v1', true);
const networkingCluster = ref('networking.k8s.io', 'v1', false);
export const ingresses = networking1<networking.Ingress>('Ingress', 'ingresses', { short: ['ing'] });
export const ingressClasses = networkingCluster<networking.IngressClass>('IngressClass', 'ingressclasses');
export const networkPolicies = networking1<networking.NetworkPolicy>('NetworkPolicy', 'networkpolicies', { short: ['netpol'] });
export const ipAddresses = networkingCluster<networking.IPAddress>('IPAddress', 'ipaddresses', { short: ['ip'] });
export const serviceCIDRs = networkingCluster<networking.ServiceCIDR>('ServiceCIDR', 'servicecidrs');

export const endpointSlices = ref('discovery.k8s.io', 'v1', true)<discovery.EndpointSlice>('EndpointSlice', 'endpointslices');
export const events = ref('events.k8s.io', 'v1', true)<eventsTypes.Event>('Event', 'events', { short: ['ev'] });
export const leases = ref('coordination.k8s.io', 'v1', true)<coordination.Lease>('Lease', 'leases');

const storage1 = ref('storage.k8s.io', 'v1', false);
export const csiDrivers = storage1<storage.CSIDriver>('CSIDriver', 'csidrivers');
export const csiNodes = storage1<storage.CSINode>('CSINode', 'csinodes');
export const csiStorageCapacities = ref(
  'storage.k8s.io',
  'v1',
  true,
)<storage.CSIStorageCapacity>('CSIStorageCapacity', 'csistoragecapacities');
export const storageClasses = storage1<storage.StorageClass>('StorageClass', 'storageclasses', { short: ['sc'] });
export const volumeAttachments = storage1<storage.VolumeAttachment>('VolumeAttachment', 'volumeattachments');
export const volumeAttributesClasses = storage1<storage.VolumeAttributesClass>('VolumeAttributesClass', 'volumeattributesclasses', {
  short: ['vac'],
});

export const runtimeClasses = ref('node.k8s.io', 'v1', false)<node.RuntimeClass>('RuntimeClass', 'runtimeclasses');
export const priorityClasses = ref('scheduling.k8s.io', 'v1', false)<scheduling.PriorityClass>('PriorityClass', 'priorityclasses', {
  short: ['pc'],
});

const rbacCluster = ref('rbac.authorization.k8s.io', 'v1', false);
const rbac1 = ref('rbac.authorization.k8s.io', 'v1', true);
export const clusterRoleBindings = rbacCluster<rbac.ClusterRoleBinding>('ClusterRoleBinding', 'clusterrolebindings');
export const clusterRoles = rbacCluster<rbac.ClusterRole>('ClusterRole', 'clusterroles');
export const roleBindings = rbac1<rbac.RoleBinding>('RoleBinding', 'rolebindings');
export const roles = rbac1<rbac.Role>('Role', 'roles');

export const certificateSigningRequests = ref('certificates.k8s.io', 'v1', false)<certificates.CertificateSigningRequest>(
  'CertificateSigningRequest',
  'certificatesigningrequests',
  { short: ['csr'] },
);

const authn = ref('authentication.k8s.io', 'v1', false);
export const selfSubjectReviews = authn<authentication.SelfSubjectReview>('SelfSubjectReview', 'selfsubjectreviews');
export const tokenReviews = authn<authentication.TokenReview>('TokenReview', 'tokenreviews');

const authz = ref('authorization.k8s.io', 'v1', false);
export const localSubjectAccessReviews = ref(
  'authorization.k8s.io',
  'v1',
  true,
)<authorization.LocalSubjectAccessReview>('LocalSubjectAccessReview', 'localsubjectaccessreviews');
export const selfSubjectAccessReviews = authz<authorization.SelfSubjectAccessReview>('SelfSubjectAccessReview', 'selfsubjectaccessreviews');
export const selfSubjectRulesReviews = authz<authorization.SelfSubjectRulesReview>('SelfSubjectRulesReview', 'selfsubjectrulesreviews');
export const subjectAccessReviews = authz<authorization.SubjectAccessReview>('SubjectAccessReview', 'subjectaccessreviews');

const apiExtensionsCategory = { categories: ['api-extensions'] };
const admission = ref('admissionregistration.k8s.io', 'v1', false);
export const mutatingAdmissionPolicies = admission<admissionregistration.MutatingAdmissionPolicy>(
  'MutatingAdmissionPolicy',
  'mutatingadmissionpolicies',
  apiExtensionsCategory,
);
export const mutatingAdmissionPolicyBindings = admission<admissionregistration.MutatingAdmissionPolicyBinding>(
  'MutatingAdmissionPolicyBinding',
  'mutatingadmissionpolicybindings',
  apiExtensionsCategory,
);
export const mutatingWebhookConfigurations = admission<admissionregistration.MutatingWebhookConfiguration>(
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
  apiExtensionsCategory,
);
export const validatingAdmissionPolicies = admission<admissionregistration.ValidatingAdmissionPolicy>(
  'ValidatingAdmissionPolicy',
  'validatingadmissionpolicies',
  apiExtensionsCategory,
);
export const validatingAdmissionPolicyBindings = admission<admissionregistration.ValidatingAdmissionPolicyBinding>(
  'ValidatingAdmissionPolicyBinding',
  'validatingadmissionpolicybindings',
  apiExtensionsCategory,
);
export const validatingWebhookConfigurations = admission<admissionregistration.ValidatingWebhookConfiguration>(
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  apiExtensionsCategory,
);

export const customResourceDefinitions = ref('apiextensions.k8s.io', 'v1', false)<apiextensions.CustomResourceDefinition>(
  'CustomResourceDefinition',
  'customresourcedefinitions',
  { short: ['crd', 'crds'], ...apiExtensionsCategory },
);
export const apiServices = ref('apiregistration.k8s.io', 'v1', false)<apiregistration.APIService>(
  'APIService',
  'apiservices',
  apiExtensionsCategory,
);

const flow = ref('flowcontrol.apiserver.k8s.io', 'v1', false);
export const flowSchemas = flow<flowcontrol.FlowSchema>('FlowSchema', 'flowschemas');
export const priorityLevelConfigurations = flow<flowcontrol.PriorityLevelConfiguration>(
  'PriorityLevelConfiguration',
  'prioritylevelconfigurations',
);

const dra = ref('resource.k8s.io', 'v1', true);
const draCluster = ref('resource.k8s.io', 'v1', false);
export const deviceClasses = draCluster<resource.DeviceClass>('DeviceClass', 'deviceclasses');
export const resourceClaims = dra<resource.ResourceClaim>('ResourceClaim', 'resourceclaims');
export const resourceClaimTemplates = dra<resource.ResourceClaimTemplate>('ResourceClaimTemplate', 'resourceclaimtemplates');
export const resourceSlices = draCluster<resource.ResourceSlice>('ResourceSlice', 'resourceslices');

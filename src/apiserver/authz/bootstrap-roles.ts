/**
 * The cluster roles that upstream makes at start (plugin/pkg/auth/authorizer/rbac/bootstrappolicy of 1.36), as a table.
 * A rule is "verbs groups resources [names]", each a comma-separated list; "core" is the core group. A rule with two
 * parts is "verbs urls".
 */

const read = 'get,list,watch';
const readWrite = 'create,delete,deletecollection,get,list,patch,update,watch';
const readUpdate = 'get,list,patch,update,watch';
const write = 'create,delete,deletecollection,patch,update';
const events = 'create,patch,update core,events.k8s.io events';
const reviews = ['create authentication.k8s.io tokenreviews', 'create authorization.k8s.io subjectaccessreviews'];
const podAccess = 'pods/attach,pods/exec,pods/portforward,pods/proxy';

export interface RoleSpec {
  readonly rules?: readonly string[];
  /** The label aggregate-to-<x> that it collects. */
  readonly aggregates?: string;
  /** The label aggregate-to-<x> that it carries. */
  readonly aggregateTo?: string;
}

const signerApprover = (signer: string): RoleSpec => ({ rules: [`approve certificates.k8s.io signers kubernetes.io/${signer}`] });

export const bootstrapClusterRoles: Readonly<Record<string, RoleSpec>> = {
  'cluster-admin': { rules: ['* * *', '* *'] },
  admin: { aggregates: 'admin' },
  edit: { aggregates: 'edit', aggregateTo: 'admin' },
  view: { aggregates: 'view', aggregateTo: 'edit' },
  'system:aggregate-to-admin': {
    aggregateTo: 'admin',
    rules: ['create authorization.k8s.io localsubjectaccessreviews', `${readWrite} rbac.authorization.k8s.io rolebindings,roles`],
  },
  'system:aggregate-to-edit': {
    aggregateTo: 'edit',
    rules: [
      `${read} core ${podAccess},secrets,services/proxy`,
      'impersonate core serviceaccounts',
      `${write} core pods,${podAccess}`,
      'create core pods/eviction',
      `${write} core configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy`,
      'create core serviceaccounts/token',
      `${write} apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale`,
      `${write} autoscaling horizontalpodautoscalers`,
      `${write} batch cronjobs,jobs`,
      `${write} extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale`,
      `${write} policy poddisruptionbudgets`,
      `${write} networking.k8s.io ingresses,networkpolicies`,
      `${readWrite} coordination.k8s.io leases`,
      `${write} resource.k8s.io resourceclaims,resourceclaimtemplates`,
    ],
  },
  'system:aggregate-to-view': {
    aggregateTo: 'view',
    rules: [
      `${read} core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status`,
      `${read} core bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status`,
      `${read} core namespaces`,
      `${read} discovery.k8s.io endpointslices`,
      `${read} apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status`,
      `${read} autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status`,
      `${read} batch cronjobs,cronjobs/status,jobs,jobs/status`,
      `${read} extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale`,
      `${read} policy poddisruptionbudgets,poddisruptionbudgets/status`,
      `${read} networking.k8s.io ingresses,ingresses/status,networkpolicies`,
      `${read} resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates`,
    ],
  },
  'system:discovery': {
    rules: ['get /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/'],
  },
  'system:basic-user': {
    rules: [
      'create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews',
      'create authentication.k8s.io selfsubjectreviews',
    ],
  },
  'system:public-info-viewer': { rules: ['get /healthz,/livez,/readyz,/version,/version/'] },
  'system:monitoring': {
    rules: ['get /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*'],
  },
  'system:service-account-issuer-discovery': {
    rules: ['get /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/'],
  },
  'system:auth-delegator': { rules: reviews },
  'system:kube-aggregator': { rules: [`${read} core endpoints,services`] },
  'system:kube-dns': { rules: ['list,watch core endpoints,services'] },
  'system:heapster': { rules: [`${read} core events,namespaces,nodes,pods`, `${read} extensions deployments`] },
  'system:kubelet-api-admin': {
    rules: [
      `${read} core nodes`,
      'proxy core nodes',
      '* core nodes/configz,nodes/healthz,nodes/log,nodes/metrics,nodes/pods,nodes/proxy,nodes/stats',
    ],
  },
  'system:node': {
    rules: [
      'create authentication.k8s.io tokenreviews',
      'create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews',
      `${read} core services`,
      'create,get,list,watch core nodes',
      'patch,update core nodes/status',
      'patch,update core nodes',
      'create,patch,update core events',
      `${read} core pods`,
      'create,delete core pods',
      'patch,update core pods/status',
      'create core pods/eviction',
      `${read} core configmaps,secrets`,
      'get core persistentvolumeclaims,persistentvolumes',
      'get core endpoints',
      'create,get,list,watch certificates.k8s.io certificatesigningrequests',
      'create,delete,get,patch,update coordination.k8s.io leases',
      'get storage.k8s.io volumeattachments',
      'create core serviceaccounts/token',
      'get,patch,update core persistentvolumeclaims/status',
      `${read} storage.k8s.io csidrivers`,
      'create,delete,get,patch,update storage.k8s.io csinodes',
      `${read} node.k8s.io runtimeclasses`,
      'get resource.k8s.io resourceclaims',
      'deletecollection resource.k8s.io resourceslices',
      'get core serviceaccounts',
    ],
  },
  'system:node-bootstrapper': { rules: ['create,get,list,watch certificates.k8s.io certificatesigningrequests'] },
  'system:node-problem-detector': { rules: ['get core nodes', 'patch core nodes/status', events] },
  'system:node-proxier': {
    rules: [
      'list,watch core endpoints,services',
      `${read} core nodes`,
      events,
      'list,watch discovery.k8s.io endpointslices',
      'list,watch networking.k8s.io servicecidrs',
    ],
  },
  'system:persistent-volume-provisioner': {
    rules: [
      'create,delete,get,list,watch core persistentvolumes',
      'get,list,update,watch core persistentvolumeclaims',
      `${read} storage.k8s.io storageclasses`,
      'watch core events',
      events,
    ],
  },
  'system:volume-scheduler': {
    rules: [
      'get,list,patch,update,watch core persistentvolumes',
      `${read} storage.k8s.io storageclasses`,
      'get,list,patch,update,watch core persistentvolumeclaims',
    ],
  },
  'system:kube-controller-manager': {
    rules: [
      events,
      'create coordination.k8s.io leases',
      'get,update coordination.k8s.io leases kube-controller-manager',
      'create core secrets,serviceaccounts',
      'delete core secrets',
      'get core configmaps,namespaces,secrets,serviceaccounts',
      'update core secrets,serviceaccounts',
      ...reviews,
      'list,watch * *',
      'create core serviceaccounts/token',
    ],
  },
  'system:kube-scheduler': {
    rules: [
      events,
      'create coordination.k8s.io leases',
      'get,list,update,watch coordination.k8s.io leases kube-scheduler',
      `${readWrite} coordination.k8s.io leasecandidates`,
      `${read} core nodes`,
      'delete,get,list,watch core pods',
      'create core bindings,pods/binding',
      'patch,update core pods/status',
      `${read} core replicationcontrollers,services`,
      `${read} apps,extensions replicasets`,
      `${read} apps statefulsets`,
      `${read} policy poddisruptionbudgets`,
      `${read} core persistentvolumeclaims,persistentvolumes`,
      ...reviews,
      `${read} storage.k8s.io csinodes`,
      `${read} core namespaces`,
      `${read} storage.k8s.io csidrivers`,
      `${read} storage.k8s.io csistoragecapacities`,
      `${read} storage.k8s.io volumeattachments`,
      `${read} resource.k8s.io deviceclasses`,
      `${readUpdate} resource.k8s.io resourceclaims`,
      `${readUpdate} resource.k8s.io resourceclaims/status`,
      `${readUpdate} core pods/finalizers`,
      `${read} resource.k8s.io resourceslices`,
      'patch,update resource.k8s.io resourceclaims/binding',
    ],
  },
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': {
    rules: ['create certificates.k8s.io certificatesigningrequests/nodeclient'],
  },
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': {
    rules: ['create certificates.k8s.io certificatesigningrequests/selfnodeclient'],
  },
  'system:certificates.k8s.io:kube-apiserver-client-approver': signerApprover('kube-apiserver-client'),
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': signerApprover('kube-apiserver-client-kubelet'),
  'system:certificates.k8s.io:kubelet-serving-approver': signerApprover('kubelet-serving'),
  'system:certificates.k8s.io:legacy-unknown-approver': signerApprover('legacy-unknown'),
  // k3ts' own: what the node's data plane reads beyond services (network policies and what they select).
  'system:k3ts-controller': {
    rules: [
      `${read} core namespaces,nodes,pods,services,endpoints`,
      `${read} networking.k8s.io networkpolicies`,
      `${read} discovery.k8s.io endpointslices`,
      events,
    ],
  },
};

/** Roles system:controller:<name>, each bound to the service account <name> of kube-system. */
export const controllerRoles: Readonly<Record<string, readonly string[]>> = {
  'attachdetach-controller': [
    'list,watch core persistentvolumeclaims,persistentvolumes',
    `${read} core nodes`,
    'patch,update core nodes/status',
    'list,watch core pods',
    events,
    'create,delete,get,list,watch storage.k8s.io volumeattachments',
    `${read} storage.k8s.io csidrivers`,
    `${read} storage.k8s.io csinodes`,
  ],
  'clusterrole-aggregation-controller': ['escalate,get,list,patch,update,watch rbac.authorization.k8s.io clusterroles'],
  'cronjob-controller': [
    'get,list,update,watch batch cronjobs',
    'create,delete,get,list,patch,update,watch batch jobs',
    'update batch cronjobs/status',
    'update batch cronjobs/finalizers',
    'delete,list,watch core pods',
    events,
  ],
  'daemon-set-controller': [
    `${read} apps,extensions daemonsets`,
    'update apps,extensions daemonsets/status',
    'update apps,extensions daemonsets/finalizers',
    'list,watch core nodes',
    'create,delete,list,patch,watch core pods',
    'create core pods/binding',
    'create,delete,get,list,patch,update,watch apps controllerrevisions',
    events,
  ],
  'deployment-controller': [
    'get,list,update,watch apps,extensions deployments',
    'update apps,extensions deployments/status',
    'update apps,extensions deployments/finalizers',
    'create,delete,get,list,patch,update,watch apps,extensions replicasets',
    'get,list,update,watch core pods',
    events,
  ],
  'device-taint-eviction-controller': [
    'delete,get,list,watch core pods',
    'patch,update core pods/status',
    `${read} resource.k8s.io resourceclaims`,
    `${read} resource.k8s.io resourceslices`,
    `${read} resource.k8s.io deviceclasses`,
    events,
  ],
  'disruption-controller': [
    `${read} apps,extensions deployments`,
    `${read} apps,extensions replicasets`,
    `${read} core replicationcontrollers`,
    `${read} policy poddisruptionbudgets`,
    `${read} apps statefulsets`,
    'update policy poddisruptionbudgets/status',
    'patch,update core pods/status',
    'get * */scale',
    events,
  ],
  'endpoint-controller': [
    `${read} core pods,services`,
    'create,delete,get,list,update,watch core endpoints',
    'create core endpoints/restricted',
    events,
  ],
  'endpointslice-controller': [
    `${read} core nodes,pods,services`,
    'update core services/finalizers',
    'create,delete,get,list,update,watch discovery.k8s.io endpointslices',
    events,
  ],
  'endpointslicemirroring-controller': [
    `${read} core endpoints,services`,
    'update core services/finalizers',
    'update core endpoints/finalizers',
    'create,delete,get,list,update,watch discovery.k8s.io endpointslices',
    events,
  ],
  'ephemeral-volume-controller': [
    `${read} core pods`,
    'update core pods/finalizers',
    'create,get,list,watch core persistentvolumeclaims',
    events,
  ],
  'expand-controller': [
    'get,list,patch,update,watch core persistentvolumes',
    'patch,update core persistentvolumeclaims/status',
    `${read} core persistentvolumeclaims`,
    events,
  ],
  'generic-garbage-collector': ['delete,get,list,patch,update,watch * *', events],
  'horizontal-pod-autoscaler': [
    `${read} autoscaling horizontalpodautoscalers`,
    'update autoscaling horizontalpodautoscalers/status',
    'get,update * */scale',
    'list,watch core pods',
    'list,watch metrics.k8s.io pods',
    `${read} custom.metrics.k8s.io *`,
    `${read} external.metrics.k8s.io *`,
    events,
  ],
  'job-controller': [
    'get,list,patch,update,watch batch jobs',
    'update batch jobs/status',
    'update batch jobs/finalizers',
    'create,delete,list,patch,watch core pods',
    events,
  ],
  'legacy-service-account-token-cleaner': [
    'get core configmaps kube-apiserver-legacy-service-account-token-tracking',
    'delete,patch core secrets',
  ],
  'namespace-controller': [
    'delete,get,list,watch core namespaces',
    'update core namespaces/finalize,namespaces/status',
    'delete,deletecollection,get,list,watch * *',
  ],
  'node-controller': [
    'delete,get,list,patch,update,watch core nodes',
    'patch,update core nodes/status',
    'patch,update core pods/status',
    'delete,get,list,watch core pods',
    events,
  ],
  'persistent-volume-binder': [
    'create,delete,get,list,update,watch core persistentvolumes',
    'update core persistentvolumes/status',
    'get,list,update,watch core persistentvolumeclaims',
    'update core persistentvolumeclaims/status',
    'create,delete,get,list,watch core pods',
    `${read} storage.k8s.io storageclasses`,
    'list,watch core nodes',
    events,
    'watch core events',
  ],
  'pod-garbage-collector': ['delete,list,watch core pods', `${read} core nodes`, 'patch core pods/status'],
  'pv-protection-controller': ['get,list,update,watch core persistentvolumes', events],
  'pvc-protection-controller': ['get,list,update,watch core persistentvolumeclaims', `${read} core pods`, events],
  'replicaset-controller': [
    'get,list,update,watch apps,extensions replicasets',
    'update apps,extensions replicasets/status',
    'update apps,extensions replicasets/finalizers',
    'create,delete,list,patch,watch core pods',
    events,
  ],
  'replication-controller': [
    'get,list,update,watch core replicationcontrollers',
    'update core replicationcontrollers/status',
    'update core replicationcontrollers/finalizers',
    'create,delete,list,patch,watch core pods',
    events,
  ],
  'resource-claim-controller': [
    `${read} core pods`,
    'update core pods/finalizers',
    'create,delete,get,list,watch resource.k8s.io resourceclaims',
    'patch,update resource.k8s.io resourceclaims,resourceclaims/status',
    'patch,update core pods/status',
    events,
    'patch,update resource.k8s.io resourceclaims/binding',
  ],
  'resourcequota-controller': ['list,watch * *', 'update core resourcequotas/status', events],
  'root-ca-cert-publisher': ['create,update core configmaps', events],
  'route-controller': ['list,watch core nodes', 'patch core nodes/status', events],
  'selinux-warning-controller': [
    events,
    `${read} core persistentvolumes`,
    `${read} core persistentvolumeclaims`,
    `${read} core pods`,
    `${read} storage.k8s.io csidrivers`,
  ],
  'service-account-controller': ['create core serviceaccounts', events],
  'service-cidrs-controller': [
    'get,list,patch,update,watch networking.k8s.io servicecidrs',
    'patch,update networking.k8s.io servicecidrs/finalizers',
    'patch,update networking.k8s.io servicecidrs/status',
    `${read} networking.k8s.io ipaddresses`,
    events,
  ],
  'service-controller': [`${read} core services`, 'patch,update core services/status', 'list,watch core nodes', events],
  'statefulset-controller': [
    'list,watch core pods',
    `${read} apps statefulsets`,
    'update apps statefulsets/status',
    'update apps statefulsets/finalizers',
    'create,delete,get,patch,update core pods',
    'create,delete,get,list,patch,update,watch apps controllerrevisions',
    'create,get,list,watch core persistentvolumeclaims',
    'delete,update core persistentvolumeclaims',
    'update core pods/finalizers',
    events,
  ],
  'ttl-after-finished-controller': ['delete,get,list,watch batch jobs', events],
  'ttl-controller': ['list,patch,update,watch core nodes', events],
  'validatingadmissionpolicy-status-controller': [
    `${read} admissionregistration.k8s.io validatingadmissionpolicies`,
    'get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status',
    events,
  ],
  'volumeattributesclass-protection-controller': [
    `${read} core persistentvolumeclaims`,
    `${read} core persistentvolumes`,
    'get,list,update,watch storage.k8s.io volumeattributesclasses',
    events,
  ],
  'certificate-controller': [
    'delete,get,list,watch certificates.k8s.io certificatesigningrequests',
    'update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status',
    'approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet',
    'sign certificates.k8s.io signers kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving,kubernetes.io/legacy-unknown',
    'create authorization.k8s.io subjectaccessreviews',
    events,
  ],
};

/** Cluster role → subjects: "Group:<name>", "User:<name>". */
export const bootstrapClusterBindings: Readonly<Record<string, readonly string[]>> = {
  'cluster-admin': ['Group:system:masters'],
  'system:monitoring': ['Group:system:monitoring'],
  'system:discovery': ['Group:system:authenticated'],
  'system:basic-user': ['Group:system:authenticated'],
  'system:public-info-viewer': ['Group:system:authenticated', 'Group:system:unauthenticated'],
  'system:node-proxier': ['User:system:kube-proxy'],
  'system:kube-controller-manager': ['User:system:kube-controller-manager'],
  'system:kube-dns': ['ServiceAccount:kube-system:kube-dns'],
  'system:kube-scheduler': ['User:system:kube-scheduler'],
  'system:volume-scheduler': ['User:system:kube-scheduler'],
  // Nodes get their rights from the node authorizer; upstream keeps the binding without subjects.
  'system:node': [],
  'system:service-account-issuer-discovery': ['Group:system:serviceaccounts'],
  'system:k3ts-controller': ['User:system:k3ts-controller'],
};

export interface NamespacePolicy {
  readonly namespace: string;
  readonly roles: Readonly<Record<string, readonly string[]>>;
  /** Binding → role and subjects. */
  readonly bindings: Readonly<Record<string, { readonly role: string; readonly subjects: readonly string[] }>>;
}

const signer = 'system:controller:bootstrap-signer';
const bindOwn = (role: string, ...subjects: readonly string[]) => ({ [role]: { role, subjects } });

export const namespacePolicies: readonly NamespacePolicy[] = [
  {
    namespace: 'kube-system',
    roles: {
      'extension-apiserver-authentication-reader': [`${read} core configmaps extension-apiserver-authentication`],
      [signer]: [`${read} core secrets`],
      'system:controller:cloud-provider': ['create,get,list,watch core configmaps'],
      'system:controller:token-cleaner': ['delete,get,list,watch core secrets', events],
      'system::leader-locking-kube-controller-manager': [
        'watch core configmaps',
        'get,update core configmaps kube-controller-manager',
        'create,get,list,update,watch coordination.k8s.io leases',
      ],
      'system::leader-locking-kube-scheduler': ['watch core configmaps', 'get,update core configmaps kube-scheduler'],
    },
    bindings: {
      'system::extension-apiserver-authentication-reader': {
        role: 'extension-apiserver-authentication-reader',
        subjects: ['User:system:kube-controller-manager', 'User:system:kube-scheduler'],
      },
      ...bindOwn(
        'system::leader-locking-kube-controller-manager',
        'User:system:kube-controller-manager',
        'ServiceAccount:kube-system:kube-controller-manager',
        'ServiceAccount:kube-system:leader-election-controller',
      ),
      ...bindOwn('system::leader-locking-kube-scheduler', 'User:system:kube-scheduler', 'ServiceAccount:kube-system:kube-scheduler'),
      ...bindOwn(signer, 'ServiceAccount:kube-system:bootstrap-signer'),
      ...bindOwn('system:controller:cloud-provider', 'ServiceAccount:kube-system:cloud-provider'),
      ...bindOwn('system:controller:token-cleaner', 'ServiceAccount:kube-system:token-cleaner'),
    },
  },
  {
    namespace: 'kube-public',
    roles: { [signer]: [`${read} core configmaps`, 'update core configmaps cluster-info', events] },
    bindings: bindOwn(signer, 'ServiceAccount:kube-system:bootstrap-signer'),
  },
];

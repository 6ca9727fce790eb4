/**
 * An object of every kind that may be created, as upstream's test/integration/etcd/data.go has them: what there is beside kind,
 * apiVersion and metadata. By group, version and resource.
 */
import { generateKeyPairSync, sign } from 'node:crypto';

const containers = [{ name: 'c', image: 'example.test/tool:1' }];
const template = (restartPolicy = 'Always') => ({ metadata: { labels: { a: 'b' } }, spec: { containers, restartPolicy } });
const selector = { matchLabels: { a: 'b' } };
const workload = { selector, template: template() };
const scaleTargetRef = { kind: 'something', name: 'cross', apiVersion: 'apps/v1' };
const volume = { accessModes: ['ReadWriteOnce'], capacity: { storage: '3M' }, hostPath: { path: '/tmp/test/' } };
const rules = [{ apiGroups: [''], apiVersions: ['v1'], resources: ['nothing'], operations: ['CREATE'] }];
const webhook = {
  name: 'hook.example.com',
  clientConfig: { url: 'https://127.0.0.1:1/' },
  rules,
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
};
const devices = { requests: [{ name: 'r', exactly: { deviceClassName: 'class' } }] };
const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };

export interface CertificateRequest {
  /** base64 of PEM. */
  readonly request: string;
  readonly key: string;
}

/** The smallest PKCS#10 request there is, signed with Ed25519. */
export function certificateRequest(commonName: string): CertificateRequest {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const tlv = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
    const body = Buffer.concat(parts);
    return Buffer.concat([Buffer.from(body.length < 128 ? [tag, body.length] : [tag, 0x81, body.length]), body]);
  };
  const name = tlv(0x30, tlv(0x31, tlv(0x30, Buffer.from('0603550403', 'hex'), tlv(0x0c, Buffer.from(commonName)))));
  const info = tlv(0x30, Buffer.from('020100', 'hex'), name, publicKey.export({ type: 'spki', format: 'der' }), Buffer.from('a000', 'hex'));
  const signature = sign(null, info, privateKey);
  const der = tlv(0x30, info, Buffer.from('300506032b6570', 'hex'), tlv(0x03, Buffer.from([0]), signature));
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  return { request: Buffer.from(pem).toString('base64'), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

export interface Stub {
  readonly body: Readonly<Record<string, unknown>>;
  /** Where the kind does not leave it open. */
  readonly name?: string;
}

const stub = (body: Readonly<Record<string, unknown>>, name?: string): Stub => ({ body, ...(name === undefined ? {} : { name }) });

export const stubs: Readonly<Record<string, Stub>> = {
  'v1 configmaps': stub({ data: { foo: 'bar' } }),
  'v1 services': stub({ spec: { type: 'LoadBalancer', ports: [{ port: 10_000, targetPort: 11_000 }], selector: { test: 'data' } } }),
  'v1 podtemplates': stub({ template: template() }),
  'v1 pods': stub({ spec: { containers } }),
  'v1 endpoints': stub({ subsets: [{ addresses: [{ hostname: 'bar-001', ip: '192.168.3.1' }], ports: [{ port: 8000 }] }] }),
  'v1 resourcequotas': stub({ spec: { hard: { cpu: '5M' } } }),
  'v1 limitranges': stub({ spec: { limits: [{ type: 'Pod' }] } }),
  'v1 namespaces': stub({ spec: { finalizers: ['kubernetes'] } }),
  'v1 nodes': stub({ spec: { unschedulable: true } }),
  'v1 persistentvolumes': stub({ spec: volume }),
  'v1 events': stub({ involvedObject: { namespace: 'NAMESPACE' }, message: 'some data here' }),
  'v1 persistentvolumeclaims': stub({
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2M' } }, selector: { matchLabels: { pvc: 'stuff' } } },
  }),
  'v1 serviceaccounts': stub({ secrets: [{ name: 'secret00' }] }),
  'v1 secrets': stub({ data: { key: 'ZGF0YSBmaWxl' } }),
  'v1 replicationcontrollers': stub({ spec: { selector: { a: 'b' }, template: template() } }),
  'apps/v1 daemonsets': stub({ spec: workload }),
  'apps/v1 deployments': stub({ spec: workload }),
  'apps/v1 statefulsets': stub({ spec: workload }),
  'apps/v1 replicasets': stub({ spec: workload }),
  'apps/v1 controllerrevisions': stub({ data: { any: 'thing' }, revision: 0 }),
  'autoscaling/v1 horizontalpodautoscalers': stub({ spec: { maxReplicas: 3, scaleTargetRef } }),
  'autoscaling/v2 horizontalpodautoscalers': stub({ spec: { maxReplicas: 3, scaleTargetRef } }),
  'batch/v1 jobs': stub({ spec: { manualSelector: true, selector, template: template('Never') } }),
  'batch/v1 cronjobs': stub({ spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: template('Never') } } } }),
  'certificates.k8s.io/v1 certificatesigningrequests': stub({
    spec: { signerName: 'example.com/signer', usages: ['any'], request: certificateRequest('someone').request },
  }),
  'coordination.k8s.io/v1 leases': stub({ spec: { holderIdentity: 'holder', leaseDurationSeconds: 5 } }),
  'discovery.k8s.io/v1 endpointslices': stub({ addressType: 'IPv4', endpoints: [{ addresses: ['192.168.3.1'] }], ports: [] }),
  'events.k8s.io/v1 events': stub({
    regarding: { namespace: 'NAMESPACE' },
    note: 'some data here',
    eventTime: '2017-08-09T15:04:05.000000Z',
    reportingInstance: 'node-xyz',
    reportingController: 'k8s.io/my-controller',
    action: 'DidNothing',
    reason: 'Laziness',
    type: 'Normal',
  }),
  'networking.k8s.io/v1 ingresses': stub({ spec: { defaultBackend: { service: { name: 'service', port: { number: 5000 } } } } }),
  'networking.k8s.io/v1 ingressclasses': stub({ spec: { controller: 'example.com/controller' } }),
  'networking.k8s.io/v1 networkpolicies': stub({ spec: { podSelector: { matchLabels: { e: 'f' } } } }),
  'networking.k8s.io/v1 ipaddresses': stub(
    { spec: { parentRef: { resource: 'services', name: 'none', namespace: 'default' } } },
    '192.0.2.7',
  ),
  'networking.k8s.io/v1 servicecidrs': stub({ spec: { cidrs: ['192.168.0.0/24'] } }),
  'policy/v1 poddisruptionbudgets': stub({ spec: { selector: { matchLabels: { anokkey: 'anokvalue' } } } }),
  'storage.k8s.io/v1 storageclasses': stub({ provisioner: 'example.com/aws-ebs' }),
  'storage.k8s.io/v1 volumeattachments': stub({
    spec: { attacher: 'gce', nodeName: 'localhost', source: { persistentVolumeName: 'pv1' } },
  }),
  'storage.k8s.io/v1 volumeattributesclasses': stub({ driverName: 'example.com/driver', parameters: { foo: 'bar' } }),
  'storage.k8s.io/v1 csinodes': stub({
    spec: { drivers: [{ name: 'test-driver', nodeID: 'localhost', topologyKeys: ['company.com/zone1'] }] },
  }),
  'storage.k8s.io/v1 csidrivers': stub({ spec: { attachRequired: true, podInfoOnMount: true } }),
  'storage.k8s.io/v1 csistoragecapacities': stub({ storageClassName: 'sc1' }),
  'node.k8s.io/v1 runtimeclasses': stub({ handler: 'h1' }),
  'scheduling.k8s.io/v1 priorityclasses': stub({ value: 1000 }),
  'flowcontrol.apiserver.k8s.io/v1 flowschemas': stub({ spec: { priorityLevelConfiguration: { name: 'exempt' } } }),
  'flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations': stub({
    spec: { type: 'Limited', limited: { nominalConcurrencyShares: 3, limitResponse: { type: 'Reject' } } },
  }),
  'rbac.authorization.k8s.io/v1 roles': stub({ rules: [{ apiGroups: ['v1'], resources: ['events'], verbs: ['watch'] }] }),
  'rbac.authorization.k8s.io/v1 clusterroles': stub({ rules: [{ nonResourceURLs: ['/version'], verbs: ['get'] }] }),
  'rbac.authorization.k8s.io/v1 rolebindings': stub({ roleRef, subjects: [{ apiGroup: roleRef.apiGroup, kind: 'Group', name: 'g' }] }),
  'rbac.authorization.k8s.io/v1 clusterrolebindings': stub({
    roleRef,
    subjects: [{ apiGroup: roleRef.apiGroup, kind: 'Group', name: 'g' }],
  }),
  'admissionregistration.k8s.io/v1 validatingwebhookconfigurations': stub({ webhooks: [webhook] }),
  'admissionregistration.k8s.io/v1 mutatingwebhookconfigurations': stub({ webhooks: [webhook] }),
  'admissionregistration.k8s.io/v1 validatingadmissionpolicies': stub({
    spec: { validations: [{ expression: 'true' }], matchConstraints: { resourceRules: rules } },
  }),
  'admissionregistration.k8s.io/v1 validatingadmissionpolicybindings': stub({ spec: { policyName: 'none', validationActions: ['Deny'] } }),
  'admissionregistration.k8s.io/v1 mutatingadmissionpolicies': stub({
    spec: {
      reinvocationPolicy: 'Never',
      matchConstraints: { resourceRules: rules },
      mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{}' } }],
    },
  }),
  'admissionregistration.k8s.io/v1 mutatingadmissionpolicybindings': stub({ spec: { policyName: 'none' } }),
  'apiregistration.k8s.io/v1 apiservices': stub(
    {
      spec: {
        group: 'as2.foo.com',
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 10,
        service: { name: 's', namespace: 'none' },
      },
    },
    'v1.as2.foo.com',
  ),
  'apiextensions.k8s.io/v1 customresourcedefinitions': stub(
    {
      spec: {
        group: 'cr.bar.com',
        scope: 'Namespaced',
        names: { plural: 'foos', kind: 'Foo' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    },
    'foos.cr.bar.com',
  ),
  'resource.k8s.io/v1 deviceclasses': stub({ spec: {} }),
  'resource.k8s.io/v1 resourceclaims': stub({ spec: { devices } }),
  'resource.k8s.io/v1 resourceclaimtemplates': stub({ spec: { spec: { devices } } }),
  'resource.k8s.io/v1 resourceslices': stub({
    spec: { nodeName: 'worker1', driver: 'dra.example.com', pool: { name: 'worker1', resourceSliceCount: 1 } },
  }),
};

import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import type { PodSpec, Toleration } from '#kube/generated/core-v1.ts';
import { configMaps, namespaces, pods, services } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import type { AdmissionPlugin, Authorize } from '../contract.ts';
import { testObjects } from '../test-objects.ts';
import { missingConfiguration, noAdmissionConfiguration, parseAdmissionConfiguration } from './configuration.ts';
import {
  createNamespaceAutoProvision,
  createNamespaceExists,
  createOwnerReferencesPermissionEnforcement,
  denyServiceExternalIps,
} from './optional-plugins.ts';
import {
  alwaysPullImages,
  createPodNodeSelector,
  createPodTolerationRestriction,
  extendedResourceToleration,
  limitPodHardAntiAffinityTopology,
} from './optional-pods.ts';
import { choosePlugins, pluginChoiceProblem } from './plugin-order.ts';
import { createPodSecurity } from './pod-security.ts';
import { violations } from './pod-security-levels.ts';
import { createPodSecurityMetrics } from './pod-security-metrics.ts';
import { ask, onlyConfigMaps } from './testing.ts';

const pod = (spec: object = {}, metadata: object = {}): object => ({
  metadata: { name: 'p', namespace: 'default', ...metadata },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const specOf = (draft: object): PodSpec => (draft as { spec: PodSpec }).spec;
const withNamespace = async (annotations: Record<string, string> = {}, labels: Record<string, string> = {}) => {
  const objects = await testObjects(builtinKinds);
  await objects.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', annotations, labels } });
  return objects;
};

test.each([
  ['ImagePolicyWebhook', 'couldn\'t init admission plugin "ImagePolicyWebhook": no config specified'],
  ['EventRateLimit', 'couldn\'t init admission plugin "EventRateLimit": limits: Invalid value: null: must not be empty'],
  ['AlwaysPullImages', undefined],
])('%s without a configuration', (name, problem) => {
  expect(missingConfiguration({ enabled: [name], disabled: [] }, noAdmissionConfiguration)).toBe(problem);
  expect(missingConfiguration({ enabled: [], disabled: [] }, noAdmissionConfiguration)).toBeUndefined();
});

describe('the choice of plugins', () => {
  const named = (name: string): AdmissionPlugin => ({ name, handles: () => true });
  const names =
    (...on: string[]) =>
    (choice: { enabled?: string[]; disabled?: string[] }) =>
      choosePlugins(on.map(named), { enabled: [], disabled: [], ...choice }).map((p) => p.name);

  test('keeps upstream’s order, with what is no plugin before webhooks and policies', () => {
    const all = names(
      'ResourceQuota',
      'Own',
      'MutatingAdmissionPolicy',
      'CertificateSigning',
      'DefaultIngressClass',
      'LimitRanger',
      'AlwaysPullImages',
    );
    expect(all({})).toEqual([
      'LimitRanger',
      'CertificateSigning',
      'DefaultIngressClass',
      'Own',
      'MutatingAdmissionPolicy',
      'ResourceQuota',
    ]);
    expect(all({ enabled: ['AlwaysPullImages'], disabled: ['LimitRanger'] }).slice(0, 2)).toEqual([
      'AlwaysPullImages',
      'CertificateSigning',
    ]);
  });

  test.each<[string[], string[], string | undefined]>([
    [['AlwaysPullImages'], ['LimitRanger'], undefined],
    [['Nothing'], [], 'enable-admission-plugins plugin "Nothing" is unknown'],
    [[], ['Nothing'], 'disable-admission-plugins plugin "Nothing" is unknown'],
    [['Priority'], ['Priority'], '[Priority] in enable-admission-plugins and disable-admission-plugins overlapped'],
  ])('enable %j, disable %j', (enabled, disabled, problem) => {
    expect(pluginChoiceProblem({ enabled, disabled })).toBe(problem);
  });
});

describe('plugins that are off by default', () => {
  test('AlwaysPullImages sets the policy of every container, but not where no image comes', async () => {
    const made = await ask([alwaysPullImages], pods, {
      object: pod({ initContainers: [{ name: 'i', image: 'i', imagePullPolicy: 'Never' }] }),
    });
    expect([...specOf(made).containers, ...(specOf(made).initContainers ?? [])].map((c) => c.imagePullPolicy)).toEqual([
      'Always',
      'Always',
    ]);
    const same = await ask([alwaysPullImages], pods, { operation: 'UPDATE', object: pod(), oldObject: pod() });
    expect(specOf(same).containers[0]?.imagePullPolicy).toBeUndefined();
  });

  test('LimitPodHardAntiAffinityTopology lets pods keep others off their host only', async () => {
    const podAntiAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone' }] };
    await expect(ask([limitPodHardAntiAffinityTopology], pods, { object: pod({ affinity: { podAntiAffinity } }) })).rejects.toThrow(
      'affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key kubernetes.io/hostname is allowed',
    );
  });

  test('ExtendedResourceToleration tolerates what the pod asks for', async () => {
    const resources = { requests: { cpu: '1', 'example.com/gpu': '1' } };
    const made = await ask([extendedResourceToleration], pods, { object: pod({ containers: [{ name: 'c', resources }] }) });
    expect(specOf(made).tolerations).toEqual([{ key: 'example.com/gpu', operator: 'Exists' }]);
  });

  test('PodNodeSelector adds the namespace’s selector and holds pods to the configured one', async () => {
    const objects = await withNamespace({ 'scheduler.alpha.kubernetes.io/node-selector': 'env=prod, zone=a' });
    const plugins = [createPodNodeSelector(objects, { default: 'env=prod,zone=a' })];
    expect(specOf(await ask(plugins, pods, { object: pod() })).nodeSelector).toEqual({ env: 'prod', zone: 'a' });
    await expect(ask(plugins, pods, { object: pod({ nodeSelector: { env: 'dev' } }) })).rejects.toThrow(
      'pods "p" is forbidden: pod node label selector conflicts with its namespace node label selector',
    );
    await expect(ask(plugins, pods, { object: pod({ nodeSelector: { disk: 'ssd' } }) })).rejects.toThrow(
      'pod node label selector labels conflict with its namespace whitelist',
    );
  });

  test('PodTolerationRestriction gives and limits tolerations', async () => {
    const tolerations: Toleration[] = [{ key: 'a', operator: 'Exists', effect: 'NoSchedule' }];
    const text = JSON.stringify(tolerations);
    const plugins = [
      createPodTolerationRestriction(
        await withNamespace({
          'scheduler.alpha.kubernetes.io/defaultTolerations': text,
          'scheduler.alpha.kubernetes.io/tolerationsWhitelist': text,
        }),
      ),
    ];
    expect(specOf(await ask(plugins, pods, { object: pod() })).tolerations).toEqual(tolerations);
    await expect(ask(plugins, pods, { object: pod({ tolerations: [{ key: 'b', operator: 'Exists' }] }) })).rejects.toThrow(
      'pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist',
    );
  });

  test('NamespaceAutoProvision makes a namespace, NamespaceExists wants it', async () => {
    const objects = await testObjects(builtinKinds);
    const object = { metadata: { name: 'm', namespace: 'new' } };
    await expect(ask([createNamespaceExists(objects)], configMaps, { namespace: 'new', object })).rejects.toMatchObject({ code: 404 });
    await ask([createNamespaceAutoProvision(objects), createNamespaceExists(objects)], configMaps, { namespace: 'new', object });
    expect(objects.get(namespaces, '', 'new')?.status?.phase).toBe('Active');
  });

  test('DenyServiceExternalIPs refuses new external addresses', async () => {
    const service = (...externalIPs: string[]): object => ({ metadata: { name: 's' }, spec: { externalIPs } });
    await expect(ask([denyServiceExternalIps], services, { object: service('1.2.3.4') })).rejects.toThrow(
      'services "s" is forbidden: Use of external IPs is denied by admission control',
    );
    const shrink = { operation: 'UPDATE', object: service('1.2.3.4'), oldObject: service('1.2.3.4', '5.6.7.8') } as const;
    await expect(ask([denyServiceExternalIps], services, shrink)).resolves.toBeDefined();
  });

  test('OwnerReferencesPermissionEnforcement asks for the rights that owners need', async () => {
    const allowed = new Set<string>();
    const authorize: Authorize = (a) => ({
      decision: allowed.has(`${a.verb} ${a.resource}/${a.subresource}`) ? 'allow' : 'noOpinion',
      reason: 'no rule',
    });
    const plugins = [createOwnerReferencesPermissionEnforcement({ objects: { kindOf: onlyConfigMaps }, authorize })];
    const owned = (blockOwnerDeletion: boolean): object => ({
      metadata: { name: 'm', ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'o', uid: 'u', blockOwnerDeletion }] },
    });
    const update = (object: object) => ask(plugins, configMaps, { operation: 'UPDATE', object, oldObject: { metadata: { name: 'm' } } });
    await expect(update(owned(false))).rejects.toThrow("cannot set an ownerRef on a resource you can't delete: no rule, <nil>");
    allowed.add('delete configmaps/');
    await expect(update(owned(false))).resolves.toBeDefined();
    await expect(update(owned(true))).rejects.toThrow(
      "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: no rule, <nil>",
    );
    allowed.add('update configmaps/finalizers');
    await expect(update(owned(true))).resolves.toBeDefined();
  });
});

describe('pod security', () => {
  const found = (level: 'baseline' | 'restricted', version: string, spec: object, metadata: object = {}): string[] =>
    violations(level, pod(spec, metadata) as Parameters<typeof violations>[1], version).map((v) => v.reason);

  test.each<[string, string, 'baseline' | 'restricted', object, readonly string[]]>([
    [
      'sysctls of 1.27',
      'v1.26',
      'baseline',
      { securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports' }] } },
      ['forbidden sysctls'],
    ],
    ['sysctls of 1.27', 'v1.27', 'baseline', { securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports' }] } }, []],
    ['sysctls of 1.32', 'v1.31', 'baseline', { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem' }] } }, ['forbidden sysctls']],
    [
      'container_engine_t',
      'v1.30',
      'baseline',
      { securityContext: { seLinuxOptions: { type: 'container_engine_t' } } },
      ['seLinuxOptions'],
    ],
    ['container_engine_t', 'v1.31', 'baseline', { securityContext: { seLinuxOptions: { type: 'container_engine_t' } } }, []],
    ['seccomp profiles', 'v1.18', 'baseline', { securityContext: { seccompProfile: { type: 'Unconfined' } } }, []],
    ['seccomp profiles', 'v1.19', 'baseline', { securityContext: { seccompProfile: { type: 'Unconfined' } } }, ['seccompProfile']],
    ['probe hosts', 'v1.33', 'baseline', { containers: [{ name: 'c', livenessProbe: { httpGet: { host: 'x' } } }] }, []],
    [
      'probe hosts',
      'v1.34',
      'baseline',
      { containers: [{ name: 'c', livenessProbe: { httpGet: { host: 'x' } } }] },
      ['probe or lifecycle host'],
    ],
    ['a bare pod', 'v1.7', 'restricted', {}, ['runAsNonRoot != true']],
    ['a bare pod', 'v1.8', 'restricted', {}, ['allowPrivilegeEscalation != false', 'runAsNonRoot != true']],
    ['a bare pod', 'v1.19', 'restricted', {}, ['allowPrivilegeEscalation != false', 'runAsNonRoot != true', 'seccompProfile']],
    [
      'a bare pod',
      'v1.22',
      'restricted',
      {},
      ['allowPrivilegeEscalation != false', 'unrestricted capabilities', 'runAsNonRoot != true', 'seccompProfile'],
    ],
    [
      'user 0',
      'v1.22',
      'restricted',
      { os: { name: 'windows' }, securityContext: { runAsNonRoot: true, runAsUser: 0, seccompProfile: { type: 'Localhost' } } },
      ['allowPrivilegeEscalation != false', 'unrestricted capabilities'],
    ],
    ['a pod on Windows', 'v1.25', 'restricted', { os: { name: 'windows' }, securityContext: { runAsNonRoot: true } }, []],
    ['a version to come', 'v1.999', 'baseline', { hostPID: true }, ['host namespaces']],
  ])('%s in %s, %s', (_what, version, level, spec, expected) => {
    expect(found(level, version, spec)).toEqual(expected);
  });

  test('seccomp annotations count before 1.19', () => {
    const annotations = { 'container.seccomp.security.alpha.kubernetes.io/c': 'unconfined' };
    expect(found('baseline', 'v1.18', {}, { annotations })).toEqual(['seccompProfile']);
    expect(found('baseline', 'v1.19', {}, { annotations })).toEqual([]);
  });

  const configuration = parseAdmissionConfiguration(
    `
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  path: ps.yaml
`,
    () => `
apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
defaults: { enforce: baseline, enforce-version: v1.30, warn: restricted }
exemptions: { usernames: [root], namespaces: [free], runtimeClasses: [vm] }
`,
  );

  test('defaults and exemptions come from a file', async () => {
    const objects = await withNamespace();
    await objects.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'free' } });
    const plugins = [createPodSecurity(objects, createPodSecurityMetrics(new Registry()), configuration.podSecurity)];
    const bad = pod({ hostPID: true });
    const annotations = new Map<string, string>();
    await expect(ask(plugins, pods, { object: bad, annotations })).rejects.toThrow(
      'pods "p" is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostPID=true)',
    );
    expect(annotations.get('pod-security.kubernetes.io/enforce-policy')).toBe('baseline:v1.30');
    for (const [why, more] of Object.entries({ user: { user: { name: 'root', groups: [] } }, namespace: { namespace: 'free' } })) {
      const notes = new Map<string, string>();
      await ask(plugins, pods, { object: bad, annotations: notes, ...more });
      expect(notes.get('pod-security.kubernetes.io/exempt')).toBe(why);
    }
    await expect(ask(plugins, pods, { object: pod({ hostPID: true, runtimeClassName: 'vm' }) })).resolves.toBeDefined();
    const warnings: string[] = [];
    await ask(plugins, namespaces, {
      object: { metadata: { name: 'free', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
      warnings,
    });
    expect(warnings[0]).toMatch(/^namespace "free" is exempt from Pod Security, and the policy \(enforce=restricted:v1.30/);
  });

  test('what is enforced is warned of in templates, too', async () => {
    const warnings: string[] = [];
    const plugins = [
      createPodSecurity(
        await withNamespace({}, { 'pod-security.kubernetes.io/enforce': 'baseline' }),
        createPodSecurityMetrics(new Registry()),
      ),
    ];
    const replicaSets = { ...pods, group: 'apps', plural: 'replicasets', kind: 'ReplicaSet' } as never;
    await ask(plugins, replicaSets, { object: { metadata: { name: 'r' }, spec: { template: pod({ hostPID: true }) } }, warnings });
    expect(warnings).toEqual(['would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)']);
  });

  test.each<[string, string]>([
    ['kind: Other', 'the file holds no AdmissionConfiguration'],
    ['kind: AdmissionConfiguration\nplugins: [{ name: Priority }]', 'plugins[0]: the plugin "Priority" takes no configuration'],
    [
      'kind: AdmissionConfiguration\nplugins: [{ name: PodSecurity, configuration: { kind: PodSecurityConfiguration, apiVersion: pod-security.admission.config.k8s.io/v1, defaults: { enforce: high } } }]',
      'plugins[0]: defaults.enforce: must be one of privileged, baseline, restricted',
    ],
  ])('a configuration such as %j is refused', (text, why) => {
    expect(() => parseAdmissionConfiguration(text, () => '')).toThrow(why);
  });
});

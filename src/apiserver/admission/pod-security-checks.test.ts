/** The cases of upstream's own tests of each check: k8s.io/pod-security-admission/policy/check_*_test.go. */
import { describe, expect, test } from 'vitest';
import type { PodUnderCheck } from './pod-security-checks.ts';
import { violations } from './pod-security-levels.ts';

interface Case {
  readonly pod?: object;
  /** Security contexts of the containers a, b, c and so on, or whole containers where they have other fields. */
  readonly contexts?: readonly (object | undefined)[];
  readonly containers?: readonly object[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly version?: string;
  /** Empty: nothing is wrong. */
  readonly says: string;
}

const names = (list: readonly object[]): object[] => list.map((c, i) => ({ name: String.fromCharCode(97 + i), ...c }));

function podOf({ pod = {}, contexts = [], containers = [], annotations = {} }: Case): PodUnderCheck {
  const all = names([...contexts.map((securityContext) => (securityContext === undefined ? {} : { securityContext })), ...containers]);
  return { metadata: { annotations }, spec: { containers: all, ...pod } } as PodUnderCheck;
}

/** What the check with this reason says of the pod. */
function found(level: 'baseline' | 'restricted', reason: RegExp, c: Case): string {
  const hit = violations(level, podOf(c), c.version).filter((v) => reason.test(v.reason));
  return hit.map((v) => `${v.reason}: ${v.detail}`).join('\n');
}

const profile = (type: string): object => ({ seccompProfile: { type } });
const armor = (type: string): object => ({ appArmorProfile: { type } });
const linux = (options: object): object => ({ seLinuxOptions: options });
const add = (...capabilities: string[]): object => ({ capabilities: { add: capabilities } });
const probe = (host: string): object => ({ httpGet: { host } });
const socket = (host: string): object => ({ tcpSocket: { host } });
const seccomp = (name: string): string => `container.seccomp.security.alpha.kubernetes.io/${name}`;
const apparmor = (name: string): string => `container.apparmor.security.beta.kubernetes.io/${name}`;
const fineTypes = ['container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'].map((type) => linux({ type }));
const badLinux = [linux({ type: 'bar' }), linux({ user: 'bar' }), linux({ role: 'baz' })];
const allBad = { securityContext: linux({ type: 'foo', user: 'bar', role: 'baz' }) };
const mounts = [undefined, {}, { procMount: 'Default' }, { procMount: 'Unmasked' }, { procMount: 'other' }];
const badMounts = 'procMount: containers "d", "e" must not set securityContext.procMount to "Unmasked", "other"';
const profiles = [undefined, {}, profile('Unconfined'), profile('Unconfined'), profile('RuntimeDefault'), profile('Localhost')];
const seccompTypes = 'must not set securityContext.seccompProfile.type to "Unconfined"';
const wantedTypes = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"';
const reserved = { securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports', value: '1024-4999' }] } };

/** Every source of volumes that the restricted level refuses. */
const refusedSources =
  'hostPath gcePersistentDisk awsElasticBlockStore gitRepo nfs iscsi glusterfs rbd flexVolume cinder cephfs flocker fc azureFile vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO storageos'.split(
    ' ',
  );
const allowedSources = 'emptyDir secret persistentVolumeClaim downwardAPI configMap projected csi ephemeral image'.split(' ');
const volumes = [
  ...allowedSources.map((source, i) => ({ name: `a${i + 1}`, [source]: {} })),
  ...refusedSources.map((source, i) => ({ name: `b${i + 1}`, [source]: {} })),
  { name: 'c1' },
];
const refusedNames = [...refusedSources.map((_, i) => `b${i + 1}`), 'c1'];
const inQuotes = (words: readonly string[]): string => words.map((w) => `"${w}"`).join(', ');

const baseline: Readonly<Record<string, readonly Case[]>> = {
  'forbidden AppArmor': [
    { annotations: { [apparmor('a')]: 'runtime/default', env: 'prod' }, says: '' },
    { annotations: { [apparmor('a')]: 'localhost/sec-profile01', env: 'dev' }, says: '' },
    { annotations: { env: 'dev' }, says: '' },
    {
      annotations: {
        [apparmor('')]: 'bogus',
        [apparmor('a')]: '',
        [apparmor('b')]: 'runtime/default',
        [apparmor('c')]: 'localhost/',
        [apparmor('d')]: 'localhost/foo',
        [apparmor('e')]: 'unconfined',
        [apparmor('f')]: 'unknown',
      },
      says: `forbidden AppArmor profiles: annotations must not set AppArmor profile type to ${inQuotes([`${apparmor('')}="bogus"`, `${apparmor('e')}="unconfined"`, `${apparmor('f')}="unknown"`])}`,
    },
    {
      pod: { securityContext: armor('Unconfined') },
      contexts: [armor('RuntimeDefault'), armor('Localhost'), armor('Unconfined'), {}],
      says: 'forbidden AppArmor profile: pod and container "c" must not set AppArmor profile type to "Unconfined"',
    },
    {
      contexts: [armor('Unconfined'), armor('Unconfined')],
      annotations: { [apparmor('a')]: 'unconfined' },
      says: `forbidden AppArmor profiles: containers "a", "b" and annotation must not set AppArmor profile type to "Unconfined", "${apparmor('a')}="unconfined""`,
    },
  ],
  'non-default capabilities': [
    {
      contexts: [add('FOO', 'BAR'), add('BAR', 'BAZ')],
      says: 'non-default capabilities: containers "a", "b" must not include "BAR", "BAZ", "FOO" in securityContext.capabilities.add',
    },
  ],
  'host namespaces': [
    { pod: { hostNetwork: true, hostIPC: true, hostPID: true }, says: 'host namespaces: hostNetwork=true, hostPID=true, hostIPC=true' },
  ],
  'hostPath volumes': [
    {
      pod: {
        volumes: [
          { name: 'a', hostPath: {} },
          { name: 'b', hostPath: {} },
          { name: 'c', emptyDir: {} },
        ],
      },
      says: 'hostPath volumes: volumes "a", "b"',
    },
  ],
  hostPort: [
    {
      containers: [{ ports: [{ hostPort: 0 }] }, { ports: [{ hostPort: 0 }, { hostPort: 20 }] }],
      says: 'hostPort: container "b" uses hostPort 20',
    },
    {
      containers: [
        { ports: [{ hostPort: 0 }] },
        { ports: [{ hostPort: 0 }, { hostPort: 10 }, { hostPort: 20 }] },
        { ports: [{ hostPort: 0 }, { hostPort: 10 }, { hostPort: 30 }] },
      ],
      says: 'hostPort: containers "b", "c" use hostPorts 10, 20, 30',
    },
  ],
  'probe or lifecycle host': [
    { containers: [{ livenessProbe: probe(''), readinessProbe: { tcpSocket: {} }, startupProbe: { exec: {} } }], says: '' },
    {
      containers: [{ livenessProbe: probe('other.host') }],
      says: 'probe or lifecycle host: container "a" uses probe or lifecycle host "other.host"',
    },
    { containers: [{ livenessProbe: probe('other.host') }], version: 'v1.33', says: '' },
    {
      containers: [{}, { readinessProbe: socket('127.0.0.1') }],
      says: 'probe or lifecycle host: container "b" uses probe or lifecycle host "127.0.0.1"',
    },
    {
      pod: { initContainers: [{ name: 'init', startupProbe: probe('2001:4860:4860::8888') }] },
      says: 'probe or lifecycle host: container "init" uses probe or lifecycle host "2001:4860:4860::8888"',
    },
    {
      containers: [
        {},
        { livenessProbe: probe('a.com') },
        { lifecycle: { preStop: socket('b.com'), postStart: probe('b.com') }, startupProbe: probe('a.com') },
      ],
      says: 'probe or lifecycle host: containers "b", "c" use probe or lifecycle hosts "a.com", "b.com"',
    },
  ],
  '^privileged$': [
    {
      contexts: [undefined, {}, { privileged: true }, { privileged: false }, { privileged: true }],
      says: 'privileged: containers "c", "e" must not set securityContext.privileged=true',
    },
  ],
  procMount: [
    { contexts: mounts, pod: { hostUsers: true }, says: badMounts },
    { contexts: mounts, pod: { hostUsers: false }, says: '' },
    { contexts: mounts, pod: { hostUsers: false }, version: 'v1.34', says: badMounts },
  ],
  seLinuxOptions: [
    {
      pod: allBad,
      contexts: [...fineTypes, ...badLinux],
      says: 'seLinuxOptions: pod and containers "e", "f", "g" set forbidden securityContext.seLinuxOptions: types "bar", "foo"; user may not be set; role may not be set',
    },
    {
      pod: allBad,
      contexts: fineTypes,
      says: 'seLinuxOptions: pod set forbidden securityContext.seLinuxOptions: type "foo"; user may not be set; role may not be set',
    },
    {
      pod: { securityContext: linux({}) },
      contexts: [...fineTypes, ...badLinux],
      says: 'seLinuxOptions: containers "e", "f", "g" set forbidden securityContext.seLinuxOptions: type "bar"; user may not be set; role may not be set',
    },
    {
      pod: { securityContext: linux({ type: 'bad' }) },
      says: 'seLinuxOptions: pod set forbidden securityContext.seLinuxOptions: type "bad"',
    },
    {
      pod: { securityContext: linux({ user: 'bad' }) },
      says: 'seLinuxOptions: pod set forbidden securityContext.seLinuxOptions: user may not be set',
    },
    {
      pod: { securityContext: linux({ role: 'bad' }) },
      says: 'seLinuxOptions: pod set forbidden securityContext.seLinuxOptions: role may not be set',
    },
    {
      contexts: fineTypes,
      version: 'v1.30',
      says: 'seLinuxOptions: container "d" set forbidden securityContext.seLinuxOptions: type "container_engine_t"',
    },
  ],
  seccompProfile: [
    {
      annotations: { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' },
      version: 'v1.18',
      says: 'seccompProfile: forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined"',
    },
    {
      contexts: [{}, {}, {}],
      annotations: { [seccomp('a')]: 'unconfined', [seccomp('b')]: 'unknown', [seccomp('none')]: 'unknown' },
      version: 'v1.18',
      says: `seccompProfile: forbidden annotations ${seccomp('a')}="unconfined", ${seccomp('b')}="unknown"`,
    },
    {
      contexts: [{}, {}, {}],
      annotations: { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined', [seccomp('a')]: 'unconfined', [seccomp('b')]: 'unknown' },
      version: 'v1.18',
      says: `seccompProfile: forbidden annotations ${seccomp('a')}="unconfined", ${seccomp('b')}="unknown", seccomp.security.alpha.kubernetes.io/pod="unconfined"`,
    },
    { pod: { securityContext: profile('Unconfined') }, contexts: [{}], says: `seccompProfile: pod ${seccompTypes}` },
    {
      pod: { securityContext: profile('RuntimeDefault') },
      contexts: profiles,
      says: `seccompProfile: containers "c", "d" ${seccompTypes}`,
    },
    {
      pod: { securityContext: profile('Unconfined') },
      contexts: profiles,
      says: `seccompProfile: pod and containers "c", "d" ${seccompTypes}`,
    },
  ],
  'forbidden sysctls': [
    { pod: { securityContext: { sysctls: [{ name: 'a' }, { name: 'b' }] } }, says: 'forbidden sysctls: a, b' },
    { pod: reserved, version: 'v1.26', says: 'forbidden sysctls: net.ipv4.ip_local_reserved_ports' },
    { pod: reserved, version: 'v1.27', says: '' },
    {
      pod: { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem' }] } },
      version: 'v1.31',
      says: 'forbidden sysctls: net.ipv4.tcp_rmem',
    },
    { pod: { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem' }] } }, version: 'v1.32', says: '' },
  ],
  hostProcess: [
    {
      pod: { securityContext: { windowsOptions: { hostProcess: true } } },
      contexts: [
        undefined,
        {},
        { windowsOptions: {} },
        { windowsOptions: { hostProcess: false } },
        { windowsOptions: { hostProcess: true } },
        { windowsOptions: { hostProcess: true } },
      ],
      says: 'hostProcess: pod and containers "e", "f" must not set securityContext.windowsOptions.hostProcess=true',
    },
  ],
};

const restricted: Readonly<Record<string, readonly Case[]>> = {
  allowPrivilegeEscalation: [
    {
      contexts: [undefined, {}, { allowPrivilegeEscalation: true }, { allowPrivilegeEscalation: false }],
      says: 'allowPrivilegeEscalation != false: containers "a", "b", "c" must set securityContext.allowPrivilegeEscalation=false',
    },
    { pod: { os: { name: 'windows' } }, contexts: [undefined], says: '' },
    {
      pod: { os: { name: 'windows' } },
      contexts: [undefined],
      version: 'v1.24',
      says: 'allowPrivilegeEscalation != false: container "a" must set securityContext.allowPrivilegeEscalation=false',
    },
  ],
  capabilities: [
    {
      contexts: [add('FOO', 'BAR'), add('BAR', 'BAZ'), { capabilities: { add: ['NET_BIND_SERVICE', 'CHOWN'], drop: ['ALL', 'FOO'] } }],
      says: 'unrestricted capabilities: containers "a", "b" must set securityContext.capabilities.drop=["ALL"]; containers "a", "b", "c" must not include "BAR", "BAZ", "CHOWN", "FOO" in securityContext.capabilities.add',
    },
    { pod: { os: { name: 'windows' } }, contexts: [add('CHOWN')], says: '' },
  ],
  'restricted volume types': [
    {
      pod: { volumes },
      says: `restricted volume types: volumes ${inQuotes(refusedNames)} use restricted volume types ${inQuotes([...refusedSources, 'unknown'].sort())}`,
    },
  ],
  runAsNonRoot: [
    { contexts: [undefined], says: 'runAsNonRoot != true: pod or container "a" must set securityContext.runAsNonRoot=true' },
    {
      pod: { securityContext: { runAsNonRoot: false } },
      contexts: [undefined],
      says: 'runAsNonRoot != true: pod must not set securityContext.runAsNonRoot=false',
    },
    {
      pod: { securityContext: { runAsNonRoot: true } },
      contexts: [undefined, {}, { runAsNonRoot: false }, { runAsNonRoot: false }, { runAsNonRoot: true }],
      says: 'runAsNonRoot != true: containers "c", "d" must not set securityContext.runAsNonRoot=false',
    },
    {
      contexts: [undefined, {}, { runAsNonRoot: true }],
      says: 'runAsNonRoot != true: pod or containers "a", "b" must set securityContext.runAsNonRoot=true',
    },
    { pod: { hostUsers: false }, contexts: [undefined], says: '' },
  ],
  runAsUser: [
    { pod: { securityContext: { runAsUser: 0 } }, contexts: [undefined], says: 'runAsUser=0: pod must not set runAsUser=0' },
    { pod: { securityContext: { runAsUser: 1000 } }, contexts: [undefined], says: '' },
    {
      pod: { securityContext: { runAsUser: 1000 } },
      contexts: [undefined, {}, { runAsUser: 0 }, { runAsUser: 0 }, { runAsUser: 1 }],
      says: 'runAsUser=0: containers "c", "d" must not set runAsUser=0',
    },
    { pod: { hostUsers: false, securityContext: { runAsUser: 0 } }, contexts: [undefined], says: '' },
    {
      pod: { hostUsers: true, securityContext: { runAsUser: 0 } },
      contexts: [undefined],
      says: 'runAsUser=0: pod must not set runAsUser=0',
    },
    { pod: { securityContext: { runAsUser: 0 } }, contexts: [undefined], version: 'v1.22', says: '' },
  ],
  seccompProfile: [
    { contexts: [undefined], says: `seccompProfile: pod or container "a" ${wantedTypes}` },
    { pod: { securityContext: profile('Unconfined') }, contexts: [undefined], says: `seccompProfile: pod ${seccompTypes}` },
    {
      pod: { securityContext: profile('RuntimeDefault') },
      contexts: profiles,
      says: `seccompProfile: containers "c", "d" ${seccompTypes}`,
    },
    { contexts: [undefined, {}, profile('RuntimeDefault')], says: `seccompProfile: pod or containers "a", "b" ${wantedTypes}` },
    { pod: { os: { name: 'windows' } }, contexts: [undefined], says: '' },
  ],
};

describe.each(Object.entries(baseline))('baseline: %s', (reason, cases) => {
  test.each(cases)('%#: $says', (c) => expect(found('baseline', new RegExp(reason), c)).toBe(c.says));
});

describe.each(Object.entries(restricted))('restricted: %s', (reason, cases) => {
  test.each(cases)('%#: $says', (c) => expect(found('restricted', new RegExp(reason), c)).toBe(c.says));
});

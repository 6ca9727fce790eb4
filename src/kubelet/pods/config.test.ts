import { describe, expect, test } from 'vitest';
import { type ContainerInput, containerConfig } from './container-config.ts';
import { container, testPod } from './fixtures.ts';
import { annotations, type KubeletPaths } from './names.ts';
import { sandboxConfig } from './sandbox-config.ts';

const paths: KubeletPaths = {
  root: '/var/lib/kubelet',
  podLogs: '/var/log/pods',
  containerLogs: '/var/log/containers',
  manifests: '/m',
  resolvConf: '/r',
  hosts: '/h',
};
const dns = { servers: ['10.43.0.10'], searches: [], options: [] };
const sandbox = (pod = testPod()) =>
  sandboxConfig({ pod, attempt: 1, paths, dns, clusterDomain: 'cluster.local', cgroupParent: '/kubepods/podu1' });

describe('sandbox', () => {
  test('carries the names by which the pod is found again, and the pod’s own labels', () => {
    expect(sandbox(testPod({}, { labels: { app: 'x' } }))).toMatchObject({
      metadata: { name: 'p', namespace: 'ns', uid: 'u1', attempt: 1 },
      labels: { app: 'x', 'io.kubernetes.pod.name': 'p', 'io.kubernetes.pod.namespace': 'ns', 'io.kubernetes.pod.uid': 'u1' },
      logDirectory: '/var/log/pods/ns_p_u1',
      hostname: 'p',
    });
  });

  test('maps host ports, but not in the network of the node', () => {
    const containers = [container('c', { ports: [{ containerPort: 80, hostPort: 8080, protocol: 'TCP' }, { containerPort: 81 }] })];
    expect(sandbox(testPod({ containers })).portMappings).toEqual([{ protocol: 'TCP', containerPort: 80, hostPort: 8080, hostIp: '' }]);
    const host = sandbox(testPod({ containers, hostNetwork: true }));
    expect(host.portMappings).toEqual([]);
    expect(host.linux?.securityContext?.namespaceOptions?.network).toBe('NODE');
  });

  test('is privileged where one of its containers is', () => {
    const pod = testPod({ containers: [container('c', { securityContext: { privileged: true } })] });
    expect(sandbox(pod).linux?.securityContext?.privileged).toBe(true);
  });
});

const input = (fields: Parameters<typeof container>[1] = {}, more: Partial<ContainerInput> = {}, spec: object = {}): ContainerInput => {
  const c = container('c', fields);
  return {
    pod: testPod({ containers: [c], ...spec }),
    container: c,
    image: { ref: 'sha256:1', uid: undefined, username: '' },
    restartCount: 2,
    env: new Map([['A', '1']]),
    mounts: [],
    paths,
    memory: { capacityBytes: 1024 ** 3, cgroups: { version: 2, systemd: true, swap: true } },
    ...more,
  };
};

describe('container', () => {
  test('expands variables in command and arguments', () => {
    const config = containerConfig(input({ command: ['run', '$(A)'], args: ['$(B)', '$$(A)'] }));
    expect([config.command, config.args]).toEqual([
      ['run', '1'],
      ['$(B)', '$(A)'],
    ]);
  });

  test('records what a later kubelet must know', () => {
    const config = containerConfig(input({ terminationMessagePolicy: 'FallbackToLogsOnError' }, {}, { terminationGracePeriodSeconds: 7 }));
    expect(config.annotations).toMatchObject({
      [annotations.restartCount]: '2',
      [annotations.terminationMessagePath]: '/dev/termination-log',
      [annotations.terminationMessagePolicy]: 'FallbackToLogsOnError',
      [annotations.podTerminationGracePeriod]: '7',
    });
    expect(config.logPath).toBe('c/2.log');
  });

  test('settings of the container win over those of the pod', () => {
    const pod = { securityContext: { runAsUser: 1, runAsGroup: 2, fsGroup: 3, supplementalGroups: [4] } };
    const security = containerConfig(
      input({ securityContext: { runAsUser: 10, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }, {}, pod),
    ).linux?.securityContext;
    expect(security).toMatchObject({
      runAsUser: { value: 10 },
      runAsGroup: { value: 2 },
      supplementalGroups: [4, 3],
      noNewPrivs: true,
      capabilities: { dropCapabilities: ['ALL'] },
    });
  });

  test('a privileged container sees everything', () => {
    const security = containerConfig(input({ securityContext: { privileged: true } })).linux?.securityContext;
    expect(security).toMatchObject({ privileged: true, maskedPaths: [], readonlyPaths: [], seccomp: { profileType: 'Unconfined' } });
  });

  test.each([
    ['by the image', { uid: 0, username: '' }, {}, 'container has runAsNonRoot and image will run as root'],
    ['by an image that says nothing', { uid: undefined, username: '' }, {}, 'container has runAsNonRoot and image will run as root'],
    [
      'by a user that is only a name',
      { uid: undefined, username: 'web' },
      {},
      'container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root',
    ],
    ['by its own setting', { uid: 5, username: '' }, { runAsUser: 0 }, "container's runAsUser breaks non-root policy"],
  ])('root is refused where it must not be: %s', (_, image, security, message) => {
    const make = () => containerConfig(input({ securityContext: { runAsNonRoot: true, ...security } }, { image: { ref: 'x', ...image } }));
    expect(make).toThrow(message);
  });
});

import { describe, expect, test } from 'vitest';
import type { ConfigMap, EnvVar, Secret, Service } from '#kube/generated/core-v1.ts';
import { type ContainerConfigError, containerEnv, type EnvInput } from './env.ts';
import { container, testPod } from './fixtures.ts';
import { serviceEnv } from './service-env.ts';

const map: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cm' }, data: { A: '1', B: '2' } };
const secret: Secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's' },
  data: { PW: Buffer.from('geheim').toString('base64') },
};
const sources = {
  configMap: (_: string, name: string) => Promise.resolve(name === 'cm' ? map : undefined),
  secret: (_: string, name: string) => Promise.resolve(name === 's' ? secret : undefined),
};
const node = { name: 'n1', ips: ['192.168.1.2'], allocatable: { cpu: '4', memory: '8Gi' } };

async function env(fields: Parameters<typeof container>[1], more: Partial<EnvInput> = {}): Promise<Record<string, string>> {
  const c = container('c', fields);
  const pod = testPod({ containers: [c] }, { labels: { app: 'x' }, annotations: { note: 'hi' } });
  return Object.fromEntries(await containerEnv({ pod, container: c, node, podIps: ['10.42.0.5'], services: new Map(), ...more }, sources));
}
const failure = (variable: EnvVar): Promise<string> => env({ env: [variable] }).then(String, (e: ContainerConfigError) => e.message);

test('variables win over envFrom, later sources over earlier ones, and references see what stands before them', async () => {
  const result = await env({
    envFrom: [{ configMapRef: { name: 'cm' } }, { prefix: 'S_', secretRef: { name: 's' } }],
    env: [
      { name: 'B', value: 'own' },
      { name: 'C', value: '$(A)-$(B)-$(S_PW)-$(LATER)-$$(A)' },
      { name: 'LATER', value: 'x' },
    ],
  });
  expect(result).toEqual({ A: '1', B: 'own', S_PW: 'geheim', C: '1-own-geheim-$(LATER)-$(A)', LATER: 'x' });
});

test('values come from keys, fields and resources', async () => {
  const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
  const result = await env({
    resources: { limits: { cpu: '1500m', memory: '64Mi' } },
    env: [
      { name: 'KEY', valueFrom: { configMapKeyRef: { name: 'cm', key: 'A' } } },
      { name: 'PW', valueFrom: { secretKeyRef: { name: 's', key: 'PW' } } },
      { name: 'IP', ...field('status.podIP') },
      { name: 'HOST', ...field('status.hostIP') },
      { name: 'NODE', ...field('spec.nodeName') },
      { name: 'APP', ...field("metadata.labels['app']") },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      { name: 'MILLI', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
      { name: 'MI', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
      { name: 'NONE', valueFrom: { configMapKeyRef: { name: 'gone', key: 'A', optional: true } } },
    ],
  });
  expect(result).toEqual({
    KEY: '1',
    PW: 'geheim',
    IP: '10.42.0.5',
    HOST: '192.168.1.2',
    NODE: 'n1',
    APP: 'x',
    CPU: '2',
    MILLI: '1500',
    MI: '64',
  });
});

test('without a limit the node is the limit', async () => {
  expect(await env({ env: [{ name: 'M', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Gi' } } }] })).toEqual({
    M: '8',
  });
});

describe('what is missing is told', () => {
  test.each([
    ['a ConfigMap', { configMapKeyRef: { name: 'gone', key: 'A' } }, 'configmap "gone" not found'],
    ['a key', { configMapKeyRef: { name: 'cm', key: 'Z' } }, "couldn't find key Z in ConfigMap ns/cm"],
    ['a Secret', { secretKeyRef: { name: 'gone', key: 'A' } }, 'secret "gone" not found'],
    ['a secret key', { secretKeyRef: { name: 's', key: 'Z' } }, "couldn't find key Z in Secret ns/s"],
  ] as const)('%s', async (_, valueFrom, message) => {
    expect(await failure({ name: 'X', valueFrom })).toBe(message);
  });
});

describe('service variables', () => {
  const service = (namespace: string, name: string, clusterIP: string): Service => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      clusterIP,
      ports: [
        { name: 'web', port: 80 },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ],
    },
  });
  const services = [
    service('ns', 'my-svc', '10.43.0.7'),
    service('ns', 'headless', 'None'),
    service('default', 'kubernetes', '10.43.0.1'),
    service('other', 'x', '10.43.0.8'),
  ];

  test('name host and ports of the Services of the namespace, and always the API', () => {
    const result = serviceEnv(services, 'ns', true);
    expect(result.get('MY_SVC_SERVICE_HOST')).toBe('10.43.0.7');
    expect(result.get('MY_SVC_SERVICE_PORT_DNS')).toBe('53');
    expect(result.get('MY_SVC_PORT')).toBe('tcp://10.43.0.7:80');
    expect(result.get('MY_SVC_PORT_53_UDP_PROTO')).toBe('udp');
    expect(result.get('KUBERNETES_SERVICE_HOST')).toBe('10.43.0.1');
    expect([...result.keys()].some((k) => k.startsWith('HEADLESS') || k.startsWith('X_'))).toBe(false);
  });

  test('are only those of the API when links are off', () => {
    expect([...serviceEnv(services, 'ns', false).keys()].every((k) => k.startsWith('KUBERNETES_'))).toBe(true);
  });
});

import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { deployments, namespaces, pods } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import { testObjects } from '../test-objects.ts';
import { createPodSecurity } from './pod-security.ts';
import { violations } from './pod-security-levels.ts';
import { createPodSecurityMetrics } from './pod-security-metrics.ts';
import { ask } from './testing.ts';

const pod = (spec: object = {}, container: object = {}, metadata: object = {}): object => ({
  metadata: { name: 'p', namespace: 'default', ...metadata },
  spec: { containers: [{ name: 'c', image: 'i', ...container }], ...spec },
});
const found = (level: 'baseline' | 'restricted', p: object): string[] =>
  violations(level, p as Parameters<typeof violations>[1]).map((v) => `${v.reason} (${v.detail})`);
const secure = (s: object): object => ({ securityContext: s });
const good = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

describe('restricted', () => {
  test('an ordinary pod fails in four ways', () => {
    expect(found('restricted', pod())).toEqual([
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
      'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
      'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
      'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ]);
  });

  test('a careful pod passes', () => {
    expect(found('restricted', pod({}, secure(good)))).toEqual([]);
  });
});

describe('a namespace', () => {
  const setup = async (labels: Record<string, string>) => {
    const objects = await testObjects(builtinKinds);
    await objects.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels } });
    const registry = new Registry();
    return { objects, plugins: [createPodSecurity(objects, createPodSecurityMetrics(registry))], metrics: () => registry.metrics() };
  };
  const label = (mode: string): string => `pod-security.kubernetes.io/${mode}`;

  test('enforces its level with upstream’s message', async () => {
    const { plugins } = await setup({ [label('enforce')]: 'baseline' });
    await expect(ask(plugins, pods, { object: pod({ hostNetwork: true }) })).rejects.toMatchObject({
      code: 403,
      message: 'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    });
    await expect(ask(plugins, pods, { object: pod() })).resolves.toBeDefined();
  });

  test('warns of pods and of the templates of workloads', async () => {
    const { plugins } = await setup({ [label('warn')]: 'baseline', [label('warn-version')]: 'v1.30' });
    const warnings: string[] = [];
    await ask(plugins, pods, { object: pod({ hostPID: true }), warnings });
    await ask(plugins, deployments, { object: { metadata: { name: 'd' }, spec: { template: pod({ hostPID: true }) } }, warnings });
    const expected = 'would violate PodSecurity "baseline:v1.30": host namespaces (hostPID=true)';
    expect(warnings).toEqual([expected, expected]);
  });

  test('counts what it finds', async () => {
    const versions = { [label('enforce-version')]: 'v1.99', [label('warn-version')]: 'v1.30' };
    const { plugins, metrics } = await setup({ [label('enforce')]: 'baseline', [label('warn')]: 'restricted', ...versions });
    await ask(plugins, pods, { object: pod(), warnings: [] });
    await expect(ask(plugins, pods, { object: pod({ hostPID: true }) })).rejects.toThrow('violates PodSecurity');
    await ask(plugins, deployments, { object: { metadata: { name: 'd' }, spec: { template: pod() } }, warnings: [] });
    const lines = (await metrics()).split('\n').filter((line) => line.startsWith('pod_security_evaluations_total'));
    const figure = (decision: string, level: string, version: string, mode: string, resource: string): string =>
      `pod_security_evaluations_total{decision="${decision}",policy_level="${level}",policy_version="${version}",mode="${mode}",request_operation="create",resource="${resource}",subresource=""} 1`;
    expect(lines.sort()).toEqual([
      figure('allow', 'baseline', 'future', 'enforce', 'pod'),
      figure('deny', 'baseline', 'future', 'enforce', 'pod'),
      figure('deny', 'restricted', 'v1.30', 'warn', 'controller'),
      figure('deny', 'restricted', 'v1.30', 'warn', 'pod'),
    ]);
  });

  test('lets a pod be updated in what has nothing to do with security', async () => {
    const { plugins } = await setup({ [label('enforce')]: 'baseline' });
    const old = pod({ hostNetwork: true });
    await expect(
      ask(plugins, pods, { operation: 'UPDATE', object: pod({ hostNetwork: true, activeDeadlineSeconds: 5 }), oldObject: old }),
    ).resolves.toBeDefined();
  });

  test('has labels that make sense', async () => {
    const { plugins } = await setup({});
    const namespace = (labels: object): object => ({ metadata: { name: 'n', labels } });
    await expect(ask(plugins, namespaces, { object: namespace({ [label('enforce')]: 'strict' }) })).rejects.toThrow(
      'Namespace "n" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
    );
    await expect(ask(plugins, namespaces, { object: namespace({ [label('audit-version')]: '1' }) })).rejects.toThrow(
      'must be "latest" or "v1.x"',
    );
  });

  test('that raises its level is told which pods would not pass', async () => {
    const { objects, plugins } = await setup({});
    for (const name of ['b', 'a'])
      await objects.put({ apiVersion: 'v1', kind: 'Pod', ...(pod({ hostPID: true }) as object), metadata: { name, namespace: 'default' } });
    const warnings: string[] = [];
    await ask(plugins, namespaces, {
      operation: 'UPDATE',
      object: { metadata: { name: 'default', labels: { [label('enforce')]: 'baseline' } } },
      oldObject: { metadata: { name: 'default' } },
      warnings,
    });
    expect(warnings).toEqual([
      'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
      'a (and 1 other pod): host namespaces',
    ]);
  });
});

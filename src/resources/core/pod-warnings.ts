/** What kubectl prints as Warning for pods and templates that are accepted: pkg/api/pod/warnings.go. */
import type { Container, PodSpec } from '#kube/generated/core-v1.ts';
import { isDns1123Label } from '#kube/names.ts';
import type { KubeObject } from '#kube/object.ts';
import { milliValue } from '#kube/quantity.ts';

const deprecatedNodeLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

function fractionalBytes(field: string, amounts: Readonly<Record<string, string | number>> | undefined): string[] {
  return ['memory', 'ephemeral-storage', 'storage'].flatMap((name) => {
    const amount = amounts?.[name];
    if (amount === undefined || milliValue(amount) % 1000 === 0) return [];
    return [`${field}[${name}]: fractional byte value ${JSON.stringify(String(amount))} is invalid, must be an integer`];
  });
}

function containerWarnings(field: string, container: Container): string[] {
  const warnings = [
    ...fractionalBytes(`${field}.resources.limits`, container.resources?.limits),
    ...fractionalBytes(`${field}.resources.requests`, container.resources?.requests),
  ];
  const names = new Set<string>();
  for (const [i, { name }] of (container.env ?? []).entries()) {
    if (names.has(name))
      warnings.push(`${field}.env[${i}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`);
    names.add(name);
  }
  const ports = new Map<string, number>();
  for (const [i, port] of (container.ports ?? []).entries()) {
    const key = `${port.containerPort}/${port.protocol}/${port.hostIP ?? ''}/${port.hostPort ?? ''}`;
    const first = ports.get(key);
    if (first === undefined) ports.set(key, i);
    else warnings.push(`${field}.ports[${i}]: duplicate port definition with ${field}.ports[${first}]`);
  }
  return warnings;
}

/** Warnings about a spec at a path such as spec or spec.template.spec. */
export function podSpecWarnings(field: string, spec: PodSpec | undefined): string[] {
  if (spec === undefined) return [];
  const warnings = Object.keys(spec.nodeSelector ?? {}).flatMap((key) =>
    Object.hasOwn(deprecatedNodeLabels, key) ? [`${field}.nodeSelector[${key}]: ${deprecatedNodeLabels[key]}`] : [],
  );
  for (const kind of ['initContainers', 'containers'] as const) {
    for (const [i, container] of (spec[kind] ?? []).entries()) warnings.push(...containerWarnings(`${field}.${kind}[${i}]`, container));
  }
  for (const [i, secret] of (spec.imagePullSecrets ?? []).entries()) {
    if ((secret.name ?? '') === '') warnings.push(`${field}.imagePullSecrets[${i}]: invalid empty name ""`);
  }
  const grace = spec.terminationGracePeriodSeconds;
  if (grace !== undefined && grace < 0) {
    warnings.push(`${field}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`);
  }
  return warnings;
}

/** Names that become host names should be labels. `what`: upstream's words for where the name is used. */
export function nameWarnings(object: KubeObject, what: string): string[] {
  const problems = isDns1123Label(object.metadata.name ?? '');
  if (problems.length === 0) return [];
  return [`metadata.name: ${what}, which can result in surprising behavior; a DNS label is recommended: [${problems.join(' ')}]`];
}

export const inPodHostname = "this is used in the Pod's hostname";
export const inPodNames = 'this is used in Pod names and hostnames';

/** Nodes: ValidateNode and ValidateNodeUpdate, which status updates use too. */
import type { ConfigMapNodeConfigSource, Node, NodeConfigSource, Taint } from '#kube/generated/core-v1.ts';
import { isDns1123Label, isDns1123Subdomain, isLabelValue } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { cidr, cidrFamily, cidrWarnings, isDualStack } from '#kube/validation/addresses.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldProblems, fieldRequired } from '#kube/validation/field-error.ts';
import { configKeyProblems, oneOf, qualifiedName } from '#kube/validation/values.ts';
import { taintEffects } from './pod-validation/placement.ts';
import { resourceQuantity } from './pod-validation/resources.ts';

function taints(field: string, list: readonly Taint[] | undefined): FieldError[] {
  const seen = new Set<string>();
  return (list ?? []).flatMap((taint, i) => {
    const at = `${field}[${i}]`;
    const { key, effect, value = '', timeAdded } = taint;
    const errors = qualifiedName(`${at}.key`, key);
    const problems = isLabelValue(value);
    if (problems.length > 0) errors.push(fieldInvalid(`${at}.value`, value, problems.join(';')));
    errors.push(...oneOf(`${at}.effect`, effect, taintEffects));
    // As Go writes the struct.
    const struct = { Key: key, Value: value, Effect: effect, TimeAdded: timeAdded ?? null };
    if (seen.has(`${key}:${effect}`)) errors.push(fieldDuplicate(at, struct, 'taints must be unique by key and effect pair'));
    seen.add(`${key}:${effect}`);
    return errors;
  });
}

const amounts = (node: Node): FieldError[] =>
  (['capacity', 'allocatable'] as const).flatMap((part) =>
    Object.entries(node.status?.[part] ?? {}).flatMap(([name, value]) => resourceQuantity(`status.${part}.${name}`, name, value)),
  );

function podCidrs(ranges: readonly string[]): FieldError[] {
  const field = 'spec.podCIDRs';
  const errors = ranges.flatMap((range, i) => cidr(`${field}[${i}]`, range));
  if (ranges.length < 2) return errors;
  const families = ranges.map(cidrFamily);
  if (families.includes(undefined)) {
    const bad = ranges[families.indexOf(undefined)];
    const detail = `invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[${families.indexOf(undefined)}]: ${bad} (invalid CIDR address: ${bad})`;
    errors.push({ field, type: 'InternalError', message: `Internal error: ${detail}` });
  }
  if (!isDualStack(families) || ranges.length > 2)
    errors.push(fieldInvalid(field, ranges, 'may specify no more than one CIDR for each IP family'));
  return [...errors, ...ranges.flatMap((range, i) => (ranges.indexOf(range) < i ? [fieldDuplicate(`${field}[${i}]`, range)] : []))];
}

// Upstream says metadata.taints for spec.taints.
const taintsField = 'metadata.taints';

export const validateNode = (node: Node): FieldError[] => [
  ...taints(taintsField, node.spec?.taints),
  ...amounts(node),
  ...podCidrs(node.spec?.podCIDRs ?? []),
];

function configMap(field: string, source: ConfigMapNodeConfigSource, inStatus: boolean): FieldError[] {
  const errors = (['uid', 'resourceVersion'] as const).flatMap((part) => {
    const set = (source[part] ?? '') !== '';
    if (set === inStatus) return [];
    return inStatus
      ? [fieldRequired(`${field}.${part}`, `${part} must be set in status`)]
      : [fieldForbidden(`${field}.${part}`, `${part} must not be set in spec`)];
  });
  const named = (part: 'namespace' | 'name' | 'kubeletConfigKey', check: (text: string) => string[]): FieldError[] =>
    source[part] === ''
      ? [fieldRequired(`${field}.${part}`, `${part} must be set`)]
      : fieldProblems(`${field}.${part}`, source[part], check(source[part]));
  return [
    ...errors,
    ...named('namespace', isDns1123Label),
    ...named('name', isDns1123Subdomain),
    ...named('kubeletConfigKey', configKeyProblems),
  ];
}

/** Where a kubelet's configuration comes from: nothing uses it any more, but it is checked. */
function configSource(field: string, source: NodeConfigSource | undefined, inStatus: boolean): FieldError[] {
  if (source === undefined) return [];
  if (source.configMap !== undefined) return configMap(`${field}.configMap`, source.configMap, inStatus);
  return [fieldInvalid(field, { ConfigMap: null }, 'exactly one reference subfield must be non-nil')];
}

function addresses(node: Node): FieldError[] {
  const seen = new Set<string>();
  return (node.status?.addresses ?? []).flatMap(({ type, address }, i) => {
    const again = seen.has(`${type}/${address}`);
    seen.add(`${type}/${address}`);
    return again ? [fieldDuplicate(`status.addresses[${i}]`, { Type: type, Address: address })] : [];
  });
}

export function validateNodeUpdate(node: Node, old: Node): FieldError[] {
  const [now = {}, was = {}] = [node.spec, old.spec];
  const errors = [...amounts(node), ...addresses(node)];
  const [ranges, before] = [now.podCIDRs ?? [], was.podCIDRs ?? []];
  const fixed = fieldForbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid');
  if (before.length > 0) {
    if (ranges.length !== before.length) errors.push(fixed);
    else errors.push(...before.filter((range, i) => range !== ranges[i]).map(() => fixed));
  }
  if ((was.providerID ?? '') !== '' && now.providerID !== was.providerID)
    errors.push(fieldForbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  errors.push(...configSource('spec.configSource', now.configSource, false));
  for (const part of ['assigned', 'active', 'lastKnownGood'] as const)
    errors.push(...configSource(`status.config.${part}`, node.status?.config?.[part], true));
  errors.push(...taints(taintsField, now.taints));
  if ((now.externalID ?? '') !== (was.externalID ?? '')) errors.push(fieldForbidden('spec.externalID', 'may not be updated'));
  return errors;
}

/** pkg/registry/core/node/strategy.go. */
export function nodeWarnings({ spec = {} }: Node): string[] {
  return [
    ...(spec.configSource === undefined ? [] : ['spec.configSource: the feature is removed']),
    ...((spec.externalID ?? '') === '' ? [] : ['spec.externalID: this field is deprecated, and is unused by Kubernetes']),
    ...(spec.podCIDRs ?? []).flatMap((range, i) => cidrWarnings(`spec.podCIDRs[${i}]`, range)),
  ];
}

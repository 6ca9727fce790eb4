/** How a pod resolves names: its hostname, aliases and validatePodDNSConfig. */
import type { PodDNSConfig, PodSpec } from '#kube/generated/core-v1.ts';
import { isDns1123Subdomain } from '#kube/names.ts';
import type { FieldError } from '#kube/status-error.ts';
import { ipAddress } from '#kube/validation/addresses.ts';
import { fieldForbidden, fieldInvalid, fieldRequired, fieldTooLong } from '#kube/validation/field-error.ts';
import { dnsLabel, dnsSubdomain } from '#kube/validation/values.ts';

const limits = { nameservers: 3, searches: 32, searchCharacters: 2048, hostname: 64 };

/** A domain that is searched: its labels may have underscores too. */
function searchProblems(search: string): string[] {
  if (search === '.') return [];
  return isDns1123Subdomain(search.replace(/\.$/, '').replaceAll('_', '-'));
}

export function dnsConfig(field: string, config: PodDNSConfig | undefined, policy: string | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const add = (part: string, value: unknown, why: string): number => errors.push(fieldInvalid(`${field}.${part}`, value, why));
  if (config === undefined) return policy === 'None' ? [fieldRequired(field, 'must provide `dnsConfig` when `dnsPolicy` is None')] : [];
  const { nameservers = [], searches = [], options = [] } = config;
  if (policy === 'None' && nameservers.length === 0)
    errors.push(fieldRequired(`${field}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'));
  if (nameservers.length > limits.nameservers) add('nameservers', nameservers, `must not have more than ${limits.nameservers} nameservers`);
  for (const [i, server] of nameservers.entries()) errors.push(...ipAddress(`${field}.nameservers[${i}]`, server));
  if (searches.length > limits.searches) add('searches', searches, `must not have more than ${limits.searches} search paths`);
  if (searches.join(' ').length > limits.searchCharacters)
    add('searches', searches, `must not have more than ${limits.searchCharacters} characters (including spaces) in the search list`);
  for (const [i, search] of searches.entries()) for (const why of searchProblems(search)) add(`searches[${i}]`, search, why);
  for (const [i, option] of options.entries())
    if ((option.name ?? '') === '') errors.push(fieldRequired(`${field}.options[${i}]`, 'must not be empty'));
  return errors;
}

export const hostAliases = (field: string, spec: PodSpec): FieldError[] =>
  (spec.hostAliases ?? []).flatMap((alias, i) => [
    ...ipAddress(`${field}[${i}].ip`, alias.ip),
    ...(alias.hostnames ?? []).flatMap((name, j) => dnsSubdomain(`${field}[${i}].hostnames[${j}]`, name)),
  ]);

export function hostNames(field: string, spec: PodSpec): FieldError[] {
  const { hostname = '', subdomain = '', hostnameOverride: override } = spec;
  const errors: FieldError[] = [];
  if (hostname !== '') errors.push(...dnsLabel(`${field}.hostname`, hostname));
  if (subdomain !== '') errors.push(...dnsLabel(`${field}.subdomain`, subdomain));
  if (override === undefined) return errors;
  const at = `${field}.hostnameOverride`;
  errors.push(...dnsSubdomain(at, override));
  if (override.length > limits.hostname) errors.push(fieldTooLong(at, limits.hostname));
  if (spec.hostNetwork === true) errors.push(fieldForbidden(at, 'may not be specified when `hostNetwork` is true'));
  return errors;
}

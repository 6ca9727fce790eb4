/**
 * The file of --authorization-config: which authorizers are asked, in which order. What is refused, and with which words,
 * follows k8s.io/apiserver pkg/apis/apiserver/validation.
 */
import { isAbsolute } from 'node:path';
import { CelCompileError, type CelScope, createCel, type Program } from '#kube/cel.ts';
import { typeBuilder } from '#kube/cel-type.ts';
import { definition, kindSchema } from '#kube/schema-registry.ts';
import type { FieldError } from '#kube/status-error.ts';
import { fieldDuplicate, fieldInvalid, fieldNotSupported, fieldRequired, fieldTooMany } from '#kube/validation/field-error.ts';
import { type Fields, readConfig, readDuration, readFields, readList, readText, refuse } from '../config-fields.ts';
import { readWebhookConfig } from '../webhook-config.ts';
import type { MatchConditions, WebhookAuthorizerOptions } from './webhook.ts';

export type AuthorizerSpec =
  | { readonly type: 'Node' | 'RBAC' | 'AlwaysAllow' | 'AlwaysDeny'; readonly name: string }
  | { readonly type: 'Webhook'; readonly name: string; readonly webhook: WebhookAuthorizerOptions };

type AuthorizerType = AuthorizerSpec['type'];
const types: readonly AuthorizerType[] = ['AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook'];

const maxConditions = 64;
const webhookFields = [
  'authorizedTTL',
  'unauthorizedTTL',
  'cacheAuthorizedRequests',
  'cacheUnauthorizedRequests',
  'timeout',
  'subjectAccessReviewVersion',
  'matchConditionSubjectAccessReviewVersion',
  'failurePolicy',
  'connectionInfo',
  'matchConditions',
];

/** Upstream declares these fields under their own names, namespace too. */
const asIs = (field: string): string => field;

/** The scope in which match conditions are compiled: `request` is the spec of the review. */
function conditionScope(): { readonly scope: CelScope; readonly value: (spec: unknown) => unknown } {
  const scope = createCel().scope();
  const spec = kindSchema('authorization.k8s.io', 'v1', 'SubjectAccessReview')?.properties?.['spec'] ?? {};
  const type = typeBuilder(scope, (ref) => definition(ref) ?? {}, { nameOf: asIs }).typeOf(spec);
  scope.declareVariable('request', type.name);
  return { scope, value: type.convert };
}

function conditionsOf(errors: FieldError[], webhook: Fields, path: string): MatchConditions | undefined {
  const list = readList(webhook, 'matchConditions', path);
  if (list.length > maxConditions) errors.push(fieldTooMany(`${path}.matchConditions`, list.length, maxConditions));
  if (list.length === 0 || list.length > maxConditions) return undefined;
  const { scope, value } = conditionScope();
  const seen = new Set<string>();
  const programs: Program[] = [];
  for (const [i, entry] of list.entries()) {
    const at = `${path}.matchConditions[${i}]`;
    const expression = readText(readFields(entry, at, ['expression']), 'expression', at);
    if (expression.trim() === '') errors.push(fieldRequired(`${at}.expression`));
    else if (seen.has(expression)) errors.push(fieldDuplicate(`${at}.expression`, expression));
    else {
      seen.add(expression);
      try {
        const program = scope.compile(expression);
        if (program.type === 'bool') programs.push(program);
        else errors.push(fieldInvalid(`${at}.expression`, expression, 'must evaluate to bool'));
      } catch (error) {
        if (!(error instanceof CelCompileError)) throw error;
        errors.push(fieldInvalid(`${at}.expression`, expression, error.message));
      }
    }
  }
  return { programs, value };
}

function checkDurations(errors: FieldError[], webhook: Fields, path: string) {
  const read = (name: string, problem: (ms: number) => string | undefined): number => {
    const ms = readDuration(webhook, name, path);
    const why = problem(ms);
    if (ms === 0) errors.push(fieldRequired(`${path}.${name}`));
    else if (why !== undefined) errors.push(fieldInvalid(`${path}.${name}`, readText(webhook, name, path), why));
    return ms;
  };
  const positive = (ms: number): string | undefined => (ms < 0 ? 'must be > 0s' : undefined);
  return {
    timeoutMs: read('timeout', (ms) => (ms > 30_000 || ms < 0 ? 'must be > 0s and <= 30s' : undefined)),
    allowedMs: webhook['authorizedTTL'] === undefined ? 300_000 : read('authorizedTTL', positive),
    refusedMs: webhook['unauthorizedTTL'] === undefined ? 30_000 : read('unauthorizedTTL', positive),
  };
}

/** The kubeconfig that names the webhook's server; '' where that is not known. */
function connectionOf(errors: FieldError[], webhook: Fields, path: string): string {
  const at = `${path}.connectionInfo`;
  const info = readFields(webhook['connectionInfo'], at, ['type', 'kubeConfigFile']);
  const type = readText(info, 'type', at);
  const file = readText(info, 'kubeConfigFile', at);
  if (type === '') errors.push(fieldRequired(`${at}.type`));
  else if (type !== 'KubeConfigFile') errors.push(fieldNotSupported(`${at}.type`, type, ['KubeConfigFile']));
  else if (file === '') errors.push(fieldRequired(`${at}.kubeConfigFile`));
  else if (!isAbsolute(file)) errors.push(fieldInvalid(`${at}.kubeConfigFile`, file, 'must be an absolute path'));
  else return file;
  return '';
}

function oneOf(errors: FieldError[], fields: Fields, name: string, path: string, supported: readonly string[], required: boolean): string {
  const value = readText(fields, name, path);
  if (value === '' && required) errors.push(fieldRequired(`${path}.${name}`));
  else if (value !== '' && !supported.includes(value)) errors.push(fieldNotSupported(`${path}.${name}`, value, supported));
  return value;
}

async function webhookOf(errors: FieldError[], value: unknown, path: string): Promise<WebhookAuthorizerOptions> {
  const webhook = readFields(value, path, webhookFields);
  const durations = checkDurations(errors, webhook, path);
  oneOf(errors, webhook, 'subjectAccessReviewVersion', path, ['v1'], true);
  const version = oneOf(errors, webhook, 'matchConditionSubjectAccessReviewVersion', path, ['v1'], false);
  const policy = oneOf(errors, webhook, 'failurePolicy', path, ['NoOpinion', 'Deny'], true);
  const conditions = conditionsOf(errors, webhook, path);
  if (conditions !== undefined && version === '')
    errors.push(fieldRequired(`${path}.matchConditionSubjectAccessReviewVersion`, 'required if match conditions are specified'));
  const file = connectionOf(errors, webhook, path);
  let server = { url: '' };
  try {
    if (file !== '') server = await readWebhookConfig(file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    errors.push(fieldInvalid(`${path}.connectionInfo.kubeConfigFile`, file, `error loading file: ${why}`));
  }
  return {
    server,
    ...durations,
    onError: policy === 'Deny' ? 'deny' : 'noOpinion',
    ...(webhook['cacheAuthorizedRequests'] === false ? { allowedMs: 0 } : {}),
    ...(webhook['cacheUnauthorizedRequests'] === false ? { refusedMs: 0 } : {}),
    ...(conditions === undefined ? {} : { conditions }),
  };
}

const nameForm = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const nameRule =
  "authorizer name is invalid: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

function checkName(errors: FieldError[], name: string, path: string, seen: Set<string>): void {
  if (name === '') errors.push(fieldRequired(path));
  else if (seen.has(name)) errors.push(fieldDuplicate(path, name));
  else if (name.length > 253 || !nameForm.test(name)) errors.push(fieldInvalid(path, name, nameRule));
  seen.add(name);
}

/** Reads the file and the kubeconfigs that it names. Rejects with an Error with upstream's text for what is wrong. */
export async function parseAuthorizationConfig(yaml: string): Promise<readonly AuthorizerSpec[]> {
  const config = readConfig(yaml, 'AuthorizationConfiguration', ['v1', 'v1beta1', 'v1alpha1'], ['authorizers']);
  const errors: FieldError[] = [];
  const list = readList(config, 'authorizers', '');
  if (list.length === 0) errors.push(fieldRequired('authorizers', 'at least one authorization mode must be defined'));
  const specs: AuthorizerSpec[] = [];
  const seenTypes = new Set<string>();
  const seenNames = new Set<string>();
  for (const [i, entry] of list.entries()) {
    const path = `authorizers[${i}]`;
    const authorizer = readFields(entry, path, ['type', 'name', 'webhook']);
    const wanted = readText(authorizer, 'type', path);
    const type = types.find((t) => t === wanted);
    if (wanted === '') errors.push(fieldRequired(`${path}.type`));
    else if (type === undefined) errors.push(fieldNotSupported(`${path}.type`, wanted, types));
    else if (type !== 'Webhook' && seenTypes.has(type)) errors.push(fieldDuplicate(`${path}.type`, type));
    if (type === undefined) continue;
    seenTypes.add(type);
    const name = readText(authorizer, 'name', path);
    checkName(errors, name, `${path}.name`, seenNames);
    const webhook = authorizer['webhook'];
    if (type !== 'Webhook') {
      if (webhook !== undefined) errors.push(fieldInvalid(`${path}.webhook`, 'non-null', 'may only be specified when type=Webhook'));
      specs.push({ type, name });
    } else if (webhook === undefined) errors.push(fieldRequired(`${path}.webhook`, 'required when type=Webhook'));
    else specs.push({ type, name, webhook: await webhookOf(errors, webhook, `${path}.webhook`) });
  }
  refuse(errors);
  return specs;
}

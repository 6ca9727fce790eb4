/** How webhooks are reached: k8s.io/apiserver pkg/util/webhook/validation.go. */
import { X509Certificate } from 'node:crypto';
import { isDns1123Subdomain } from '../names.ts';
import type { FieldError } from '../status-error.ts';
import { fieldInvalid, fieldProblems, fieldRequired } from './field-error.ts';
import { portNumberProblems } from './values.ts';

const form = '; desired format: https://host[/path]';
const parts = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/(?:([^/?#]*)@)?([^/?#]*))?[^?#]*(?:\?([^#]*))?(?:#(.*))?$/s;

/** ValidateWebhookURL. */
export function webhookUrl(field: string, text: string): FieldError[] {
  const [, scheme = '', user, host = '', query = '', fragment = ''] = parts.exec(text) ?? [];
  if (scheme !== '' && host !== '' && !URL.canParse(text))
    return [fieldRequired(field, `url must be a valid URL: parse ${JSON.stringify(text)}: invalid URL${form}`)];
  const errors: FieldError[] = [];
  if (scheme.toLowerCase() !== 'https') errors.push(fieldInvalid(field, scheme, `'https' is the only allowed URL scheme${form}`));
  if (host === '') errors.push(fieldInvalid(field, host, `host must be specified${form}`));
  if (user !== undefined) errors.push(fieldInvalid(field, user, 'user information is not permitted in the URL'));
  if (fragment !== '') errors.push(fieldInvalid(field, fragment, 'fragments are not permitted in the URL'));
  if (query !== '') errors.push(fieldInvalid(field, query, 'query parameters are not permitted in the URL'));
  return errors;
}

export interface WebhookService {
  readonly name: string;
  readonly namespace: string;
  readonly path?: string;
  readonly port?: number;
}

/** ValidateWebhookService. */
export function webhookService(field: string, { name, namespace, path = '', port }: WebhookService): FieldError[] {
  const errors: FieldError[] = [];
  if (name === '') errors.push(fieldRequired(`${field}.name`, 'service name is required'));
  if (namespace === '') errors.push(fieldRequired(`${field}.namespace`, 'service namespace is required'));
  const problems = port === undefined ? [] : portNumberProblems(port);
  if (problems.length > 0) errors.push(fieldInvalid(`${field}.port`, port, `port is not valid: ${problems.join(',')}`));
  return [...errors, ...fieldProblems(`${field}.path`, path, pathProblems(path))];
}

function pathProblems(path: string): string[] {
  if (path === '' || path === '/') return [];
  if (path === '//') return ['segment[0] may not be empty'];
  const problems = path.startsWith('/') ? [] : ["must start with a '/'"];
  const steps = path.slice(1).replace(/\/$/, '').split('/');
  for (const [i, step] of steps.entries()) {
    if (step === '') problems.push(`segment[${i}] may not be empty`);
    else problems.push(...isDns1123Subdomain(step).map((why) => `segment[${i}]: ${why}`));
  }
  return problems;
}

const block = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\s\S]*?)-----END \1-----/g;

/** What is wrong with a bundle of authorities (base64 of PEM), in the words of client-go's transport; undefined where it holds one. */
export function caBundleProblem(base64: string): string | undefined {
  const text = Buffer.from(base64, 'base64').toString('latin1');
  const blocks = [...text.matchAll(block)];
  let problem = blocks.length === 0 ? 'unable to parse bytes as PEM block' : 'no valid certificate authority data seen';
  for (const [whole, type = '', body = ''] of blocks) {
    if (type !== 'CERTIFICATE' || body.includes(':')) continue;
    try {
      new X509Certificate(whole);
      return undefined;
    } catch {
      problem = 'failed to parse certificate: x509: malformed certificate';
    }
  }
  return `unable to load root certificates: ${problem}`;
}

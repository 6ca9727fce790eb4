import { isDns1123Label, isDns1123Subdomain } from '../names.ts';
import type { FieldError } from '../status-error.ts';
import { fieldInvalid, fieldRequired, fieldTooLong } from './field-error.ts';

const limits = { domain: 253, all: 253 + 1 + 253 + 63 + 1 };

/** What is wrong with the first label that is wrong: the others would say the same. */
function labels(field: string, text: string, check: (label: string) => string[]): FieldError[] {
  for (const label of text.split('.')) {
    const problems = check(label);
    if (problems.length > 0) return problems.map((why) => fieldInvalid(field, text, `validating label ${JSON.stringify(label)}: ${why}`));
  }
  return [];
}

/** The name of a signer of certificates, such as example.com/signer: ValidateSignerName of pkg/apis/core/validation. */
export function signerName(field: string, name: string): FieldError[] {
  if (name === '') return [fieldRequired(field)];
  const [domain = '', path, ...more] = name.split('/');
  if (path === undefined || more.length > 0)
    return [fieldInvalid(field, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")];
  return [
    ...(domain.length > limits.domain ? [fieldTooLong(field, limits.domain)] : []),
    ...labels(field, domain, isDns1123Label),
    ...(domain.includes('.') ? [] : [fieldInvalid(field, domain, 'should be a domain with at least two segments separated by dots')]),
    ...labels(field, path, isDns1123Subdomain),
    ...(name.length > limits.all ? [fieldTooLong(field, limits.all)] : []),
  ];
}

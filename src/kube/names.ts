/**
 * The forms of names, label keys and label values, with the texts that upstream gives for a wrong one
 * (k8s.io/apimachinery pkg/util/validation). Every function returns the problems found: none means valid.
 */

const qualifiedNameFormat = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelFormat = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomainFormat = `${labelFormat}(\\.${labelFormat})*`;
const label1035Format = '[a-z]([-a-z0-9]*[a-z0-9])?';

const qualifiedNamePattern = new RegExp(`^${qualifiedNameFormat}$`);
const labelPattern = new RegExp(`^${labelFormat}$`);
const subdomainPattern = new RegExp(`^${subdomainFormat}$`);
const label1035Pattern = new RegExp(`^${label1035Format}$`);
const labelValuePattern = new RegExp(`^(${qualifiedNameFormat})?$`);

const qualifiedNameMessage =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const labelValueMessage = `a valid label must be an empty string or ${qualifiedNameMessage.slice('must '.length)}`;
const labelMessage =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const subdomainMessage =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const label1035Message =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";

/** Upstream's RegexError: the rule, examples, and the regular expression. */
export function regexError(message: string, format: string, ...examples: readonly string[]): string {
  if (examples.length === 0) return `${message} (regex used for validation is '${format}')`;
  return `${message} (e.g. ${examples.map((e) => `'${e}', `).join(' or ')}regex used for validation is '${format}')`;
}

export const maxLengthError = (bytes: number): string => `must be no more than ${bytes} bytes`;

const utf8Length = (text: string): number => Buffer.byteLength(text, 'utf8');

/** A DNS-1123 label: at most 63 of a-z, 0-9 and '-'. */
export function isDns1123Label(value: string): string[] {
  const errors: string[] = [];
  if (utf8Length(value) > 63) errors.push(maxLengthError(63));
  if (!labelPattern.test(value)) {
    if (subdomainPattern.test(value)) errors.push('must not contain dots');
    else errors.push(regexError(labelMessage, labelFormat, 'my-name', '123-abc'));
  }
  return errors;
}

/** A DNS-1123 subdomain: labels joined by dots, at most 253 long. */
export function isDns1123Subdomain(value: string): string[] {
  const errors: string[] = [];
  if (utf8Length(value) > 253) errors.push(maxLengthError(253));
  if (!subdomainPattern.test(value)) errors.push(regexError(subdomainMessage, subdomainFormat, 'example.com'));
  return errors;
}

/** A DNS-1035 label: as DNS-1123, but it starts with a letter. */
export function isDns1035Label(value: string): string[] {
  const errors: string[] = [];
  if (utf8Length(value) > 63) errors.push(maxLengthError(63));
  if (!label1035Pattern.test(value)) errors.push(regexError(label1035Message, label1035Format, 'my-name', 'abc-123'));
  return errors;
}

/** A label key, annotation key or resource name: [subdomain/]name. */
export function isQualifiedName(value: string): string[] {
  const parts = value.split('/');
  const errors: string[] = [];
  if (parts.length > 2) {
    const text = regexError(qualifiedNameMessage, qualifiedNameFormat, 'MyName', 'my.name', '123-abc');
    return [`a qualified name ${text} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const name = parts[parts.length - 1] ?? '';
  const prefix = parts.length === 2 ? parts[0] : undefined;
  if (prefix === '') errors.push('prefix part must be non-empty');
  else if (prefix !== undefined) errors.push(...isDns1123Subdomain(prefix).map((e) => `prefix part ${e}`));
  if (name === '') errors.push('name part must be non-empty');
  else if (utf8Length(name) > 63) errors.push(`name part ${maxLengthError(63)}`);
  if (!qualifiedNamePattern.test(name)) {
    errors.push(`name part ${regexError(qualifiedNameMessage, qualifiedNameFormat, 'MyName', 'my.name', '123-abc')}`);
  }
  return errors;
}

/** A label value: empty, or at most 63 of the characters of a qualified name. */
export function isLabelValue(value: string): string[] {
  const errors: string[] = [];
  if (utf8Length(value) > 63) errors.push(maxLengthError(63));
  if (!labelValuePattern.test(value)) {
    errors.push(regexError(labelValueMessage, `(${qualifiedNameFormat})?`, 'MyValue', 'my_value', '12345'));
  }
  return errors;
}

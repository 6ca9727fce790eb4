/**
 * Label and field selectors: parsing, matching, printing. Grammar and error texts are those of
 * k8s.io/apimachinery pkg/labels/selector.go and pkg/fields/selector.go. Parsers throw StatusError BadRequest.
 */
import type { LabelSelector } from './generated/meta-v1.ts';
import { isLabelValue, isQualifiedName } from './names.ts';
import { badRequest } from './status-error.ts';

export type LabelOperator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

/** All requirements hold; none: everything matches. `undefined` in places that say so stands for "nothing matches". */
export type ParsedLabelSelector = readonly LabelRequirement[];

/** Labels as found on an object. */
export type Labels = Readonly<Record<string, string>> | undefined;

type Token = 'end' | 'identifier' | 'error' | ')' | ',' | '!' | '=' | '==' | '!=' | '>' | '<' | '(' | 'in' | 'notin';

interface Lexeme {
  readonly token: Token;
  readonly literal: string;
}

const special = '=!(),><';
const space = ' \t\r\n';
const symbols: readonly Token[] = [')', ',', '!', '==', '=', '>', '<', '!=', '('];
const isSymbol = (text: string): text is Token => (symbols as readonly string[]).includes(text);
const binaryOperators = 'in, notin, =, ==, !=, gt, lt';

function scan(input: string): Lexeme[] {
  const out: Lexeme[] = [];
  let at = 0;
  while (at < input.length) {
    const c = input.charAt(at);
    if (space.includes(c)) {
      at++;
      continue;
    }
    let end = at;
    if (special.includes(c)) {
      while (end < input.length && special.includes(input.charAt(end)) && isSymbol(input.slice(at, end + 1))) end++;
      const literal = input.slice(at, end);
      out.push(isSymbol(literal) ? { token: literal, literal } : { token: 'error', literal: c });
      at = Math.max(end, at + 1);
    } else {
      while (end < input.length && !special.includes(input.charAt(end)) && !space.includes(input.charAt(end))) end++;
      const literal = input.slice(at, end);
      out.push({ token: literal === 'in' || literal === 'notin' ? literal : 'identifier', literal });
      at = end;
    }
  }
  out.push({ token: 'end', literal: '' });
  return out;
}

/** Where "in" and "notin" may be keys or values, they are. */
const asValue = (l: Lexeme): Lexeme => (l.token === 'in' || l.token === 'notin' ? { token: 'identifier', literal: l.literal } : l);

const fail = (message: string): Error => badRequest(message);

interface Cursor {
  readonly lexemes: readonly Lexeme[];
  at: number;
}
const endLexeme: Lexeme = { token: 'end', literal: '' };
const peek = (c: Cursor): Lexeme => asValue(c.lexemes[c.at] ?? endLexeme);
const take = (c: Cursor): Lexeme => {
  const l = peek(c);
  c.at++;
  return l;
};

function parseValueList(c: Cursor): string[] {
  const open = take(c);
  if (open.token !== '(') throw fail(`found '${open.literal}' expected: '('`);
  const first = peek(c);
  if (first.token === ')') {
    c.at++;
    return [];
  }
  if (first.token !== 'identifier' && first.token !== ',') throw fail(`found '${first.literal}', expected: ',', ')' or identifier`);
  const values = new Set<string>();
  for (;;) {
    const l = take(c);
    if (l.token === 'identifier') {
      values.add(l.literal);
      const next = peek(c);
      if (next.token === ',') continue;
      if (next.token !== ')') throw fail(`found '${next.literal}', expected: ',' or ')'`);
      break;
    }
    if (l.token !== ',') throw fail(`found '${l.literal}', expected: ',', or identifier`);
    if (values.size === 0) values.add('');
    const next = peek(c).token;
    if (next === ')') {
      values.add('');
      break;
    }
    if (next === ',') {
      c.at++;
      values.add('');
    }
  }
  c.at++;
  return [...values].sort();
}

function parseExactValue(c: Cursor): string[] {
  const next = peek(c);
  if (next.token === 'end' || next.token === ',') return [''];
  const l = take(c);
  if (l.token !== 'identifier') throw fail(`found '${l.literal}', expected: identifier`);
  return [l.literal];
}

const operatorOf: Readonly<Partial<Record<Token, LabelOperator>>> = {
  in: 'in',
  notin: 'notin',
  '=': '=',
  '==': '==',
  '!=': '!=',
  '>': 'gt',
  '<': 'lt',
};

function parseRequirement(c: Cursor): LabelRequirement {
  let l = take(c);
  const negated = l.token === '!';
  if (negated) l = take(c);
  if (l.token !== 'identifier') throw fail(`found '${l.literal}', expected: identifier`);
  const key = l.literal;
  const keyErrors = isQualifiedName(key);
  if (keyErrors.length > 0) throw fail(`<nil>: Invalid value: ${JSON.stringify(key)}: ${keyErrors.join('; ')}`);
  const next = peek(c).token;
  if (negated) return { key, operator: '!', values: [] };
  if (next === 'end' || next === ',') return { key, operator: 'exists', values: [] };
  const o = c.lexemes[c.at++] ?? endLexeme;
  const operator = operatorOf[o.token];
  if (operator === undefined) throw fail(`found '${o.literal}', expected: ${binaryOperators}`);
  const values = operator === 'in' || operator === 'notin' ? parseValueList(c) : parseExactValue(c);
  return requirement(key, operator, values);
}

const goStrings = (values: readonly string[]): string => `[${values.map((v) => JSON.stringify(v)).join(',')}]`;

/** A checked requirement; throws BadRequest with upstream's texts (labels.NewRequirement). */
export function requirement(key: string, operator: LabelOperator, values: readonly string[]): LabelRequirement {
  const errors: string[] = [];
  const keyErrors = isQualifiedName(key);
  if (keyErrors.length > 0) errors.push(`key: Invalid value: ${JSON.stringify(key)}: ${keyErrors.join('; ')}`);
  const wrong = (why: string): number => errors.push(`values: Invalid value: ${goStrings(values)}: ${why}`);
  if (operator === 'in' || operator === 'notin') {
    if (values.length === 0) wrong("for 'in', 'notin' operators, values set can't be empty");
  } else if (operator === 'exists' || operator === '!') {
    if (values.length > 0) wrong('values set must be empty for exists and does not exist');
  } else if (operator === 'gt' || operator === 'lt') {
    if (values.length !== 1) wrong("for 'Gt', 'Lt' operators, exactly one value is required");
    for (const [i, v] of values.entries()) {
      if (integerOf(v) === undefined) {
        errors.push(`values[${i}]: Invalid value: ${JSON.stringify(v)}: for 'Gt', 'Lt' operators, the value must be an integer`);
      }
    }
  } else if (values.length !== 1) wrong('exact-match compatibility requires one single value');
  for (const [i, v] of values.entries()) {
    const valueErrors = isLabelValue(v);
    if (valueErrors.length > 0) errors.push(`values[${i}][${key}]: Invalid value: ${JSON.stringify(v)}: ${valueErrors.join('; ')}`);
  }
  if (errors.length > 0) throw fail(errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]`);
  return { key, operator, values };
}

function integerOf(text: string): bigint | undefined {
  if (!/^[+-]?[0-9]+$/.test(text) || text.length > 20) return undefined;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return value >= -(2n ** 63n) && value < 2n ** 63n ? value : undefined;
}

/** Reads a selector such as `app=web,tier in (a,b),!old`. The empty string selects everything. Throws BadRequest. */
export function parseLabelSelector(text: string): ParsedLabelSelector {
  const c: Cursor = { lexemes: scan(text), at: 0 };
  const out: LabelRequirement[] = [];
  for (;;) {
    const l = peek(c);
    if (l.token === 'end') break;
    if (l.token !== 'identifier' && l.token !== '!') {
      throw fail(`found '${l.literal}', expected: !, identifier, or 'end of string'`);
    }
    try {
      out.push(parseRequirement(c));
    } catch (error) {
      throw fail(`unable to parse requirement: ${error instanceof Error ? error.message : String(error)}`);
    }
    const after = take(c);
    if (after.token === 'end') break;
    if (after.token !== ',') throw fail(`found '${after.literal}', expected: ',' or 'end of string'`);
    const next = peek(c);
    if (next.token !== 'identifier' && next.token !== '!') throw fail(`found '${next.literal}', expected: identifier after ','`);
  }
  return out.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

const expressionOperators: Readonly<Record<string, LabelOperator>> = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' };

/**
 * A LabelSelector object as requirements: absent selects nothing (`undefined`), empty selects everything.
 * Throws BadRequest for an invalid one.
 */
export function fromLabelSelector(selector: LabelSelector | undefined): ParsedLabelSelector | undefined {
  if (selector === undefined) return undefined;
  const out: LabelRequirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) out.push(requirement(key, '=', [value]));
  for (const e of selector.matchExpressions ?? []) {
    const operator = Object.hasOwn(expressionOperators, e.operator) ? expressionOperators[e.operator] : undefined;
    if (operator === undefined) throw fail(`${JSON.stringify(e.operator)} is not a valid label selector operator`);
    out.push(requirement(e.key, operator, e.values ?? []));
  }
  return out.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

function holds(r: LabelRequirement, labels: Labels): boolean {
  const has = labels !== undefined && Object.hasOwn(labels, r.key);
  const value = has ? labels[r.key] : undefined;
  switch (r.operator) {
    case 'in':
    case '=':
    case '==':
      return value !== undefined && r.values.includes(value);
    case 'notin':
    case '!=':
      return value === undefined || !r.values.includes(value);
    case 'exists':
      return has;
    case '!':
      return !has;
    case 'gt':
    case 'lt': {
      const actual = value === undefined ? undefined : integerOf(value);
      const wanted = integerOf(r.values[0] ?? '');
      if (actual === undefined || wanted === undefined) return false;
      return r.operator === 'gt' ? actual > wanted : actual < wanted;
    }
  }
}

/** True where every requirement holds. `undefined` (see fromLabelSelector) matches nothing. */
export function matchesLabels(selector: ParsedLabelSelector | undefined, labels: Labels): boolean {
  return selector?.every((r) => holds(r, labels)) ?? false;
}

/** The selector as a client would write it: `app=web,tier in (a,b)`. */
export function formatLabelSelector(selector: ParsedLabelSelector): string {
  return selector.map(formatRequirement).join(',');
}

function formatRequirement(r: LabelRequirement): string {
  switch (r.operator) {
    case '!':
      return `!${r.key}`;
    case 'exists':
      return r.key;
    case 'gt':
      return `${r.key}>${r.values[0]}`;
    case 'lt':
      return `${r.key}<${r.values[0]}`;
    case 'in':
    case 'notin':
      return `${r.key} ${r.operator} (${[...r.values].sort().join(',')})`;
    case '=':
    case '==':
    case '!=':
      return `${r.key}${r.operator}${r.values[0]}`;
  }
}

/** The selector that a set of labels is: every label, exactly (labels.SelectorFromSet). */
export function selectorFromLabels(labels: Labels): ParsedLabelSelector {
  return Object.entries(labels ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, operator: '=', values: [value] }));
}

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

export type ParsedFieldSelector = readonly FieldRequirement[];

function splitFieldTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  let escaped = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (escaped) escaped = false;
    else if (c === '\\') escaped = true;
    else if (c === ',') {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function unescapeFieldValue(text: string): string {
  if (!/[\\,=]/.test(text)) return text;
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === '\\') {
      const next = text.charAt(++i);
      if (next === '' || !'\\,='.includes(next)) throw fail(`invalid field selector: invalid escape sequence: \\${next}`);
      out += next;
    } else if (c === ',' || c === '=') throw fail(`invalid field selector: unescaped character in value: ${c.charCodeAt(0)}`);
    else out += c;
  }
  return out;
}

function splitFieldTerm(term: string): FieldRequirement | undefined {
  for (let i = 0; i < term.length; i++) {
    const rest = term.slice(i, i + 2);
    if (rest === '!=') return { field: term.slice(0, i), operator: '!=', value: unescapeFieldValue(term.slice(i + 2)) };
    if (rest === '==') return { field: term.slice(0, i), operator: '=', value: unescapeFieldValue(term.slice(i + 2)) };
    if (rest.startsWith('=')) return { field: term.slice(0, i), operator: '=', value: unescapeFieldValue(term.slice(i + 1)) };
  }
  return undefined;
}

/** Reads a selector such as `metadata.name=x,status.phase!=Running`. Whether a field may be selected is the kind's to say. */
export function parseFieldSelector(text: string): ParsedFieldSelector {
  const out: FieldRequirement[] = [];
  for (const term of splitFieldTerms(text)) {
    if (term === '') continue;
    const r = splitFieldTerm(term);
    if (r === undefined) throw fail(`invalid selector: '${text}'; can't understand '${term}'`);
    out.push(r);
  }
  return out;
}

/** True where every requirement holds; a field that `fieldValue` does not know counts as "". */
export function matchesFields(selector: ParsedFieldSelector, fieldValue: (field: string) => string | undefined): boolean {
  return selector.every((r) => ((fieldValue(r.field) ?? '') === r.value) === (r.operator === '='));
}

export function formatFieldSelector(selector: ParsedFieldSelector): string {
  return selector.map((r) => `${r.field}${r.operator}${r.value.replaceAll(/[\\,=]/g, (c) => `\\${c}`)}`).join(',');
}

/** The value that a selector demands of a field exactly, if it does: lets a list by metadata.name become a get. */
export function exactFieldValue(selector: ParsedFieldSelector, field: string): string | undefined {
  return selector.find((r) => r.field === field && r.operator === '=')?.value;
}

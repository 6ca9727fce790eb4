import { describe, expect, test } from 'vitest';
import { createCel } from './cel.ts';
import { ruleErrors } from './cel-rules.ts';
import type { Schema, ValidationRule } from './schema.ts';

const cel = createCel();
const resolve = (ref: string): Schema => {
  throw new Error(ref);
};
const errorsOf = (schema: Schema): string[] => ruleErrors(cel, schema, resolve, 's').map((e) => `${e.field}: ${e.message}`);

const string: Schema = { type: 'string' };
const limited = (maxLength: number): Schema => ({ ...string, validations: { maxLength } });
const integer: Schema = { type: 'integer' };
const withRules = (schema: Schema, ...list: readonly (ValidationRule | string)[]): Schema => ({
  ...schema,
  validations: { ...schema.validations, rules: list.map((r) => (typeof r === 'string' ? { rule: r } : r)) },
});
const spec = (inner: Schema): Schema => ({ type: 'object', properties: { spec: inner } });
const list = (items: Schema, maxItems?: number): Schema => ({
  type: 'array',
  items,
  ...(maxItems === undefined ? {} : { validations: { maxItems } }),
});

describe('rules that make no sense are told', () => {
  const fields: Schema = {
    type: 'object',
    properties: {
      replicas: integer,
      name: string,
      maybe: { ...string, nullable: true },
      free: { type: 'object', preserveUnknownFields: true },
      any: { preserveUnknownFields: true },
    },
  };
  const rule = (given: ValidationRule): string[] => errorsOf(spec(withRules(fields, given)));
  const at = 's.properties[spec].x-kubernetes-validations[0]';

  test.each<[string, ValidationRule, string, string]>([
    ['an unknown field', { rule: 'self.nothing == 1' }, 'rule', "undefined field 'nothing'"],
    ['a field in an object that has none', { rule: 'self.free.x == 1' }, 'rule', "undefined field 'x'"],
    ['a value without a schema', { rule: 'self.any == 1' }, 'rule', "undefined field 'any'"],
    ['null, where a field is rather not there', { rule: 'self.maybe == null' }, 'rule', "applied to '(string, null)'"],
    ['no boolean', { rule: 'self.replicas' }, 'rule', 'cel expression must evaluate to a bool'],
    ['a wrong type', { rule: 'self.replicas == "x"' }, 'rule', "found no matching overload for '_==_' applied to '(int, string)'"],
    ['bad syntax', { rule: 'self.replicas ==' }, 'rule', 'Syntax error'],
    ['an unknown variable', { rule: 'other == 1' }, 'rule', "undeclared reference to 'other' (in container '')"],
    [
      'a message that is no text',
      { rule: 'true', messageExpression: '1' },
      'messageExpression',
      'messageExpression must evaluate to a string',
    ],
    [
      'a message that does not compile',
      { rule: 'true', messageExpression: 'self.nothing' },
      'messageExpression',
      'messageExpression compilation failed: ERROR',
    ],
    [
      'an old value that is not used',
      { rule: 'true', optionalOldSelf: true },
      'optionalOldSelf',
      'Invalid value: true: may not be set if oldSelf is not used in rule',
    ],
  ])('%s', (_title, given, field, message) => {
    const errors = rule(given);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(`${at}.${field}: Invalid value: `);
    expect(errors[0]).toContain(message);
  });

  test('with the whole rule', () => {
    expect(rule({ rule: 'self.replicas', message: 'no', optionalOldSelf: true })[0]).toBe(
      `${at}.rule: Invalid value: {"Rule":"self.replicas","Message":"no","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":true}: cel expression must evaluate to a bool`,
    );
  });
});

describe('the old value can be asked for where it is found again', () => {
  const changing = withRules({ type: 'object', properties: { k: string } }, 'self == oldSelf');
  const uncorrelated = (field: string, within: string): string =>
    `${field}.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within ${within}`;

  test.each<[string, Schema, string[]]>([
    ['a field', spec(changing), []],
    ['an item of a list that is a map', spec({ ...list(changing, 5), listType: 'map', listMapKeys: ['k'] }), []],
    ['an item of another list', spec(list(changing, 5)), [uncorrelated('s.properties[spec].items', 's.properties[spec]')]],
    [
      'a field of an atomic map',
      spec({ type: 'object', mapType: 'atomic', properties: { a: changing } }),
      [uncorrelated('s.properties[spec].properties[a]', 's.properties[spec]')],
    ],
  ])('%s', (_title, schema, errors) => {
    expect(errorsOf(schema)).toEqual(errors);
  });
});

describe('rules that may cost too much are told', () => {
  const advice =
    '(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)';
  const contributed = 'Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema';
  const one = (factor: string, what = 'rule'): string =>
    `Forbidden: estimated ${what} cost exceeds budget by factor of ${factor} ${advice}`;
  const all = (factor: string): string =>
    `s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of ${factor} ${advice}`;
  const rule = 's.properties[spec].x-kubernetes-validations[0].rule';
  const loops = 'self.all(a, self.all(b, a == b))';

  test.each<[string, Schema, string[]]>([
    ['a loop over an endless list', spec(withRules(list(integer), 'self.all(a, a > 0)')), []],
    [
      'loops in loops over an endless list',
      spec(withRules(list(integer), loops)),
      [`${rule}: ${one('more than 100x')}`, `${rule}: ${contributed}`, all('more than 100x')],
    ],
    ['loops in loops over a list with an end', spec(withRules(list(integer, 100), loops)), []],
    ['a bit too much', spec(withRules(list(integer, 1500), loops)), [`${rule}: ${one('1.125750x')}`]],
    ['much too much', spec(withRules(list(integer, 3000), loops)), [`${rule}: ${one('4.5x')}`]],
    [
      'texts in an endless list',
      spec(list(withRules(limited(1000), 'self.contains("a")'))),
      [
        `s.properties[spec].items.x-kubernetes-validations[0].rule: ${one('42.0x')}`,
        `s.properties[spec].items.x-kubernetes-validations[0].rule: ${contributed}`,
        all('4.2x'),
      ],
    ],
    ['texts in a list with an end', spec(list(withRules(limited(1000), 'self.contains("a")'), 1000)), []],
    [
      'a message',
      spec(withRules(list(integer, 3000), { rule: 'true', messageExpression: `${loops} ? "a" : "b"` })),
      [`s.properties[spec].x-kubernetes-validations[0].messageExpression: ${one('4.5x', 'messageExpression')}`],
    ],
    [
      'too much in all, with the four that cost most',
      spec(withRules(list(integer, 1400), ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((n) => `${loops} || size(self) > ${n}`))),
      [...[0, 1, 2, 3].map((i) => `s.properties[spec].x-kubernetes-validations[${i}].rule: ${contributed}`), all('1.078771x')],
    ],
  ])('%s', (_title, schema, errors) => {
    expect(errorsOf(schema)).toEqual(errors);
  });
});

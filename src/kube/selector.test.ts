import { describe, expect, test } from 'vitest';
import {
  formatFieldSelector,
  formatLabelSelector,
  fromLabelSelector,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  selectorFromLabels,
} from './selector.ts';

describe('label selectors', () => {
  test.each([
    ['', ''],
    ['x=a', 'x=a'],
    ['x==a', 'x==a'],
    ['x=a,y=b,z=c', 'x=a,y=b,z=c'],
    ['z=c,x=a', 'x=a,z=c'],
    ['x!=a', 'x!=a'],
    ['x', 'x'],
    ['!x', '!x'],
    ['x in (b,a)', 'x in (a,b)'],
    ['x notin (a,a)', 'x notin (a)'],
    ['x in (,)', 'x in ()'],
    ['x in (a,)', 'x in (,a)'],
    ['x=', 'x='],
    ['x= ,z= ', 'x=,z='],
    ['in in (in,notin)', 'in in (in,notin)'],
    ['x>1,y<2', 'x>1,y<2'],
    [' a/b = c ', 'a/b=c'],
  ])('%j reads as %j', (text, expected) => {
    expect(formatLabelSelector(parseLabelSelector(text))).toBe(expected);
  });

  test.each([
    ['x=a||y=b', 'unable to parse requirement: values[0][x]: Invalid value: "a||y"'],
    ['x==a==b', "found '==', expected: ',' or 'end of string'"],
    ['!x=a', "found '=', expected: ',' or 'end of string'"],
    ['x,,y', "found ',', expected: identifier after ','"],
    ['x in a', "unable to parse requirement: found 'a' expected: '('"],
    ['x in ()', "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"],
    ['x in (a', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['x a', "unable to parse requirement: found 'a', expected: in, notin, =, ==, !=, gt, lt"],
    ['=a', "found '=', expected: !, identifier, or 'end of string'"],
    ['a/b/c=d', 'unable to parse requirement: <nil>: Invalid value: "a/b/c": a qualified name must consist of'],
    ['x>a', "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer"],
    ['x=-a', 'unable to parse requirement: values[0][x]: Invalid value: "-a": a valid label must be an empty string or consist of'],
    ['!', "unable to parse requirement: found '', expected: identifier"],
  ])('%j is refused: %s', (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(message);
  });

  const labels = { app: 'web', size: '5', empty: '' };
  test.each([
    ['', true],
    ['app=web', true],
    ['app!=web', false],
    ['app!=x,other!=y', true],
    ['app in (web,db)', true],
    ['app notin (web)', false],
    ['missing notin (a)', true],
    ['missing', false],
    ['!missing', true],
    ['empty', true],
    ['empty=', true],
    ['size>4', true],
    ['size<5', false],
    ['app>1', false],
    ['constructor', false],
    ['!toString', true],
  ])('%j on the labels: %s', (text, expected) => {
    expect(matchesLabels(parseLabelSelector(text), labels)).toBe(expected);
  });

  test('an absent LabelSelector matches nothing, an empty one everything', () => {
    expect(matchesLabels(fromLabelSelector(undefined), labels)).toBe(false);
    expect(matchesLabels(fromLabelSelector({}), undefined)).toBe(true);
  });

  test('a LabelSelector object is labels and expressions together', () => {
    const selector = fromLabelSelector({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'size', operator: 'In', values: ['5', '6'] },
        { key: 'old', operator: 'DoesNotExist' },
      ],
    });
    expect(selector && formatLabelSelector(selector)).toBe('app=web,!old,size in (5,6)');
    expect(matchesLabels(selector, labels)).toBe(true);
    expect(() => fromLabelSelector({ matchExpressions: [{ key: 'a', operator: 'Near' }] })).toThrow(
      '"Near" is not a valid label selector operator',
    );
  });

  test('a set of labels is a selector for each of them', () => {
    expect(formatLabelSelector(selectorFromLabels({ b: '2', a: '1' }))).toBe('a=1,b=2');
  });
});

describe('field selectors', () => {
  test.each([
    ['', ''],
    ['metadata.name=x', 'metadata.name=x'],
    ['a==b', 'a=b'],
    ['status.phase!=Running,spec.nodeName=', 'status.phase!=Running,spec.nodeName='],
    ['a=b\\,c', 'a=b\\,c'],
    ['a=b\\=c', 'a=b\\=c'],
    [',a=b,', 'a=b'],
  ])('%j reads as %j', (text, expected) => {
    expect(formatFieldSelector(parseFieldSelector(text))).toBe(expected);
  });

  test.each([
    ['a', "invalid selector: 'a'; can't understand 'a'"],
    ['a=b=c', 'invalid field selector: unescaped character in value: 61'],
    ['a=b\\x', 'invalid field selector: invalid escape sequence: \\x'],
  ])('%j is refused', (text, message) => {
    expect(() => parseFieldSelector(text)).toThrow(message);
  });

  test('unknown fields count as empty', () => {
    const fieldValue = (field: string): string | undefined => ({ 'metadata.name': 'x' })[field];
    expect(matchesFields(parseFieldSelector('metadata.name=x,other='), fieldValue)).toBe(true);
    expect(matchesFields(parseFieldSelector('other!='), fieldValue)).toBe(false);
  });
});
